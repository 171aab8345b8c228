"""What a person has said once and for all about a library, as the store holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


_GRAPH = "graph"


def wants_graph(store: Store) -> bool | None:
    """Whether the library is to have a graph however large it gets (True), or none (False); None if nobody said."""
    said = store.setting(_GRAPH)
    return None if said is None else said == "1"


def want_graph(store: Store, wanted: bool) -> None:
    """Says so from now on."""
    with store.transaction():
        store.set_setting(_GRAPH, str(int(wanted)))
