"""The models of a library: rows of the store, each with vectors of its own, and which of them searches use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.errors import Damaged, NotFound, Remedy
from mmsearch.models.reference import ModelRef
from mmsearch.models.revisions import name_of, opened_as
from mmsearch.records import BUILTIN_MODEL, SOUND_MODELS, Medium, ModelIdentity

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

_IN_USE = "model_id"
_WANTED = "model_wanted"


@dataclass(frozen=True)
class StoredModel:
    """A model that files of a library were encoded with."""

    id: int
    identity: ModelIdentity

    @property
    def name(self) -> str:
        """What it is called: an older revision of the built-in model with its revision, as `mmsearch-mini@2`."""
        return name_of(self.identity)


def stored_models(store: Store) -> list[StoredModel]:
    """All of the library, the oldest first."""
    return [StoredModel(*row) for row in store.model_rows()]


def searched_model(store: Store) -> StoredModel | None:
    """The one that searches use, or None before the first `index`."""
    return _chosen(store, _IN_USE)


def wanted_model(store: Store) -> StoredModel | None:
    """The one that searches will use once it has encoded all files, or None."""
    return _chosen(store, _WANTED)


def _chosen(store: Store, setting: str) -> StoredModel | None:
    chosen = store.number_setting(setting)
    return next((one for one in stored_models(store) if one.id == chosen), None)


def model_called(store: Store, name: str) -> StoredModel | None:
    """The library's model of that name, or the optimised form of it; None where it has neither."""
    models = stored_models(store)
    # An older library may know a model by its longer name.
    known = {**{ModelRef.of(one.name).name: one for one in models}, **{one.name: one for one in models}}
    names = (name, *ModelRef.of(name).forms)
    return next((known[one] for one in names if one in known), None)


def model_to_search(store: Store, name: str) -> StoredModel:
    """The library's model of that name; the built-in one is that in the revision which the library took in last.

    So scripts that name it go on working when there is a newer one that has encoded nothing yet.

    Raises:
        NotFound: no file of the library was encoded with it.
    """
    if name == BUILTIN_MODEL and model_called(store, name) is None:
        older = [one for one in stored_models(store) if one.identity.name == BUILTIN_MODEL]
        if older:
            return older[-1]
    return find_model(store, name)


def lost_revisions(store: Store) -> list[StoredModel]:
    """Models of the library that are the built-in one in revisions that this package does not have."""
    return [one for one in stored_models(store) if opened_as(one.identity) != one.name]


def model_of(store: Store, identity: ModelIdentity) -> StoredModel | None:
    """The library's model that makes the same vectors, under whatever name, or None."""
    known = stored_models(store)
    return next((one for one in known if one.identity.fingerprint == identity.fingerprint), None)


def rename(store: Store, model: StoredModel, identity: ModelIdentity) -> StoredModel:
    """Says that the model is called as that identity is: its folder was moved, or it came to the models of the disk."""
    with store.transaction():
        store.rename_model(model.id, identity)
    return StoredModel(model.id, identity)


def find_model(store: Store, name: str, exactly: bool = False) -> StoredModel:
    """The library's model of that name or, unless `exactly` that is meant, the optimised form of it.

    Raises:
        NotFound: no file of the library was encoded with it.
    """
    found = model_called(store, name)
    if found is not None and exactly and ModelRef.of(found.name) != ModelRef.of(name):
        found = None
    if found is None:
        names = ", ".join(one.name for one in stored_models(store)) or "none yet"
        raise NotFound(
            f"No file of the library is encoded with {name} (models it has: {names})", Remedy("index.model", name)
        )
    return found


def check_same_model(library: str, indexed: ModelIdentity, installed: ModelIdentity) -> None:
    """Raises Damaged where the installed model is not the one that `library` was indexed with."""
    if indexed.fingerprint != installed.fingerprint:
        raise Damaged(
            f"The library in {library} was indexed with {indexed.label} and the installed model is {installed.label} "
            "of other weights",
            Remedy("index.rebuild", indexed.name),
        )


def add_model(store: Store, identity: ModelIdentity, instead_of: Sequence[StoredModel] = ()) -> int:
    """Takes a model into the library, within the caller's transaction. The first is the one that searches use.

    It takes the place of a model of that name, of one with the same vectors, and of those in `instead_of`: what these
    have encoded is dropped, and searches that used one of them use it. Returns its id.
    """
    used, wanted = searched_model(store), wanted_model(store)
    replaced = [
        one
        for one in stored_models(store)
        if one.name == name_of(identity) or one.identity.fingerprint == identity.fingerprint or one in instead_of
    ]
    for known in replaced:
        store.remove_items_of_model(known.id)
        store.remove_failures_of_model(known.id)
        store.delete_model(known.id)
    if sounding := _sound_models(store):
        _keep_sound_models(store, sounding - {one.id for one in replaced})
    model_id = store.insert_model(identity)
    if used is None or used in replaced:
        store.set_setting(_IN_USE, str(model_id))
    if wanted in replaced:
        store.set_setting(_WANTED, str(model_id))
    return model_id


