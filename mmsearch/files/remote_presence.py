"""Whether what lies behind a URL is there: asked in a thread of its own, since who hangs answers after minutes."""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from mmsearch.files import remote
from mmsearch.files.remote import RemoteEntry
from mmsearch.files.remote_paths import topmost

# So long, in seconds, an answer is waited for: one that is slow, and its packages' loading, take less.
PATIENCE = 20.0

_NO_ANSWER = "does not answer"
Given = TypeVar("Given")

_lock = threading.Lock()
# How many questions were given up, and have not come back, by the bucket or the machine that was asked.
_hanging: Counter[bytes] = Counter()


def entry_in_time(path: bytes) -> RemoteEntry:
    """As `remote.entry_at`, which is not waited for for long.

    Raises:
        FileNotFoundError: there is no such thing. OSError: nothing is told of it, or not in time.
    """
    return _answer(path, lambda: remote.entry_at(path))


def is_there(path: bytes) -> bool:
    """Whether something lies at `path`: not where nobody says so in time."""
    try:
        entry_in_time(path)
    except OSError:
        return False
    return True


def is_empty(folder: bytes) -> bool:
    """Whether nothing lies in a folder that can be listed in time."""
    try:
        return _answer(folder, lambda: remote.is_empty(folder))
    except OSError:
        return False


def _answer(path: bytes, ask: Callable[[], Given]) -> Given:
    """What is answered, in time.

    Raises:
        OSError: that is the answer, or there is none; at once where a question to that bucket still hangs.
    """
    top = topmost(path)
    with _lock:
        if _hanging[top]:
            raise OSError(errno.EHOSTUNREACH, _NO_ANSWER)
    told: list[Given] = []
    failed: list[Exception] = []
    ended, given_up = threading.Event(), threading.Event()

    def work() -> None:
        try:
            told.append(ask())
        except Exception as error:  # raised again by who waits
            failed.append(error)
        with _lock:
            ended.set()
            if given_up.is_set():
                _hanging[top] -= 1

    threading.Thread(target=work, name="ask", daemon=True).start()
    ended.wait(PATIENCE)
    with _lock:
        if not ended.is_set():
            given_up.set()
            _hanging[top] += 1
            raise OSError(errno.EHOSTUNREACH, _NO_ANSWER)
    if failed:
        raise failed[0]
    return told[0]
