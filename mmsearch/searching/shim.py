"""Until items say where they lie: what schema 6 will tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmsearch.records import Filters, FoundItem
from mmsearch.store.sqlite.store import Catalogue


def spaces(catalogue: Catalogue, model_id: int) -> list[tuple[Any, str]]:
    rows = catalogue.connection.execute(
        "SELECT 'image', 'image' WHERE EXISTS (SELECT 1 FROM items WHERE model_id = ?1 AND modality = 'image') "
        "UNION SELECT 'text', 'text' WHERE EXISTS (SELECT 1 FROM items WHERE model_id = ?1 AND modality = 'text')",
        (model_id,),
    )
    return [(row[0], row[1]) for row in rows]


def medium(filters: Filters) -> str | None:
    return filters.modality


def rest(filters: Filters) -> Filters:
    return replace(filters, modality=None)


def described(catalogue: Catalogue, item: FoundItem) -> dict[str, Any]:
    digest = catalogue.connection.execute(
        "SELECT digest FROM contents WHERE id = (SELECT content_id FROM items WHERE id = ?)", (item.item_id,)
    ).fetchone()[0]
    return {
        "id": digest.hex(), "width": item.width, "height": item.height, "taken": item.taken, "source": "body",
        "line": item.line, "offset": item.start, "page": None, "time": None, "region": None,
    }  # fmt: skip
