"""A library that many machines share, as this one sees it: its stores give the paths of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mmsearch.store.mounts import MountMap, read_mounts
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store

if TYPE_CHECKING:
    from mmsearch.store.work import SharedStore

    _Forwarding = Place
else:
    _Forwarding = object

AnyStore = TypeVar("AnyStore", bound=Store)


class MappedPlace(_Forwarding):
    """Another place, whose stores are seen through the map that this machine has when they are opened, if any."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def read(self) -> Store:
        mounts = read_mounts()
        return _through(self._place.read(), mounts)

    def write(self, before_commit: Callable[[], None] = lambda: None) -> Store:
        mounts = read_mounts()
        return _through(self._place.write(before_commit), mounts, writes=True)

    def share(self, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> SharedStore:
        mounts = read_mounts()
        return _through(self._place.share(wait, lease), mounts, writes=True)

    def tidy(self, store: Store) -> None:
        self._place.tidy(getattr(store, "unmapped", store))


def mapped_place(place: Place) -> Place:
    """The place, seen through the map of this machine."""
    made: Any = MappedPlace  # what the protocol asks for and is not written there is forwarded
    through: Place = made(place)
    return through


def _through(store: AnyStore, mounts: MountMap, writes: bool = False) -> AnyStore:
    """The store itself where this machine has no map: then nothing is between."""
    if not mounts.mounts:
        return store
    from mmsearch.store.mapped_store import mapped

    return cast("AnyStore", mapped(store, mounts, writes))
