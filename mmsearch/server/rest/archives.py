"""Some files in one archive, sent while it is made: nothing of it is written to the disk or kept in memory."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import IO, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.errors import Invalid, MmsearchError
from mmsearch.files.times import in_local_time, moment_at
from mmsearch.searching.stored_files import FileSources
from mmsearch.server.rest.bodies import body_of
from mmsearch.server.rest.originals import open_original
from mmsearch.server.rest.parameters import Parameter, checked
from mmsearch.server.rest.served import Served, served_by
from mmsearch.server.rest.streams import BLOCK_BYTES, Stream, Streamed, streaming

MOST_FILES = 1_000
IDS = (Parameter("ids", "The ids of the files.", is_many=True, most_values=MOST_FILES),)
_LEFT_OUT = "LEFT OUT.txt"
# What an archive can say of a time.
_FIRST_YEAR, _LAST_YEAR = 1980, 2107


async def archive(request: Request) -> Response:
    """POST /zip."""
    served = served_by(request)
    body = await body_of(request)

    def begun() -> Streamed:
        called = list(dict.fromkeys(checked(body.given, IDS).get("ids", ())))
        if not called:
            raise Invalid("`ids` says which files.")
        files = [served.session.sources(one) for one in called]
        headers = {"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="mmsearch.zip"'}
        return Streamed(200, headers, _zipped(served, files))

    return Stream(served, await streaming(served, begun))


class _Pipe:
    """What is written is taken out again; it has no place that one could go back to."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._blocks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """All there is can be taken at any time."""

    def taken(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


def _zipped(served: Served, files: Sequence[FileSources]) -> Generator[bytes, None, None]:
    """The archive. What is not there any more, or not what was indexed, is named in a text at its end."""
    pipe, names, left_out = _Pipe(), {_LEFT_OUT.lower()}, list[str]()
    with ZipFile(cast("IO[bytes]", pipe), "w", ZIP_STORED) as archive:  # no more is asked of it than write and flush
        for sources in files:
            opened = open_original(sources)
            try:
                file = next(opened)
            except MmsearchError as error:
                left_out.append(served.in_words(error))
                continue
            info = ZipInfo(_own_name(os.path.basename(os.fsdecode(file.path)), names), _time(file.mtime_ns))
            file.stream.seek(0)
            with archive.open(info, "w", force_zip64=True) as member:
                while block := file.stream.read(BLOCK_BYTES):
                    member.write(block)
                    yield pipe.taken()
            for _ in opened:  # raises where it has changed meanwhile: the archive breaks off
                pass
        if left_out:
            archive.writestr(_LEFT_OUT, "\n".join(left_out).encode("utf-8", "replace"))
    yield pipe.taken()


def _own_name(name: str, names: set[str]) -> str:
    """That name, or one like it where a file before has it."""
    name = name.encode("utf-8", "replace").decode()
    stem, extension = os.path.splitext(name)
    number = 1
    while name.lower() in names:
        number += 1
        name = f"{stem} ({number}){extension}"
    names.add(name.lower())
    return name


def _time(mtime_ns: int) -> tuple[int, int, int, int, int, int]:
    moment = in_local_time(moment_at(mtime_ns // 1_000_000_000))
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return (_FIRST_YEAR, 1, 1, 0, 0, 0)
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
