"""Answers that fit: long lists and texts are cut where that is needed, and it is said how much was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsearch.server.mcp.messages import written

# An answer with what is around it has less than a megabyte.
MOST_ANSWER_BYTES = 990_000
# How long lists within an answer and texts may be: the first that fits.
_CUTS = ((20, 20_000), (5, 1_000), (1, 100))
# The answer itself, which is asked for by pages.
_PAGES = ("hits", "groups", "passages")


def fitted(document: Mapping[str, Any], most_bytes: int) -> Any:
    """The document, of no more bytes than that as JSON; objects in which lists were cut say so in `left_out`."""
    cut: Any = document
    for most, longest in _CUTS:
        cut = _cut(document, most, longest)
        if len(written(cut)) <= most_bytes:
            break
    return cut


def _cut(value: Any, most: int, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[: longest - 1]}…"
    if isinstance(value, list):
        return [_cut(one, most, longest) for one in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    for name, one in value.items():
        if isinstance(one, (list, Mapping)) and len(one) > most and name not in _PAGES and not _is_object(one):
            left_out[name] = len(one) - most
            one = one[:most] if isinstance(one, list) else dict(list(one.items())[:most])
        found[name] = _cut(one, most, longest)
    return {**found, "left_out": left_out} if left_out else found


def _is_object(value: Any) -> bool:
    """Whether that is an object of fields rather than a table of counts by extension."""
    return isinstance(value, Mapping) and not all(isinstance(one, int) for one in value.values())
