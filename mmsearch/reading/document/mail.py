"""A mail, or a mailbox of many → what each says, and what is attached to it, read as what it is."""

from __future__ import annotations

import contextlib
import io
import re
from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING

from mmsearch.reading.document.mail_text import body_of, decoded, decoded_header, header, message_text
from mmsearch.reading.document.pages import left_out, troubles_within
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import HEAD_BYTES, NotAMedium, Reading, UnreadableFile
from mmsearch.records import FileFacts, Locator, Part

if TYPE_CHECKING:
    from email.message import Message

_ONE, _APPLE, _MANY = ".eml", ".emlx", ".mbox"
# What a mail begins with: a header, perhaps after the line of a mailbox; Apple's, after the number of its bytes.
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\d{1,12}\s+)?(?:>?From [^\n]*\n)?[!-9;-~]{1,76}[ \t]*:")
# The line before each mail of a mailbox, after an empty one: who, and when. Thunderbird leaves both out.
_SEPARATOR = re.compile(rb"From (?:[^\r\n]{0,400}\d{1,2}:\d\d[^\r\n]{0,100}|-?[ \t]*)\r?\n")
_LONGEST_SEPARATOR = 1_000
# A byte order mark and empty lines.
_BEFORE = b"\xef\xbb\xbf\r\n\t "
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_BLOCK_BYTES = 1 << 20
_DEEPEST = 30
# Smaller pictures are signs, lines and counters.
_LEAST_SIDE = 97
_NO_NAME = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 200
_UNNAMED = "attachment"


@dataclass
class _Found:
    """The bodies of a mail, each as plain text or web page or both, and the files attached to it."""

    bodies: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, Message]] = field(default_factory=list)


def read_mail(file: OpenFile, side: int) -> Reading:
    """For each mail a text, and what the readers of the files attached to it find.

    In a mailbox `page` is the number of the mail, otherwise that in the attached file. `part_name` is the subject and,
    of a file attached, its name.

    Raises UnreadableFile where there is no mail inside.
    """
    troubles: list[str] = []
    if file.extension == _MANY:
        starts = list(_starts(file.stream))
        if not starts:
            raise UnreadableFile("no mail inside")
        return Reading(FileFacts(pages=len(starts)), _of_mailbox(file, starts, side, troubles), troubles=troubles)
    most = file.limits.max_member_bytes
    file.stream.seek(0)
    if file.extension == _APPLE:
        counted = file.stream.readline(_LONGEST_SEPARATOR).strip()
        most = min(most, int(counted)) if counted.isdigit() else most
    begins = file.stream.tell()
    first = file.stream.read(HEAD_BYTES)
    file.stream.seek(begins + len(first) - len(first.lstrip(_BEFORE)))
    message = _parsed(file.stream, most)
    if message is None:
        raise UnreadableFile("damaged mail")
    note = None if file.size <= file.limits.max_member_bytes else f"only its first {most:,} bytes were read"
    parts = _of_message(file, message, side, None, troubles)
    return Reading(FileFacts(taken=_date(message), note=note), parts, troubles=troubles)


