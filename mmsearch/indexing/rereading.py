"""Which files are to be read though they have not changed: the model lacks them, or readers have become better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsearch.reading import STAGES, ReadLimits, details_versions, reader_versions, readers_label
from mmsearch.records import Medium
from mmsearch.store.models import files_to_encode, media_of
from mmsearch.store.settings import wanted_stages

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# What the library was last read with: as long as it is the same, no content needs to be looked at for its reader.
_READERS_SETTING = "readers"


def wordless_media(store: Store) -> frozenset[Medium]:
    """The media of files that a stage of the library takes though their reader finds nothing in them to be found by."""
    wanted = wanted_stages(store, [stage.name for stage in STAGES])
    return frozenset(
        medium for stage in STAGES if stage.takes_wordless and stage.name in wanted for medium in stage.media
    )


def files_to_read(store: Store, model_id: int, limits: ReadLimits) -> set[int]:
    """The ids of files that are to be read whether they have changed or not."""
    found = files_to_encode(store, model_id) | store.thinned_files(model_id, limits.max_passages)
    if is_read_by_todays(store):
        return found
    media = media_of(store, model_id)
    versions = {medium: version for medium, version in reader_versions().items() if media is None or medium in media}
    return found | store.files_read_otherwise(versions)


def files_lacking_details(store: Store) -> set[int]:
    """The ids of files of which details are to be read: another version of their reader has read them, or none."""
    return set() if is_read_by_todays(store) else store.files_detailed_otherwise(details_versions())


def is_read_by_todays(store: Store) -> bool:
    """Whether it is known that the readers of today have read all files."""
    return store.setting(_READERS_SETTING) == readers_label()


def is_news_that_all_are_read(store: Store) -> bool:
    """Whether the readers of today have read all files, and that is not noted yet. On a drive that is away there may be
    some that they have not.
    """
    return not (
        is_read_by_todays(store)
        or store.files_read_otherwise(reader_versions())
        or store.files_detailed_otherwise(details_versions())
    )


def note_readers(store: Store) -> None:
    """Notes that the readers of today have read all files, where that is so."""
    if is_news_that_all_are_read(store):
        store.set_setting(_READERS_SETTING, readers_label())
