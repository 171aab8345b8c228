"""Opens the place of a library by where a person says that it lies: a folder, or a URL of a kind that is registered."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from mmsearch.errors import Remedy, Unsupported
from mmsearch.store.locations import is_url, scheme_of, shown
from mmsearch.store.place import Place


@dataclass(frozen=True)
class Kind:
    """A kind of store that libraries at URLs have: the module whose `place_at` makes a Place of one, imported only
    then; the extra that it needs, with the packages of that; and a URL as an example.
    """

    module: str
    extra: str
    packages: tuple[str, ...]
    example: str


# By the schemes of their URLs.
KINDS: dict[str, Kind] = {
    scheme: Kind("mmsearch.store.postgres.place", "postgres", ("psycopg",), "postgresql://HOST/DATABASE")
    for scheme in ("postgresql", "postgres")
}


def place_at(location: str | os.PathLike[str]) -> Place:
    """Where the library at that folder or URL is kept. Nothing is made there, or opened.

    One at a URL, which other machines may use too, is seen through the map of mounts that this one has.

    Raises:
        Unsupported: mmsearch keeps no libraries at such URLs, or what it needs for it is not installed.
        Invalid: the URL makes no sense.
    """
    text = os.fspath(location)
    if is_url(text):
        from mmsearch.store.mapped_place import mapped_place

        return mapped_place(_maker(text)(text))
    from mmsearch.store.sqlite.place import SqlitePlace

    return SqlitePlace(os.path.abspath(os.path.expanduser(text)))


def check_location(location: str | os.PathLike[str]) -> None:
    """Raises what `place_at` does; for a folder nothing, and nothing is loaded."""
    text = os.fspath(location)
    if is_url(text):
        _maker(text)


def folder_for(url: str) -> str:
    """The folder of this machine for what is derived from a library at a URL: one for each, whatever the password."""
    import platformdirs

    name = hashlib.sha256(shown(url).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), "libraries", name)


def _maker(url: str) -> Callable[[str], Place]:
    scheme = scheme_of(url)
    kind = KINDS.get(scheme)
    if kind is None and scheme in ("http", "https"):
        raise Unsupported(
            f"{shown(url)} is no folder: a library that a server holds is asked over HTTP",
            Remedy("choose_library.server"),
        )
    if kind is None:
        examples = "".join(f", and at {one}" for one in dict.fromkeys(known.example for known in KINDS.values()))
        raise Unsupported(
            f"No library can be kept at {shown(url)}: mmsearch keeps libraries in folders{examples}",
            Remedy("choose_library.folder"),
        )
    try:
        made: Callable[[str], Place] = import_module(kind.module).place_at
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in kind.packages:
            raise
        raise Unsupported(
            f"{shown(url)} needs the extra {kind.extra}, which is not installed", Remedy("extra", kind.extra)
        ) from None
    return made