def _starts(stream: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Where each mail of a mailbox begins, and where its separator does; found block by block."""
    stream.seek(0)
    offset, seen = 0, b""
    while block := stream.read(_BLOCK_BYTES):
        data = seen + block
        end = 0
        for match in _SEPARATOR.finditer(data):
            begin = match.start()
            is_first = offset + begin < _LONGEST_SEPARATOR and not data[:begin].strip(b"\r\n")
            if is_first or data.endswith((b"\n\n", b"\n\r\n"), max(0, begin - 3), begin):
                end = match.end()
                yield offset + end, offset + begin
        kept = max(end - 3, len(data) - _LONGEST_SEPARATOR, 0)
        offset, seen = offset + kept, data[kept:]


def _of_mailbox(file: OpenFile, starts: list[tuple[int, int]], side: int, troubles: list[str]) -> Iterator[Part]:
    """Mail by mail, so that one of them is in memory at a time."""
    found_any = False
    ends = [begin for _, begin in starts[1:]] + [file.size]
    for number, ((start, _), end) in enumerate(zip(starts, ends, strict=True), start=1):
        file.stream.seek(start)
        data = _ESCAPED.sub(rb"\1", file.stream.read(min(max(0, end - start), file.limits.max_member_bytes)))
        message = _parsed(io.BytesIO(data), len(data))
        if message is None:
            troubles.append(f"mail {number:,} left out: damaged mail")
            continue
        of_mail: list[str] = []
        for part in _of_message(file, message, side, number, of_mail):
            found_any = True
            yield part
        troubles += [f"mail {number:,}: {one}" for one in of_mail]
    if not found_any:
        raise UnreadableFile("no mail inside")


def _parsed(stream: IO[bytes], most: int) -> Message | None:
    """The mail from here on, at most so many bytes; in blocks, as the parser holds each in four times its size."""
    from email.parser import BytesFeedParser

    parser = BytesFeedParser()
    try:
        while block := stream.read(min(_BLOCK_BYTES, most)):
            parser.feed(block)
            most -= len(block)
        return parser.close()
    except (MemoryError, OSError):
        raise
    except Exception:  # RecursionError, for one: a thousand parts in each other
        return None


def _of_message(file: OpenFile, message: Message, side: int, number: int | None, troubles: list[str]) -> Iterator[Part]:
    """What a mail says, and then what is attached to it."""
    found = _Found()
    with contextlib.suppress(Exception):  # headers that are none; what was found before them is there
        _look_into(message, found, file.limits.max_members, 0)
    subject = header(message, "subject") or None
    bodies = [body_of(plain, page) for plain, page in found.bodies]
    text = message_text(message, bodies, [name for name, _ in found.files])
    if text.strip():
        yield Part("text", text, Locator(page=number, part_name=subject))
    for name, attached in found.files:
        data = _bytes_of(attached)
        attached.set_payload("")  # held once
        for part in parts_of_attached(file, name, data, side, troubles):
            inner = part.locator.part_name
            is_mail = attached.get_content_type() == "message/rfc822"
            names = (subject, None if is_mail and inner else name, inner)
            place = replace(
                part.locator,
                page=part.locator.page if number is None else number,
                part_name="/".join(one for one in names if one),
            )
            yield replace(part, locator=place)


def parts_of_attached(file: OpenFile, name: str, data: bytes, side: int, troubles: list[str]) -> Iterator[Part]:
    """The parts of an attached file; none where nobody reads it. What cannot be read of it is put into `troubles`."""
    try:
        member = file.member(name, data)
        reading = member.reader.read(member, side)
        is_picture = member.reader.medium == "image"
        if is_picture and min(reading.facts.width or 0, reading.facts.height or 0) < _LEAST_SIDE:
            return
        for part in reading.parts:
            yield replace(part, source="embedded") if is_picture else part
    except NotAMedium:
        return
    except UnreadableFile as error:
        troubles.append(left_out(name, error))
    else:
        troubles += troubles_within(name, reading)


def _look_into(part: Message, found: _Found, most: int, depth: int) -> None:
    """Sorts the parts of a mail. Of alternatives one body is taken."""
    if len(found.files) >= most or depth > _DEEPEST:
        return
    kind = part.get_content_type()
    if part.is_multipart() and kind != "message/rfc822":
        inner = _Found() if kind == "multipart/alternative" else found
        for one in _children(part):
            _look_into(one, inner, most, depth + 1)
        if inner is not found:
            plain = "\n\n".join(plain for plain, _ in inner.bodies if plain.strip())
            found.bodies.append((plain, "\n".join(page for _, page in inner.bodies if page)))
            found.files += inner.files
        return
    name = _name(part)
    if kind == "message/rfc822" and not name.lower().endswith(_ONE):
        name = (name or _UNNAMED) + _ONE
    if kind in ("text/plain", "text/html") and not name and part.get_content_disposition() != "attachment":
        text = decoded(_bytes_of(part), part.get_content_charset())
        found.bodies.append(("", text) if kind == "text/html" else (text, ""))
    else:
        found.files.append((name or _made_up_name(part), part))


def _children(part: Message) -> list[Message]:
    from email.message import Message

    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _name(part: Message) -> str:
    """The name under which a file is attached, "" where it has none."""
    try:
        told = decoded_header(part.get_filename() or "")
    except Exception:  # parameters in pieces that do not fit together
        return ""
    return _NO_NAME.sub("", told.replace("\\", "/").rsplit("/", 1)[-1]).strip()[-_LONGEST_NAME:]


def _made_up_name(part: Message) -> str:
    from mimetypes import guess_extension

    return _UNNAMED + (guess_extension(part.get_content_type()) or "")


def _bytes_of(part: Message) -> bytes:
    """The content of a part, as far as it can be decoded."""
    try:
        if part.get_content_type() == "message/rfc822" and part.is_multipart():
            return b"".join(inner.as_bytes() for inner in _children(part))
        written = part.get_payload()
        if isinstance(written, str) and str(part.get("content-transfer-encoding", "")).strip().lower() == "base64":
            with contextlib.suppress(ValueError):  # damaged, or none: what follows makes the best of it
                return a2b_base64(written)
        payload = part.get_payload(decode=True)
    except Exception:  # encodings that do not exist, and headers that are none
        return b""
    return payload if isinstance(payload, bytes) else b""


def _date(message: Message) -> str | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(header(message, "date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def begins_as_mail(head: bytes, extension: str) -> bool:
    """Whether a file with one of the extensions of mail begins as one, or as a mailbox."""
    if extension == _MANY:
        return _SEPARATOR.match(head.lstrip(b"\r\n")) is not None
    return _HEADER.match(head) is not None
