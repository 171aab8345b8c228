"""Opens a hit's file as a person does who clicks on it; at its moment or page where a viewer is known that can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import NamedTuple

from mmsearch.errors import Unavailable
from mmsearch.files.archives import archive_of
from mmsearch.files.private import PRIVATE_FILE, make_private_folder
from mmsearch.files.remote_paths import is_remote
from mmsearch.output import visible
from mmsearch.searching.results import Hit, ListedFile

# So long, in seconds, what opens a file is watched: a viewer goes on, and what cannot has said so by then.
PATIENCE = 1.5
# Copies of files in archives or behind URLs, in the cache folder, are there for a viewer to read: older ones go with
# the next one.
COPIES_NAME, KEPT_SECONDS = "opened", 3_600


_PLACE, _FILE = "{place}", "{file}"


class _Viewer(NamedTuple):
    """A program, and what it is called with, the second or the page and the path put in."""

    program: str
    arguments: tuple[str, ...]


# The first that is installed is taken.
_PLAYERS = (
    _Viewer("mpv", ("--start={place}", "--", "{file}")),
    _Viewer("vlc", ("--start-time={place}", "{file}")),
    _Viewer("ffplay", ("-ss", "{place}", "{file}")),
)
_PAGE_VIEWERS = (
    _Viewer("evince", ("--page-index={place}", "{file}")),
    _Viewer("okular", ("--page", "{place}", "{file}")),
    _Viewer("zathura", ("--page={place}", "{file}")),
    _Viewer("mupdf", ("{file}", "{place}")),
)
_SCAN_VIEWERS = tuple(viewer for viewer in _PAGE_VIEWERS if viewer.program != "zathura")
# What each kind of file with pages is shown by.
_PAGED = {".pdf": _PAGE_VIEWERS, ".tif": _SCAN_VIEWERS, ".tiff": _SCAN_VIEWERS}


def open_hit(hit: Hit | ListedFile) -> None:
    """Opens the file, and does not wait for the person to close it.

    Raises:
        Unavailable: it is not there now, or nothing can open it.
    """
    if not hit.available:
        raise Unavailable(f"{visible(hit.path)} is not there now, and cannot be opened.")
    path, (place, viewers) = _on_disk(hit.path), _place(hit)
    if hit.type == "text" and viewers is _PLAYERS:
        beside = _recording_beside(path)
        path, viewers = (path, ()) if beside is None else (beside, viewers)
    for viewer in viewers:
        found = shutil.which(viewer.program)
        if found is not None:
            arguments = [path if one == _FILE else one.replace(_PLACE, place) for one in viewer.arguments]
            _run([found, *arguments], path)
            return
    _open_by_system(path)


def _on_disk(path: str) -> str:
    """The path itself, or of a file in an archive or behind a URL that of a private copy: no viewer knows those."""
    called = os.fsencode(path)
    inside = archive_of(called)
    if inside is None and not is_remote(called):
        return path
    import platformdirs

    from mmsearch.reading import UnreadableFile, file_blocks

    name = called.rpartition(b"/")[2] if inside is None else inside[1].rpartition(b"/")[2]
    folder = os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), COPIES_NAME)
    try:
        blocks = file_blocks(called)
        first = next(blocks, b"")
        make_private_folder(folder)
        _remove_copies_before(folder, time.time() - KEPT_SECONDS)
        copy = os.path.join(tempfile.mkdtemp(dir=folder), os.fsdecode(name))
        with open(copy, "xb", opener=lambda name, flags: os.open(name, flags, PRIVATE_FILE)) as file:
            file.write(first)
            file.writelines(blocks)
    except UnreadableFile as error:
        raise Unavailable(f"{visible(path)} cannot be opened: {error.reason}.") from error
    except OSError as error:
        raise Unavailable(f"{visible(path)} cannot be opened: {error.strerror}.") from error
    return copy


def _remove_copies_before(folder: str, moment: float) -> None:
    for name in os.listdir(folder):
        copy = os.path.join(folder, name)
        with suppress(OSError):
            if os.lstat(copy).st_mtime < moment:
                shutil.rmtree(copy)


def _recording_beside(path: str) -> str | None:
    """The film or recording that subtitles belong to: it has their name, but for the ending and a language before it
    (`trip.en.srt`).
    """
    from mmsearch.reading.video.containers import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS

    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    stems = (stem, os.path.splitext(stem)[0])
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    for stem, endings in product(stems, (VIDEO_EXTENSIONS, AUDIO_EXTENSIONS)):
        for name in names:
            own, ending = os.path.splitext(name)
            if own == stem and ending.lower() in endings:
                return os.path.join(folder, name)
    return None


def _place(hit: Hit | ListedFile) -> tuple[str, Sequence[_Viewer]]:
    """The second or the page at which a file is to be opened, and the viewers that may be able to."""
    if isinstance(hit, Hit) and hit.time is not None:
        return f"{hit.time[0]:.15g}", _PLAYERS
    if isinstance(hit, Hit) and hit.page is not None:
        return str(hit.page), _PAGED.get(os.path.splitext(hit.path)[1].lower(), ())
    return "", ()


def _open_by_system(path: str) -> None:
    if sys.platform == "win32":
        try:
            os.startfile(path)
        except OSError as error:
            raise Unavailable(f"{visible(path)} cannot be opened: {error.strerror}.") from error
        return
    name = "open" if sys.platform == "darwin" else "xdg-open"
    opener = shutil.which(name)
    if opener is None:
        raise Unavailable(f"{visible(path)} cannot be opened: {name}, which knows the viewers, is not on the PATH.")
    _run([opener, path], path)


def _run(command: Sequence[str], path: str) -> None:
    """Starts a program that outlives this one, and says so where it ends at once with an error."""
    program = os.path.basename(command[0])
    try:
        process = subprocess.Popen(
            [os.fsencode(one) for one in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"{visible(path)} cannot be opened with {program}: {error.strerror}.") from error
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it is left to itself, and no warning is due
        return
    if code != 0:
        raise Unavailable(f"{visible(path)} cannot be opened: {program} ended with code {code}.")
