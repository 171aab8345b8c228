"""The models of one library: which encode its files, which one searches use, and changing from one to another.

Each has vectors of its own. While a new one encodes what is there, searches go on with the old one, whose vectors stay
until it is dropped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.library.access import LibraryAccess, other_model
from mmsearch.models.opening import canonical_model_name, preferred_model_name
from mmsearch.records import BUILTIN_MODEL
from mmsearch.store.models import (
    StoredModel,
    add_model,
    drop_model,
    files_lacking,
    find_model,
    model_called,
    model_of,
    note_caught_up,
    rename,
    search_later_with,
    search_with,
    searched_model,
    stored_models,
    wanted_model,
)
from mmsearch.store.sqlite.refusals import errors_told
from mmsearch.store.sqlite.store import Catalogue

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class LibraryModel:
    """A model of a library: how many of its files it has encoded, how many it has not yet, and how many it cannot.

    `searched` is the one that searches use, `wanted` the one that they will use once it lacks none.
    """

    name: str
    label: str
    dimension: int
    files: int
    lacking: int
    failed: int
    searched: bool
    wanted: bool


class LibraryModels(LibraryAccess):
    """What a library knows of its models."""

    def models(self) -> list[LibraryModel]:
        """The models of this library, the oldest first. `encoding.model_store` tells of those on this disk."""
        with errors_told(self.folder):
            catalogue = self._catalogue()
            files = catalogue.file_count()
            searched, wanted = searched_model(catalogue), wanted_model(catalogue)
            found = []
            for model in stored_models(catalogue):
                lacking = len(files_lacking(catalogue, model.id))
                failed = catalogue.count_not_encoded(model.id)
                identity = model.identity
                found.append(
                    LibraryModel(
                        name=identity.name,
                        label=identity.label,
                        dimension=identity.dimension,
                        files=files - lacking - failed,
                        lacking=lacking,
                        failed=failed,
                        searched=model == searched,
                        wanted=model == wanted,
                    )
                )
            return found

    def use_model(self, name: str, *, at_once: bool = False) -> LibraryModel:
        """Searches use that model from now on or, if there are files that it has not encoded, once an index run has
        seen to them. `at_once` does not wait for that: those files are not found then.
        """
        from mmsearch.nearest.spaces import with_adapter

        with errors_told(self.folder):
            self._catalogue()
            with self._writing() as catalogue:
                model = find_model(catalogue, name)
                self._encoder_of(with_adapter(catalogue, model))  # one that is not there is told before
                lacking = files_lacking(catalogue, model.id)
                if not at_once and not lacking and catalogue.file_count() and not catalogue.has_items_of(model.id):
                    raise MmsearchError(
                        f"{model.name} could encode none of the library's files, so searches would find nothing; "
                        "`mmsearch status --failed` says why, and `mmsearch index --retry` tries again."
                    )
                with catalogue.transaction():
                    if not lacking:
                        note_caught_up(catalogue, model.id)
                    if lacking and not at_once and model != searched_model(catalogue):
                        search_later_with(catalogue, model)
                    else:
                        search_with(catalogue, model)
                self._refresh_derived(catalogue)
            return next(one for one in self.models() if one.name == model.name)

    def drop_model(self, name: str) -> int:
        """Takes a model's vectors out of the library and returns how many. The model itself stays on the disk."""
        from mmsearch.store.sqlite.upkeep import compact_if_wasteful

        with errors_told(self.folder):
            self._catalogue()
            with self._writing() as catalogue:
                model = find_model(catalogue, name, exactly=True)
                if model == searched_model(catalogue):
                    others = [one.name for one in stored_models(catalogue) if one != model]
                    raise MmsearchError(
                        f"Searches use {model.name}, so it stays; choose another model with `mmsearch models use "
                        f"{others[0] if others else 'NAME'}` first."
                    )
                dropped = drop_model(catalogue, model)
                self._refresh_derived(catalogue)
                compact_if_wasteful(catalogue, self.folder)
                return dropped

    def pictures(self, most: int = 32) -> list[Image]:
        """Up to so many pictures of the library, as an encoder takes them, to compare models with."""
        from mmsearch.indexing.pictures import pictures_at

        if not self.exists():
            return []
        with errors_told(self.folder):
            return pictures_at(self._catalogue().some_pictures(2 * most), most)

    # For an index run

    def _new_encoder(self, name: str | None) -> Encoder:
        """The encoder of a model that the library does not know yet."""
        return self._encoder(preferred_model_name(canonical_model_name(name), self._device) if name else BUILTIN_MODEL)

    def _model_to_index(self, catalogue: Catalogue, name: str | None, rebuild: bool) -> tuple[StoredModel, Encoder]:
        """The model of that name, or the one that searches use, taken into the library if it is new."""
        known = model_called(catalogue, name) if name else searched_model(catalogue)
        if known is None:
            encoder = self._new_encoder(name)
            same = model_of(catalogue, encoder.identity)
            if same is not None and not rebuild:
                try:
                    return self._known_model(same)
                except MmsearchError:  # its folder is not where it was
                    return rename(catalogue, same, encoder.identity), encoder
        else:
            encoder = self._encoder(known.name)
            if not rebuild:
                return self._known_model(known)
            _check_nothing_is_away(catalogue)
        identity = encoder.identity
        with catalogue.transaction():
            return StoredModel(add_model(catalogue, identity), identity), encoder

    def _known_model(self, known: StoredModel) -> tuple[StoredModel, Encoder]:
        encoder = self._encoder(known.name)
        if known.identity.fingerprint != encoder.identity.fingerprint:
            raise other_model(self.folder, known.identity, encoder.identity)
        return known, encoder


def _check_nothing_is_away(catalogue: Catalogue) -> None:
    """Raises MmsearchError if there are files that cannot be encoded again now, so that nothing is dropped."""
    from mmsearch.indexing.roots import root_status

    for root in catalogue.roots():
        state = root_status(catalogue, root)
        away = root.path if state.offline or state.absent else next(iter(state.unmounted), None)
        if away is not None:
            what = "is not there" if away != root.path or state.offline else "has lost files"
            raise MmsearchError(
                f"{os.fsdecode(away)} {what}, so its files cannot be encoded again; connect its drive, or "
                "take out what is gone with `mmsearch prune`."
            )
