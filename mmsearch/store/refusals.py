"""What stores of all kinds refuse, and raise where what they hold is not what was written."""

from __future__ import annotations

from mmsearch.errors import NotFound, Refused, Remedy, Unavailable


class NoLibrary(NotFound):
    """A place where there may be a library, and none was made yet."""

    def __init__(self, location: str) -> None:
        super().__init__(f"There is no library in {location}", Remedy("index.into", location))


class OlderLibrary(Refused):
    """A library that an older mmsearch has written."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"The library in {location} was written by an older mmsearch and cannot be written here to bring it up to "
            "date",
            Remedy("index.once"),
        )


class TakesNoWrites(Unavailable):
    """A server that takes no writes for now, as its disk is full, or it was set to be read only. It can be searched."""


class DamagedStore(Exception):
    """What was read of a store is not what was written. Stores raise errors of their own for it as well."""
