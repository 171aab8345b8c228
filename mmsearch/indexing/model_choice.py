"""Which models a run of `index` encodes with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError, Refused, Remedy
from mmsearch.indexing.roots import root_status
from mmsearch.models.opening import Encoders
from mmsearch.models.revisions import newest_revision
from mmsearch.records import BUILTIN_MODEL
from mmsearch.store.models import (
    StoredModel,
    add_model,
    add_sound_model,
    check_same_model,
    lost_revisions,
    model_called,
    model_of,
    rename,
    searched_model,
    sound_models,
    wanted_model,
)
from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class ChosenModels:
    """The models that a run encodes with: the `chosen` one, then the one that searches wait for, and those of sound."""

    chosen: StoredModel
    encoder: Encoder
    wanted: StoredModel | None = None
    sound: tuple[StoredModel, ...] = ()


class ModelChoice:
    """Chooses for a run that asks for the model `name`, or for none, of a library that lies at `location`.

    With `rebuild` the model begins anew.
    """

    def __init__(self, encoders: Encoders, location: str, name: str | None, rebuild: bool) -> None:
        self._encoders, self._location = encoders, location
        self._name, self._rebuild = name, rebuild

    def chosen(self, store: Store) -> ChosenModels:
        """The models that the run encodes with; what is new among them is taken into the library.

        Raises:
            MmsearchError: one of them is not there, or not the one that it was; or what it has encoded would be lost.
        """
        chosen, encoder = self._first(store)
        if encoder.hearing is not None:
            searched = searched_model(store)
            assert searched is not None  # a model of sound comes to a library beside another one
            return ChosenModels(*self.known(searched), None, (chosen,))
        if self._name is not None:
            return ChosenModels(chosen, encoder)
        wanted = wanted_model(store)
        return ChosenModels(chosen, encoder, wanted if wanted != chosen else None, tuple(sound_models(store)))

    def _first(self, store: Store) -> tuple[StoredModel, Encoder]:
        """The model that is asked for, or the one that searches use, taken into the library if it is new."""
        name = self._name
        known = model_called(store, name) if name else searched_model(store)
        if self._rebuild:
            return self._begun_anew(store, known)
        if known is not None:
            return self.known(known)
        encoder = self._encoders.new(name)
        same = model_of(store, encoder.identity)
        if same is not None:
            try:
                return self.known(same)
            except MmsearchError:  # its folder is not where it was
                return rename(store, same, encoder.identity), encoder
        if encoder.hearing is not None and searched_model(store) is None:
            _taken_in(store, self._encoders.new(None))
        return _taken_in(store, encoder)

    def _begun_anew(self, store: Store, known: StoredModel | None) -> tuple[StoredModel, Encoder]:
        """The model with nothing encoded, in the place of the one that is `known`.

        Without a name an older revision of the built-in one makes room for the newest: what is encoded again anyway is
        so with the better one. The newest takes the place, too, of revisions that are not there any more.
        """
        if known is None:
            encoder = self._encoders.new(self._name)
            replaced = lost_revisions(store) if encoder.identity.name == BUILTIN_MODEL else []
        else:
            encoder = self._encoders.of(known.identity) if self._name else self._encoders.called(known.identity.name)
            replaced = [known]
        if replaced:
            _check_nothing_is_away(store)
        return _taken_in(store, encoder, replaced)

    def known(self, known: StoredModel) -> tuple[StoredModel, Encoder]:
        """A model of the library with its encoder.

        Raises:
            MmsearchError: it is not there, or not the one that it was.
        """
        encoder = self._encoders.of(known.identity)
        check_same_model(self._location, known.identity, encoder.identity)
        return known, encoder


def _taken_in(store: Store, encoder: Encoder, instead_of: Sequence[StoredModel] = ()) -> tuple[StoredModel, Encoder]:
    """The encoder's model, new in the library, where it takes the place of those."""
    add = add_model if encoder.hearing is None else add_sound_model
    with store.transaction():
        return StoredModel(add(store, encoder.identity, instead_of), encoder.identity), encoder


def newer_revision(store: Store, searched: StoredModel) -> str | None:
    """The label of the newest revision of the built-in model, where searches use an older one and wait for none."""
    if searched.identity.name != BUILTIN_MODEL or searched.name == BUILTIN_MODEL or wanted_model(store) is not None:
        return None
    return f"{BUILTIN_MODEL}@{newest_revision()}"


def _check_nothing_is_away(store: Store) -> None:
    """Raises Refused if there are files that cannot be encoded again now, so that nothing is dropped."""
    for root in store.roots():
        state = root_status(store, root)
        away = root.path if state.offline or state.absent else next(iter(state.unmounted), None)
        if away is not None:
            what = "is not there" if away != root.path or state.offline else "has lost files"
            raise Refused(
                f"{os.fsdecode(away)} {what}, so its files cannot be encoded again; connect its drive",
                Remedy("prune.gone"),
            )
