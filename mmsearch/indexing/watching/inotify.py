"""Linux's own way to tell of changes: paths as bytes, each folder by itself, and no package is needed for it.

watchfiles, which other systems use, watches trees whole on Linux too (`node_modules` with all that is in it), says
nothing where the kernel has lost events, and ends at a name that is no UTF-8.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
import time
from collections.abc import Iterator, Set

from mmsearch.files.paths import is_below
from mmsearch.indexing.watching.changes import Change, OnChange, WatchesExhausted

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_UNMOUNT, _Q_OVERFLOW, _IGNORED, _ISDIR = 0x2000, 0x4000, 0x8000, 0x4000_0000
_ONLYDIR, _EXCL_UNLINK = 0x0100_0000, 0x0400_0000
_OF_ENTRIES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_MASK = _OF_ENTRIES | _DELETE_SELF | _MOVE_SELF | _ONLYDIR | _EXCL_UNLINK
_HEAD = struct.Struct("iIII")
_BUFFER = 1 << 16
# Between two looks at the queue, so that a large copy does not wake the thread for each piece of it.
_PAUSE_SECONDS = 0.02
_MOST_WATCHES, _MOST_INSTANCES = "fs.inotify.max_user_watches", "fs.inotify.max_user_instances"


class Inotify:
    """A `ChangeSource` of the kernel.

    Raises:
        WatchesExhausted: this user has as many of them as the system allows.
    """

    def __init__(self, on_change: OnChange) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            code = ctypes.get_errno()
            if code == errno.EMFILE:
                raise WatchesExhausted(_MOST_INSTANCES)
            raise OSError(code, os.strerror(code))
        self._on_change = on_change
        self._lock = threading.Lock()
        self._folders: dict[int, bytes] = {}
        self._numbers: dict[bytes, int] = {}
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="inotify", daemon=True)
        self._thread.start()

    def add(self, folder: bytes) -> None:
        with self._lock:
            number = self._libc.inotify_add_watch(self._descriptor, ctypes.c_char_p(folder), _MASK)
            if number < 0:
                if ctypes.get_errno() == errno.ENOSPC:
                    raise WatchesExhausted(_MOST_WATCHES)
                return
            # The same folder may have been watched under another name, and the name may have been another folder's.
            before = self._folders.get(number)
            if before is not None and before != folder:
                self._numbers.pop(before, None)
            replaced = self._numbers.get(folder)
            if replaced is not None and replaced != number:
                self._folders.pop(replaced, None)
                self._libc.inotify_rm_watch(self._descriptor, replaced)
            self._folders[number] = folder
            self._numbers[folder] = number

    def retain(self, folders: Set[bytes]) -> None:
        with self._lock:
            self._drop([folder for folder in self._numbers if folder not in folders])

    def count(self) -> int:
        return len(self._numbers)

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        for descriptor in (self._descriptor, self._woken, self._wake):
            os.close(descriptor)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            if any(descriptor == self._woken for descriptor, _ in poll.poll()):
                return
            for change in self._read():
                self._on_change(change)
            time.sleep(_PAUSE_SECONDS)

    def _read(self) -> Iterator[Change]:
        """All that is in the queue."""
        while True:
            try:
                told = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                return
            place = 0
            while place < len(told):
                number, mask, _, length = _HEAD.unpack_from(told, place)
                place += _HEAD.size
                name = told[place : place + length].rstrip(b"\0")
                place += length
                yield from self._changes(number, mask, name)

    def _changes(self, number: int, mask: int, name: bytes) -> Iterator[Change]:
        if mask & _Q_OVERFLOW:
            yield Change(None)
            return
        with self._lock:
            folder = self._folders.get(number)
            if folder is None:
                return
            if mask & _IGNORED:  # the folder is gone, or its drive
                self._folders.pop(number)
                self._numbers.pop(folder, None)
                return
            path = os.path.join(folder, name) if name else folder
            if mask & _MOVE_SELF or (mask & _ISDIR and mask & _MOVED_FROM and path in self._numbers):
                self._drop([one for one in self._numbers if is_below(one, path)])
            is_known_folder = path in self._numbers
        if mask & _ISDIR:
            # Rights and times of a folder change nothing in it, unless it could not be read before.
            if not mask & _ATTRIB or (name and not is_known_folder):
                yield Change(path, False, is_folder=True)
        elif name:
            yield Change(path, _is_written(mask))
        elif mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT):
            yield Change(path, False, is_folder=True)

    def _drop(self, folders: list[bytes]) -> None:
        for folder in folders:
            number = self._numbers.pop(folder)
            self._folders.pop(number, None)
            self._libc.inotify_rm_watch(self._descriptor, number)


def _is_written(mask: int) -> bool | None:
    if mask & _MODIFY:
        return True
    return None if mask & (_CREATE | _ATTRIB) else False
