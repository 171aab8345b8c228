"""One writer at a time: a lock on a file in the folder that is written, let go by the system even after a crash."""

from __future__ import annotations

import errno
import os
import sys
from types import TracebackType

from mmsearch.errors import Busy, Unavailable
from mmsearch.files.private import PRIVATE_FILE
from mmsearch.files.regular import check_regular

LOCK_NAME = "library.lock"


class WriterLock:
    """Held while a library is written, or a model; a `with` block. Readers need no lock.

    `what` is what is written, for a sentence, and `name` that of the file.

    Raises:
        Busy: another process holds it. Unavailable: nothing can be locked there. Refused: its file is none.
    """

    def __init__(self, folder: str, what: str | None = None, name: str = LOCK_NAME) -> None:
        self._path = os.path.join(folder, name)
        self._what = what or f"The library in {folder}"
        self._mode = PRIVATE_FILE if name == LOCK_NAME else 0o666  # many users may share their models
        self._descriptor = -1

    def __enter__(self) -> WriterLock:
        check_regular(self._path)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), self._mode)
        try:
            _take(descriptor)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                os.close(descriptor)
                raise Unavailable(
                    f"{self._what} cannot be locked ({error.strerror}); keep it on another disk."
                ) from error
            holder = os.pread(descriptor, 32, 1).decode("ascii", "replace") if hasattr(os, "pread") else ""
            os.close(descriptor)
            who = f"process {holder.strip()}" if holder.strip() else "another process"
            raise Busy(f"{self._what} is being written by {who}; wait until it has finished.") from None
        # The first byte is what Windows locks: the process id lies behind it, where others may read it.
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f" {os.getpid()}\n".encode("ascii"))
        self._descriptor = descriptor
        return self

    def check(self) -> None:
        """Raises Busy where the lock's file was deleted or replaced since: another process may hold that one."""
        try:
            is_there = os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise Busy(
                f"{self._what} lost its lock ({self._path} was deleted or replaced), so that another process may write "
                "it too; what was done is kept, and the next run goes on from there."
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
