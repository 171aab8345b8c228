"""What a store is asked for by words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from mmsearch.records import Filters, WordPlace, WordSource
from mmsearch.store.words import AskedWord


class WordIndex(Protocol):
    """Which files and items hold which words, as `store.words` makes them of names and texts.

    A file's document has its name, its folders below and with its root, and title, keywords, place and description that
    it or its sidecars tell. Those of an item have its text and the name of its part; of the items that several models
    have made of one content alike only one model's are indexed. Whatever is written elsewhere in a store, its word
    index says so from the same transaction on.
    """

    def has_words(self) -> bool:
        """Whether there is a word index. Without one the others are not asked."""

    def documents_known(self) -> int:
        """How many documents the word index has."""

    def documents_with(self, words: Sequence[AskedWord], most: int) -> tuple[list[int], list[int]]:
        """The ids, ascending, of files whose documents hold all of the words, and of such items; the first of each.

        There are `most` of each at most, and as far as possible no more are looked at.
        """

    def documents_with_each(self, asked: Sequence[Sequence[AskedWord]], most: int) -> list[tuple[list[int], list[int]]]:
        """What `documents_with` finds for the first of these, for the second, and so on."""

    def items_in_files_with(self, named: Sequence[AskedWord], said: Sequence[AskedWord], most: int) -> list[int]:
        """The ids of items whose documents hold all of `said`, in files whose documents hold all of `named`.

        No more than `most`, of the first 20,000 documents of either kind.
        """

    def files_named(self, word: AskedWord, most: int) -> list[int]:
        """The ids of files in whose names, folders, titles, keywords or places that word stands; the first `most`."""

    def holds_any(self, words: Sequence[AskedWord]) -> bool:
        """Whether a document holds one of the words, of which there are 64 at most."""

    def files_with(self, word: AskedWord) -> set[int]:
        """The ids of all files in whose documents, or those of their items, that word stands."""

    def word_places(
        self, file_ids: Iterable[int], item_ids: Iterable[int], filters: Filters, model_ids: Sequence[int]
    ) -> list[WordPlace]:
        """Those files, each by its first item of these models, and those items in every file that holds them.

        Only files that pass the filters and that one of the models has encoded.
        """

    def word_sources(self, item_ids: Iterable[int], filters: Filters) -> list[WordSource]:
        """What is indexed of those items, and of every file that holds them and passes the filters."""

    def renew_words(self) -> None:
        """Indexes all words anew, within the caller's transaction."""

    def settle_words(self) -> bool:
        """Takes out for good, in a transaction of its own, what was removed. Whether there was something."""
