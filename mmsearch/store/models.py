"""The models of a library: rows of the catalogue, each with vectors of its own, and which of them searches use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.errors import Damaged, NotFound, Remedy
from mmsearch.models.reference import ModelRef
from mmsearch.records import ModelIdentity

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
        return self.identity.name


def stored_models(catalogue: Store) -> list[StoredModel]:
    """All of the library, the oldest first."""
    return [StoredModel(*row) for row in catalogue.model_rows()]


def searched_model(catalogue: Store) -> StoredModel | None:
    """The one that searches use, or None before the first `index`."""
    return _chosen(catalogue, _IN_USE)


def wanted_model(catalogue: Store) -> StoredModel | None:
    """The one that searches will use once it has encoded all files, or None."""
    return _chosen(catalogue, _WANTED)


def _chosen(catalogue: Store, setting: str) -> StoredModel | None:
    chosen = catalogue.number_setting(setting)
    return next((one for one in stored_models(catalogue) if one.id == chosen), None)


def model_called(catalogue: Store, name: str) -> StoredModel | None:
    """The library's model of that name, or the optimised form of it; None where it has neither."""
    models = stored_models(catalogue)
    # An older library may know a model by its longer name.
    known = {**{ModelRef.of(one.name).name: one for one in models}, **{one.name: one for one in models}}
    names = (name, *ModelRef.of(name).forms)
    return next((known[one] for one in names if one in known), None)


def model_of(catalogue: Store, identity: ModelIdentity) -> StoredModel | None:
    """The library's model that makes the same vectors, under whatever name, or None."""
    known = stored_models(catalogue)
    return next((one for one in known if one.identity.fingerprint == identity.fingerprint), None)


def rename(catalogue: Store, model: StoredModel, identity: ModelIdentity) -> StoredModel:
    """Says that the model is called as that identity is: its folder was moved, or it came to the models of the disk."""
    with catalogue.transaction():
        catalogue.rename_model(model.id, identity)
    return StoredModel(model.id, identity)


def find_model(catalogue: Store, name: str, exactly: bool = False) -> StoredModel:
    """The library's model of that name or, unless `exactly` that is meant, the optimised form of it.

    Raises:
        NotFound: no file of the library was encoded with it.
    """
    found = model_called(catalogue, name)
    if found is not None and exactly and ModelRef.of(found.name) != ModelRef.of(name):
        found = None
    if found is None:
        names = ", ".join(one.name for one in stored_models(catalogue)) or "none yet"
        raise NotFound(
            f"No file of the library is encoded with {name} (models it has: {names})", Remedy("index.model", name)
        )
    return found


def check_same_model(folder: str, indexed: ModelIdentity, installed: ModelIdentity) -> None:
    """Raises Damaged where the installed model is not the one that the library in `folder` was indexed with."""
    if indexed.fingerprint != installed.fingerprint:
        raise Damaged(
            f"The library in {folder} was indexed with {indexed.label} and the installed model is {installed.label} of "
            "other weights",
            Remedy("index.rebuild", indexed.name),
        )


def add_model(catalogue: Store, identity: ModelIdentity) -> int:
    """Takes a model into the library, within the caller's transaction. The first is the one that searches use.

    What another one of that name, or with the same vectors, has encoded is dropped, and searches use the new one where
    they used that. Returns its id.
    """
    used, wanted = searched_model(catalogue), wanted_model(catalogue)
    replaced = [
        one
        for one in stored_models(catalogue)
        if one.name == identity.name or one.identity.fingerprint == identity.fingerprint
    ]
    for known in replaced:
        catalogue.remove_items_of_model(known.id)
        catalogue.remove_failures_of_model(known.id)
        catalogue.delete_model(known.id)
    model_id = catalogue.insert_model(identity)
    if used is None or used in replaced:
        catalogue.set_setting(_IN_USE, str(model_id))
    if wanted in replaced:
        catalogue.set_setting(_WANTED, str(model_id))
    return model_id


def files_to_encode(catalogue: Store, model_id: int) -> set[int]:
    """The ids of the files of the library that the model is to encode. Costs nothing where there are none.

    What it could not encode is not among them, until it changes.
    """
    return catalogue.files_without_items(model_id) if catalogue.may_lack_files(model_id) else set()


def note_caught_up(catalogue: Store, model_id: int) -> None:
    """Says that the model has encoded all files, within the caller's transaction."""
    catalogue.set_caught_up(model_id)


def search_with(catalogue: Store, model: StoredModel) -> None:
    """Makes it the model that searches use from now on, within the caller's transaction."""
    catalogue.set_setting(_IN_USE, str(model.id))
    catalogue.remove_setting(_WANTED)


def search_later_with(catalogue: Store, model: StoredModel) -> None:
    """Makes it the model that searches will use once it has caught up, within the caller's transaction."""
    catalogue.set_setting(_WANTED, str(model.id))


def switch_if_caught_up(catalogue: Store) -> StoredModel | None:
    """Lets searches use the wanted model if it has encoded all files that it can. Returns it if that is so."""
    wanted = wanted_model(catalogue)
    if wanted is None or files_to_encode(catalogue, wanted.id) or not catalogue.has_items_of(wanted.id):
        return None
    with catalogue.transaction():
        note_caught_up(catalogue, wanted.id)
        search_with(catalogue, wanted)
    return wanted


def drop_model(catalogue: Store, model: StoredModel) -> int:
    """Takes a model that searches do not use out of the library, with its vectors. Returns how many there were."""
    with catalogue.transaction():
        if catalogue.number_setting(_WANTED) == model.id:
            catalogue.remove_setting(_WANTED)
        # No other model's derived files have rows of it, and its own are not believed any more.
        before = catalogue.items_removed()
        removed = catalogue.remove_items_of_model(model.id)
        catalogue.set_setting("items_removed", str(before))
        catalogue.remove_failures_of_model(model.id)
        catalogue.remove_settings_of(model.identity.fingerprint)
        catalogue.delete_model(model.id)
        return removed
