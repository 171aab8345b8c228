"""What a store knows of items: their vectors, which of them pass filters, and where they are found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from mmsearch.records import (
    Beside,
    EncodedItem,
    FileBrief,
    Filters,
    FoundItem,
    HalfMatrix,
    ItemIds,
    Listing,
    Medium,
    Modality,
    Remark,
    TextPassage,
    TimedItem,
)


class VectorStore(Protocol):
    """Items and their vectors, float16 as the models made them."""

    def items_removed(self) -> int:
        """How many items were ever removed: tells a derived file how many of its rows may be dead."""

    def items_stored(self, digest: bytes, model_id: int, reader: int) -> int:
        """How many items this model has made of that content, as that version of its reader reads it.

        Where a run was cut off in the middle of the content these are the first ones.
        """

    def remark(self, content_id: int, model_id: int, note: str | None, left_out: int, most: int) -> None:
        """Notes what was missing in a content, and how many of its passages the model left out, as it was to take no
        more than `most`.
        """

    def note_budget(self, content_id: int, model_id: int, most: int) -> None:
        """Notes that the model, which has encoded a part of the content, is to take no more passages than `most`."""

    def remarks(self, model_id: int) -> list[Remark]:
        """The files in whose contents something is missing, or of which the model left something out, by path."""

    def budget_of(self, digest: bytes, model_id: int) -> int | None:
        """How many passages of that content the model was to take at most; None where that is not noted."""

    def thinned_files(self, model_id: int, most: int) -> set[int]:
        """The ids of the files of contents that are thinned; see `is_thinned`."""

    def is_thinned(self, content_id: int, model_id: int, most: int) -> bool:
        """Whether the model left passages of that content out, and would take more of them if it might take `most`."""

    def add_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int = 0, is_whole: bool = True
    ) -> None:
        """Stores items of a content with their vectors: those from place `first` on, all of them if `is_whole`.

        What is there already, of another file of that content, stays as it is.
        """

    def note_wordless(self, content_id: int, model_id: int) -> None:
        """Notes that the model is through with a content, and that there was nothing to encode in it."""

    def remove_items_of(self, content_ids: Iterable[int], model_id: int | None = None) -> None:
        """Drops the items and vectors of those contents, or those of one model; the next run encodes them again."""

    def remove_items_of_model(self, model_id: int) -> int:
        """Drops all items and vectors that this model made. Returns how many there were."""

    def item_count(self) -> int: ...

    def latest_item(self) -> int:
        """The highest id of an item, or 0."""

    def item_ids(self, model_id: int, modality: Modality) -> ItemIds:
        """The ids, ascending, of all items of that model and modality."""

    def live_items(self, item_ids: ItemIds) -> ItemIds:
        """Those of the items, ascending, that are there."""

    def count_items_after(self, model_id: int, modality: Modality, item_id: int) -> int: ...

    def has_items_of(self, model_id: int) -> bool:
        """Whether that model has encoded anything."""

    def count_items_of(self, model_id: int) -> int: ...

    def spaces(self, model_id: int) -> list[tuple[Modality, Medium]]:
        """The modalities that items of that model have, each with the media of the files that they come from."""

    def modalities(self, model_id: int) -> list[Modality]:
        """The modalities that items of that model have, in order."""

    def vectors_after(self, model_id: int, modality: Modality, item_id: int, limit: int) -> tuple[ItemIds, list[bytes]]:
        """Ids (ascending) and float16 vectors, as bytes, of the model's first `limit` items after `item_id`."""

    def vectors_of(self, item_ids: ItemIds) -> tuple[ItemIds, list[bytes]]:
        """Ids (ascending) and float16 vectors, as bytes, of those items that are there."""

    def image_vector_at(self, path: bytes, model_id: int, at: bytes | None = None) -> HalfMatrix | None:
        """The stored vector of the picture at `path`, float16 [dimension], if the file is still as when it was read; it
        lies `at` another path, where this machine has the files elsewhere.

        Raises:
            OSError: there is no such file now.
        """

    def items_of_content(self, digest: bytes, model_id: int) -> dict[Modality, ItemIds]:
        """The ids, ascending, of the items that a model made of a content, by modality."""

    def items_of_contents(self, digests: Iterable[bytes]) -> set[int]:
        """The ids of all items of those contents."""

    def has_content(self, digest: bytes) -> bool:
        """Whether some file holds that content."""

    def digest_at(self, path: bytes) -> bytes | None:
        """The digest of the content of the file at `path`, as it was read last; None where there is none."""

    def places_of(self, item_ids: Iterable[int], filters: Filters) -> list[tuple[int, bytes, int, int]]:
        """The items with the path, size in bytes and content of each file that holds them and passes the filters."""

    def timed_items(self, item_ids: Iterable[int]) -> list[TimedItem]:
        """All items with a time that the models of the given items have made of the same contents, by item id."""

    def matching_items(self, filters: Filters, model_id: int, modality: Modality, with_pages: bool = True) -> ItemIds:
        """Ids, ascending, of the items in files that pass the filters; those of the pictures of pages only if asked."""

    def copied_items(self, filters: Filters) -> ItemIds:
        """The first items, ascending, of contents that more than one file holds of those that pass the filters."""

    def text_passages(
        self, model_id: int, filters: Filters, extensions: Collection[str], first_items: Sequence[int] | None = None
    ) -> Iterator[TextPassage]:
        """The passages that a model took of documents, and of texts with those extensions, in the order of the text.

        Of files that pass the filters, one content after another; with `first_items` of the contents with these alone.
        What stages have read is not among them, and no content of which the model left passages out.
        """

    def list_files(
        self, model_ids: Sequence[int], filters: Filters, listing: Listing
    ) -> tuple[list[tuple[int, bytes]], int]:
        """A page of the files that pass the filters and have items of those models, each by its first item and path.

        And how many there are on all pages. Of files of the same second the one that was modified last comes first.
        What is beside a picture of the same photo that passes is left out, unless copies are listed. With a seed they
        are in the order of `place_in_shuffle`. Of one content the first in the order is listed: of those files that
        other programs can open, else of those in archives, else behind URLs, else of those that are away.
        """

    def briefs(self, model_ids: Sequence[int], filters: Filters) -> list[FileBrief]:
        """What is counted of the files that `list_files` lists, one of each content."""

    def beside(self, paths: Sequence[bytes], filters: Filters) -> dict[bytes, list[Beside]]:
        """For each of these paths the files that may be one photo with it, itself included, if they pass the filters.

        They share its folder and its name but for the extension: pictures, RAW photos, and films of some 3 seconds.
        """

    def found_items(self, item_ids: Iterable[int], filters: Filters) -> list[FoundItem]:
        """The given items in every file that holds them and passes the filters; removed items are not there."""
