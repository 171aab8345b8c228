"""Where a file lies as a person would write it, and where in it a hit: `3:42–3:48`, `p. 7`, `p. 3 "Budget"`, `:12`."""

from __future__ import annotations

import os

from mmsearch.files.archives import archive_of
from mmsearch.files.remote_paths import is_remote
from mmsearch.output import visible
from mmsearch.searching.results import Hit, ListedFile

# Of a passage that is shown from its match on so many characters before that are shown too.
BEFORE_MATCH = 40


class Viewpoint:
    """Where the person at the terminal is: what they would write to name a file from there."""

    def __init__(self) -> None:
        home = os.path.expanduser("~")
        try:
            here = os.getcwd()
        except OSError:  # it is gone
            here = home
        self._folders = [(folder.rstrip(os.sep) + os.sep, sign) for folder, sign in ((here, ""), (home, f"~{os.sep}"))]

    def shown(self, path: str) -> str:
        """The path from the current folder on, or from `~` on, or as it is; safe to print."""
        for folder, sign in self._folders:
            if path.startswith(folder):
                return sign + visible(path[len(folder) :])
        return visible(path)


def place_in_file(hit: Hit | ListedFile) -> str:
    """What is put behind the file's name, with a space before it where it needs one; nothing for the whole file."""
    if not isinstance(hit, Hit):
        return ""
    said = []
    if hit.page is not None:
        said.append(f"p. {hit.page}")
    if hit.part_name:
        said.append(f'"{visible(hit.part_name)}"')
    if hit.time is not None:
        said.append(time_span(hit.time))
    if said:
        return " " + " ".join(said)
    # Of what was taken out of a document a line is nothing that one could look up.
    return f":{hit.match_line}" if hit.type == "text" and hit.line is not None else ""


def excerpt(hit: Hit, characters: int) -> str:
    """The passage on one line: from its beginning where its match is among so many characters, else from shortly before
    that on, behind an ellipsis.
    """
    snippet = hit.snippet or ""
    begins, ends = hit.match or (0, 0)
    if len(visible(" ".join(snippet[:ends].split()))) < characters:
        return visible(" ".join(snippet.split()))
    start = max(0, begins - BEFORE_MATCH)
    line = snippet.rfind("\n", start, begins) + 1
    # A word is shown whole or not at all: the first one begins the text, or stands behind a space.
    spaces = (place + 1 for place in range(start - 1, begins) if snippet[place].isspace())
    first = line or (next(spaces, begins) if start else 0)
    return ("…" if first else "") + visible(" ".join(snippet[first:].split()))


def file_url(path: str) -> str:
    """The `file://` URL of a file, or of the archive that it lies in; its absolute path may have bytes of any kind.

    What lies behind a URL has that one.
    """
    from urllib.parse import quote_from_bytes

    if is_remote(os.fsencode(path)):
        return quote_from_bytes(os.fsencode(path), safe="/:@")
    inside = archive_of(os.fsencode(path))
    path = path if inside is None else os.fsdecode(inside[0])
    slashes = os.fsencode(path.replace("\\", "/") if os.sep == "\\" else path)
    return "file://" + quote_from_bytes(slashes if slashes.startswith(b"/") else b"/" + slashes)


def time_span(time: tuple[float, float]) -> str:
    """From when to when, in whole seconds: `3:42–3:48`, `1:02:03–1:02:05`."""
    begins, ends = _clock(time[0]), _clock(time[1])
    return begins if begins == ends else f"{begins}–{ends}"


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
