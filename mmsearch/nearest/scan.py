"""By what vectors are compared. It is light: who only names a way loads none of them."""

from __future__ import annotations

from typing import Literal

Scan = Literal["auto", "exact", "codes", "graph"]

# Above this many rows of a space the graph answers a session sooner than codes do.
GRAPH_FROM_ROWS = 50_000
