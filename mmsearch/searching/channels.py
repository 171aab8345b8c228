"""A library at one state, as a session sees it: its models, and the channels by which items are found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NamedTuple

from mmsearch.encoding.adapted import NO_ADAPTER
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Invalid, NotFound, Remedy
from mmsearch.nearest.gallery import Gallery, SpaceGallery
from mmsearch.nearest.recent import Recent
from mmsearch.nearest.spaces import ModelInUse, Space, model_in_use, with_adapter
from mmsearch.nearest.vectors import StoredVectors
from mmsearch.records import Calibration, Filters, Listing, Medium, Modality
from mmsearch.searching.calibration import own_calibration, stored_calibration
from mmsearch.searching.fusion import Fusion
from mmsearch.searching.options import SessionOptions
from mmsearch.searching.query import Term
from mmsearch.store.models import sound_models
from mmsearch.store.protocol import Store

_COUNTS_KEPT = 32


class StateKey(NamedTuple):
    """A state of a library: `line` rises where another database has taken the place of the one before."""

    line: int
    library_id: str
    number: int

    def is_after(self, other: StateKey) -> bool:
        """Whether the library was at that other state before."""
        return (self.line, self.library_id) == (other.line, other.library_id) and self.number >= other.number


class Channel(NamedTuple):
    """One way to find items: the space of a model and a modality; `media` are those of the files they come from."""

    in_use: ModelInUse
    modality: Modality
    media: frozenset[Medium]
    gallery: SpaceGallery


class LibraryState:
    """Everything that threads share while they answer queries at one state. Nothing of it changes."""

    def __init__(
        self,
        key: StateKey,
        models: Sequence[ModelInUse],
        channels: Sequence[Channel],
        encoder: Callable[[ModelInUse], AbstractContextManager[Encoder]],
        fusion: Fusion | None = None,
    ) -> None:
        self.key = key
        self.models = tuple(models)
        self.channels = tuple(channels)
        self.fusion = fusion
        self._encoder = encoder
        self._lock = threading.Lock()
        self._calibrations: dict[str, Calibration] = {}
        self._counts: Recent[tuple[Filters, bool], int] = Recent(_COUNTS_KEPT)

    @property
    def label(self) -> str:
        """The names and revisions of its models, as they are shown."""
        return ", ".join(in_use.identity.label for in_use in self.models)

    def troubles(self) -> tuple[str, ...]:
        """What was wrong with derived files that had to be done without."""
        return tuple(dict.fromkeys(one for channel in self.channels for one in channel.gallery.troubles()))

    def asked_models(self, terms: Sequence[Term], filters: Filters) -> list[ModelInUse]:
        """The models that take the terms of a query. One of sound takes texts, where it has items that may pass.

        Raises:
            Invalid: there are none but of sound, and one of the terms is a picture.
        """
        of_texts = all(term.modality == "text" for term in terms)
        if not of_texts and all(in_use.hears for in_use in self.models):
            raise Invalid(f"{self.label} hears, and sees no pictures; ask with words, or another model.")
        return [in_use for in_use in self.models if not in_use.hears or (of_texts and self._has(in_use, filters))]

    def _has(self, in_use: ModelInUse, filters: Filters) -> bool:
        """Whether the model has items of the medium that the filters ask for."""
        own = [channel for channel in self.channels if channel.in_use.model_id == in_use.model_id]
        return any(filters.medium in (None, *channel.media) for channel in own)

    def asked_channels(self, filters: Filters) -> list[tuple[Channel, Filters | None]]:
        """The channels in which something may pass the filters, each with these, or None where all of it does."""
        found: list[tuple[Channel, Filters | None]] = []
        medium, others = filters.medium, replace(filters, medium=None)
        for channel in self.channels:
            if medium is not None and medium not in channel.media:
                continue
            everything = not others and (medium is None or channel.media == {medium})
            found.append((channel, None if everything else filters))
        return found

    def calibration(self, store: Store, in_use: ModelInUse) -> Calibration:
        """That of the model in this library."""
        fingerprint = in_use.identity.fingerprint
        with self._lock:
            if fingerprint not in self._calibrations:
                self._calibrations[fingerprint] = self._measured(store, in_use)
            return self._calibrations[fingerprint]

    def count_files(self, store: Store, filters: Filters, copies: bool) -> int:
        """How many files pass the filters, copies once or each: the store goes through all of them, once a state."""
        model_ids = [in_use.model_id for in_use in self.models]
        listing = Listing(by_date=False, offset=0, limit=1, copies=copies)
        return self._counts.get((filters, copies), lambda: store.list_files(model_ids, filters, listing)[1])

    def _measured(self, store: Store, in_use: ModelInUse) -> Calibration:
        def of_model() -> Calibration | None:
            with self._encoder(in_use) as encoder:
                return encoder.calibration

        stored = stored_calibration(store, in_use.identity, in_use.query_bank, of_model)
        if stored is not None:
            return stored
        # Without a measurement there are few rows, or a run was cut off.
        modalities = [channel.modality for channel in self.channels if channel.in_use.model_id == in_use.model_id]
        vectors = {one: StoredVectors(store, in_use.space(one), 0) for one in modalities}
        with self._encoder(in_use) as encoder:
            return own_calibration(encoder, vectors)


def models_at(library: str, store: Store, options: SessionOptions) -> list[ModelInUse]:
    """The models that are searched with: without names the one in use and, beside it, those of sound.

    Raises:
        NotFound: the library is empty, or has no such model or adapter. Invalid: the adapter is for another model.
    """
    names = options.models or (None,)
    found = [model_in_use(store, options.adapter, name) for name in names]
    if not options.models:
        own = NO_ADAPTER if options.adapter == NO_ADAPTER else None
        found += [with_adapter(store, model, own) for model in sound_models(store)]
    models = {in_use.model_id: in_use for in_use in found if in_use is not None}
    if not models:
        raise NotFound(f"The library in {library} is empty.", Remedy("index"))
    return list(models.values())


def channels_at(
    folder: str,
    store: Store,
    models: Sequence[ModelInUse],
    options: SessionOptions,
    before: Sequence[Channel],
) -> list[Channel]:
    """The channels of those models; each takes over what it can of that of an earlier state of the same library."""
    known = {_known_by(channel.in_use.space(channel.modality)): channel.gallery for channel in before}
    found: list[Channel] = []
    for in_use in models:
        media: dict[Modality, set[Medium]] = {}
        for modality, medium in store.spaces(in_use.model_id):
            media.setdefault(modality, set()).add(medium)
        for modality, of_modality in media.items():
            space = in_use.space(modality)
            gallery = _gallery(folder, store, space, options, known.get(_known_by(space)))
            found.append(Channel(in_use, modality, frozenset(of_modality), gallery))
    return found


def _gallery(
    folder: str, store: Store, space: Space, options: SessionOptions, before: SpaceGallery | None
) -> SpaceGallery:
    """What finds the items of a space: the store, or this machine, which compares all vectors where that is asked."""
    if store.finds_nearest and options.scan != "exact":
        from mmsearch.nearest.store_gallery import StoreGallery

        return StoreGallery(space, before if isinstance(before, StoreGallery) else None)
    of_files = before if isinstance(before, Gallery) else None
    return Gallery(folder, space, options.scan, options.graph_from_rows, of_files)


def _known_by(space: Space) -> tuple[int, str, Modality, str]:
    return space.model_id, space.identity.fingerprint, space.modality, space.query_bank
