"""With what a session searches."""

from __future__ import annotations

from typing import NamedTuple

from mmsearch.nearest.scan import GRAPH_FROM_ROWS, Scan


class SessionOptions(NamedTuple):
    """With what a session searches: these models of the library, or where there are none the one in use and those of
    sound, through that adapter instead of the one in use ("none" for none).

    `scan` says how vectors are compared; in "auto" the graph is asked from `graph_from_rows` rows of a space on.
    `fusion` is the one that channels are merged by instead of the one in use ("fusion@none" for none).
    """

    models: tuple[str, ...] = ()
    adapter: str | None = None
    scan: Scan = "auto"
    graph_from_rows: int = GRAPH_FROM_ROWS
    fusion: str | None = None
