"""What the rows of any store say to its word index: which columns have words, and what they are as texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mmsearch.records import WordSource
from mmsearch.store.words import name_and_folders

# The settings that tell which words are indexed, and that the index may still have removed ones.
INDEXED, REMOVED = "words", "words_removed"
# So many documents of either kind are looked through for those that belong together.
MOST_JOINED = 20_000

# Of a file, what its content and then its sidecars say: short texts, as a name is one, and descriptions.
SAID = tuple(f"{table}.{name}" for table in ("details", "sidecars") for name in ("title", "keywords", "place"))
TOLD = ("details.description", "sidecars.description")
SOURCE_COLUMNS = ", ".join(
    (
        *("items.id", "items.model_id", "items.modality", "files.path", "files.content_id", "files.size", "roots.path"),
        *(*SAID, *TOLD, "items.text", "part_names.name"),
    )
)


def word_source(row: Sequence[Any]) -> WordSource:
    """What is indexed of an item and of a file that holds it, in the columns SOURCE_COLUMNS."""
    item_id, model_id, modality, path, content_id, size, root = row[:7]
    name, folders = name_and_folders(path, root)
    said_to, told_to = 7 + len(SAID), 7 + len(SAID) + len(TOLD)
    texts = joined(row[7:said_to]), joined(row[said_to:told_to]), joined(row[told_to:])
    return WordSource(item_id, model_id, modality, path, content_id, size, name, folders, *texts)


def joined(texts: Iterable[str | None]) -> str:
    """Texts as one, those that say something, each on a line of its own."""
    return "\n".join(text for text in texts if text)
