"""Groups of duplicates, for a person, as lines, as JSON, or as the paths that need not be kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

from mmsearch.files.archives import archive_of
from mmsearch.files.remote_paths import is_remote
from mmsearch.output import counted, visible
from mmsearch.output.columns import stdout_width
from mmsearch.output.hits import Form
from mmsearch.output.json import to_json
from mmsearch.output.places import Viewpoint
from mmsearch.searching.duplicate_groups import DuplicateFile, DuplicateGroup, Duplicates

_CALLED = {"bytes": "same bytes", "picture": "same picture", "text": "nearly the same text", "shots": "similar shots"}


def print_duplicates(found: Duplicates, form: Form) -> list[str]:
    """Prints the groups on stdout; nothing for none, but for JSON. Returns what a person should know beside them."""
    packed = 0
    if form is Form.JSON:
        print(to_json(found))
    elif form in (Form.PATHS, Form.NULL):
        end = b"\0" if form is Form.NULL else b"\n"
        spared = _spared(found)
        # No path leads other programs to a file in an archive.
        paths = [path for path in spared if archive_of(path) is None]
        packed = len(spared) - len(paths)
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(path + end for path in paths))
        sys.stdout.buffer.flush()
    elif form is Form.LINES:
        for number, group in enumerate(found.groups, start=1):
            for one in group.files:
                print("\t".join([str(number), group.kind, "keep" if one.keep else "", _place(one, visible)]))
    else:
        place = Viewpoint()
        for group in found.groups:
            print("\n".join(_shown(group, place)))
    return _notes(found, form, packed)


def _notes(found: Duplicates, form: Form, packed: int) -> list[str]:
    """What a person should know beside the groups, of whose paths so many lie in archives: one sentence each."""
    if form is Form.JSON:
        return []
    said = []
    if not found.groups:
        said.append("no duplicates found.")
    elif form in (Form.TABLE, Form.LINES):
        others = [one for group in found.groups for one in group.others]
        more = f" (of {found.total:,})" if found.total > len(found.groups) else ""
        groups = counted(len(found.groups), "group")
        size = sum(group.bytes for group in found.groups)
        said.append(f"{groups}{more}; the {len(others):,} files that need not be kept take {_megabytes(size)}.")
    elif not {"shots", "text"} & set(found.classes):
        said.append(
            "similar shots and nearly the same texts are not among these paths; --class shots and --class text print "
            "theirs."
        )
    if packed:
        lie = counted(packed, "file that need not be kept lies", "files that need not be kept lie")
        said.append(
            f"{lie} in archives, where no path leads, and {'is' if packed == 1 else 'are'} left out; --json has all."
        )
    if found.not_compared:
        said.append(
            f"{found.not_compared:,} photos that look much like another one are not there now (a drive that is away?), "
            "or lie in a bucket, and were not compared by their pixels."
        )
    return said


def _spared(found: Duplicates) -> list[bytes]:
    """The paths of files that are there and need not be kept, of groups whose file to keep is there, each once."""
    kept = [group for group in found.groups if group.files[0].available]
    return list(dict.fromkeys(os.fsencode(one.path) for group in kept for one in group.others if one.available))


def _shown(group: DuplicateGroup, place: Viewpoint) -> Iterator[str]:
    from rich.cells import cell_len

    yield f"{_CALLED[group.kind]}: {len(group.files):,} files, {_megabytes(group.bytes)} to spare"
    for one in group.files:
        size = f"{one.width}×{one.height}, " if one.width is not None else ""
        kept = f"  {visible(group.why)}" if one.keep else ""
        path = f"  {'keep' if one.keep else '    '}  {_place(one, place.shown)}"
        facts = f"({size}{_megabytes(one.bytes)}){kept}"
        # Paths stay whole, to be copied.
        if cell_len(path) + cell_len(facts) + 2 <= stdout_width():
            yield f"{path}  {facts}"
        else:
            yield path
            yield f"{' ' * 10}{facts}"


def _place(one: DuplicateFile, shown: Callable[[str], str]) -> str:
    where = "in a bucket, not looked for" if is_remote(os.fsencode(one.path)) else "not there now"
    return shown(one.path) + ("" if one.available else f" ({where})")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
