"""mmsearch: find photos and text files on your own disk by meaning, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsearch.errors import MmsearchError
    from mmsearch.indexing.walking import WalkRules
    from mmsearch.library import Library
    from mmsearch.records import Filters
    from mmsearch.searching.query import Query, Term

__version__ = "0.1.0"
__all__ = ["Filters", "Library", "MmsearchError", "Query", "Term", "WalkRules", "__version__"]

_ROOMS = {
    "Filters": "mmsearch.records",
    "Library": "mmsearch.library",
    "MmsearchError": "mmsearch.errors",
    "Query": "mmsearch.searching.query",
    "Term": "mmsearch.searching.query",
    "WalkRules": "mmsearch.indexing.walking",
}


def __getattr__(name: str) -> Any:
    # Names are imported when they are used: `mmsearch --version` needs none of them.
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
