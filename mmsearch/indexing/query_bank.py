"""The query bank of a model comes into a library once the library has pictures of it; see `encoding.query_bank`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.query_bank import Stopped, query_bank_of
from mmsearch.files.crash_points import crash_point
from mmsearch.indexing.pipeline import IndexOptions
from mmsearch.records import Progress

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


def keep_query_bank(store: Store, model_id: int, encoder: Encoder, options: IndexOptions) -> None:
    """Gives the model its query bank where it has pictures in the library and no bank yet.

    From then on it stays as it is. A run that is stopped before leaves it to the next one.
    """
    if store.query_bank_name(model_id) is not None or "image" not in store.modalities(model_id):
        return

    def tell(done: int, total: int) -> None:
        options.on_progress(Progress("encoding the query bank", done, total, "texts"))

    try:
        bank = query_bank_of(encoder, tell, options.stop.is_set)
    except Stopped:
        return
    if bank is not None:
        with store.transaction():
            store.put_query_bank(model_id, bank)
        crash_point("query bank kept")
