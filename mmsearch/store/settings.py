"""What a person has said once and for all about a library, as the store holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


_GRAPH = "graph"
_CODES = "codes"
_STAGE = "stage "


def wants_graph(store: Store) -> bool | None:
    """Whether the library is to have a graph however large it gets (True), or none (False); None if nobody said."""
    said = store.setting(_GRAPH)
    return None if said is None else said == "1"


def want_graph(store: Store, wanted: bool) -> None:
    """Says so from now on."""
    with store.transaction():
        store.set_setting(_GRAPH, str(int(wanted)))


def wanted_code_bits(store: Store) -> int:
    """How many learned bits the codes of the library's items are to have; 0 for one bit a number, as nobody said."""
    said = store.setting(_CODES) or ""
    return int(said) if said.isdecimal() else 0


def want_code_bits(store: Store, bits: int) -> None:
    """Says so from now on."""
    with store.transaction():
        store.set_setting(_CODES, str(bits))


def wanted_stages(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Those of the stages that the library is to have, each with its model, "" where it needs none."""
    said = {name: store.setting(_STAGE + name) for name in names}
    return {name: model for name, model in said.items() if model is not None}


def want_stages(store: Store, stages: Mapping[str, str | None]) -> None:
    """Says of stages that the library is to have them, with that model, from now on; None that it is not."""
    with store.transaction():
        for name, model in stages.items():
            if model is None:
                store.remove_setting(_STAGE + name)
            else:
                store.set_setting(_STAGE + name, model)
