"""Whether what lies behind a URL is there: asked in a thread of its own, since who hangs answers after minutes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from mmsearch.files import remote
from mmsearch.files.remote_paths import topmost

# So long, in seconds, an answer is waited for: one that is slow, and its packages' loading, take less.
PATIENCE = 20.0

_lock = threading.Lock()
# How many questions were given up, and have not come back, by the bucket or the machine that was asked.
_hanging: Counter[bytes] = Counter()


def is_there(path: bytes) -> bool:
    """Whether something lies at `path`: not where nobody says so in time."""
    return _answer(path, lambda: _is_there(path))


def is_empty(folder: bytes) -> bool:
    """Whether nothing lies in a folder that can be listed in time."""
    return _answer(folder, lambda: remote.is_empty(folder))


def _is_there(path: bytes) -> bool:
    try:
        remote.entry_at(path)
    except OSError:
        return False
    return True


def _answer(path: bytes, ask: Callable[[], bool]) -> bool:
    """What is answered; False where it has not come in time, and at once where somebody waits for that bucket still."""
    top = topmost(path)
    with _lock:
        if _hanging[top]:
            return False
    told: list[bool] = []
    ended, given_up = threading.Event(), threading.Event()

    def work() -> None:
        try:
            told.append(ask())
        finally:
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
    return bool(told) and told[0]
