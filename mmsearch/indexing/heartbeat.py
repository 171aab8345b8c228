"""The sign of life that a worker gives beside its work, over a connection of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

from mmsearch.store.place import Place
from mmsearch.store.work import SharedStore

# Of a lease's length: so often it is renewed, and that of others looked at.
_SHARE = 0.25


class Heartbeat:
    """Renews a worker's lease within a `with` block, and gives back what others have left whose lease has run out.

    `lost` is set once the worker is given up.
    """

    def __init__(self, place: Place, worker: int, lease: float) -> None:
        self.lost = threading.Event()
        self._place, self._worker, self._lease = place, worker, lease
        self._ended = threading.Event()
        self._store: SharedStore | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(self._lease)

    def _beat(self) -> None:
        while not self._ended.wait(_SHARE * self._lease) and not self.lost.is_set():
            self._give_a_sign()
        self._let_go()

    def _give_a_sign(self) -> None:
        try:
            if self._store is None:
                self._store = self._place.share()
            if self._store.renew(self._worker, self._lease):
                self._store.reap()
            else:
                self.lost.set()
        except Exception:  # whatever it is that bars the way, the next beat tries again
            self._let_go()

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                store.close()