def files_to_encode(store: Store, model_id: int) -> set[int]:
    """The ids of the files of the library that the model is to encode. Costs nothing where there are none.

    What it could not encode is not among them, until it changes.
    """
    return files_it_lacks(store, model_id) if store.may_lack_files(model_id) else set()


def files_it_lacks(store: Store, model_id: int) -> set[int]:
    """The same, looked for among all files, though it is known that there should be none."""
    return store.files_without_items(model_id, media_of(store, model_id))


def media_of(store: Store, model_id: int) -> list[Medium] | None:
    """The media that are the model's to encode: those that may have sound, for a model of it; None for all."""
    from mmsearch.reading import media_with_sound

    return media_with_sound() if is_sound_model(store, model_id) else None


def is_sound_model(store: Store, model_id: int) -> bool:
    """Whether searches ask the model for sound, beside the one that they use."""
    return model_id in _sound_models(store)


def sound_models(store: Store) -> list[StoredModel]:
    """The models of sound, which searches ask beside the one that they use; the oldest first."""
    known = _sound_models(store)
    return [one for one in stored_models(store) if one.id in known] if known else []


def add_sound_model(store: Store, identity: ModelIdentity, instead_of: Sequence[StoredModel] = ()) -> int:
    """Takes a model of sound into the library, within the caller's transaction; see `add_model`. Returns its id.

    Another one is to be there that searches use.
    """
    model_id = add_model(store, identity, instead_of)
    _keep_sound_models(store, _sound_models(store) | {model_id})
    return model_id


def mend_sound_models(store: Store) -> None:
    """Says again which models are of sound, where that is lost and what they have encoded tells."""
    hearing = {one.id for one in stored_models(store) if store.modalities(one.id) == ["audio"]}
    if not hearing <= _sound_models(store):
        _keep_sound_models(store, _sound_models(store) | hearing)


def _sound_models(store: Store) -> set[int]:
    try:
        found = json.loads(store.setting(SOUND_MODELS) or "[]")
    except ValueError:  # damaged
        return set()
    return {one for one in found if isinstance(one, int)} if isinstance(found, list) else set()


def _keep_sound_models(store: Store, model_ids: set[int]) -> None:
    if model_ids:
        store.set_setting(SOUND_MODELS, json.dumps(sorted(model_ids)))
    else:
        store.remove_setting(SOUND_MODELS)


def note_caught_up(store: Store, model_id: int) -> None:
    """Says that the model has encoded all files, within the caller's transaction."""
    store.set_caught_up(model_id)


def search_with(store: Store, model: StoredModel) -> None:
    """Makes it the model that searches use from now on, within the caller's transaction."""
    store.set_setting(_IN_USE, str(model.id))
    store.remove_setting(_WANTED)


def search_later_with(store: Store, model: StoredModel) -> None:
    """Makes it the model that searches will use once it has caught up, within the caller's transaction."""
    store.set_setting(_WANTED, str(model.id))


def switch_if_caught_up(store: Store) -> StoredModel | None:
    """Lets searches use the wanted model if it has encoded all files that it can. Returns it if that is so."""
    wanted = wanted_model(store)
    if wanted is None or files_to_encode(store, wanted.id) or not store.has_items_of(wanted.id):
        return None
    with store.transaction():
        note_caught_up(store, wanted.id)
        search_with(store, wanted)
    return wanted


def drop_model(store: Store, model: StoredModel) -> int:
    """Takes a model that searches do not use out of the library, with its vectors. Returns how many there were."""
    with store.transaction():
        if store.number_setting(_WANTED) == model.id:
            store.remove_setting(_WANTED)
        # No other model's derived files have rows of it, and its own are not believed any more.
        before = store.items_removed()
        removed = store.remove_items_of_model(model.id)
        store.set_setting("items_removed", str(before))
        store.remove_failures_of_model(model.id)
        store.remove_settings_of(model.identity.fingerprint)
        store.delete_model(model.id)
        if is_sound_model(store, model.id):
            _keep_sound_models(store, _sound_models(store) - {model.id})
        return removed
