"""The adapters of a library: rows of the store, and which of them searches with each model go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.encoding.adapted import NO_ADAPTER, Adapter
from mmsearch.errors import Damaged, NotFound, Remedy

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter as the store holds it: `weights` is its file, `about` the JSON of how it was made and did.

    It is not sound where damage has changed something of it.
    """

    id: int
    name: str
    version: int
    model_fingerprint: str
    weights: bytes
    about: str
    added: str
    is_sound: bool = True

    @property
    def label(self) -> str:
        """The name and version as they are shown, for example `pets@2`."""
        return f"{self.name}@{self.version}"

    def open(self) -> Adapter:
        """The adapter itself.

        Raises:
            Damaged: what is stored is not readable.
        """
        if not self.is_sound:
            raise Damaged(f"The adapter {self.label} is damaged", Remedy("adapters.remove", self.label))
        try:
            return Adapter.from_bytes(self.name, self.version, self.model_fingerprint, self.weights)
        except Exception as error:  # numpy and zipfile raise many kinds on damaged bytes
            raise Damaged(f"The adapter {self.label} is damaged", Remedy("adapters.remove", self.label)) from error


def adapter_in_use(store: Store, model_fingerprint: str) -> StoredAdapter | None:
    """The one that searches with that model go through."""
    chosen = store.number_setting(_in_use(model_fingerprint))
    known = store.adapters(chosen)
    # What is damaged is not passed over: its searches would be others without a word.
    return next((one for one in known if one.model_fingerprint == model_fingerprint or not one.is_sound), None)


def find_adapter(store: Store, written: str) -> StoredAdapter | None:
    """The adapter called `name` (its newest version) or `name@version`; None for the word none.

    Raises:
        NotFound: there is no such adapter.
    """
    if written == NO_ADAPTER:
        return None
    name, _, version = written.partition("@")
    known = store.adapters()
    fitting = [one for one in known if one.name == name and version in ("", str(one.version))]
    if not fitting:
        if not known:
            raise NotFound(f"There is no adapter {written} in this library, which has none yet", Remedy("train"))
        names = ", ".join(one.label for one in known)
        raise NotFound(f"There is no adapter {written} in this library (it has: {names}).")
    return max(fitting, key=lambda one: one.version)


def next_version(store: Store, name: str) -> int:
    """The version that the next adapter of that name gets, from 1 on; none is ever given twice."""
    return store.number_setting(f"adapter_version {name}") + 1


def add_adapter(store: Store, adapter: Adapter, about: str) -> int:
    """Stores an adapter, within the caller's transaction. Returns its id."""
    adapter_id = store.insert_adapter(
        adapter.name, adapter.version, adapter.model_fingerprint, adapter.to_bytes(), about
    )
    store.set_setting(f"adapter_version {adapter.name}", str(adapter.version))
    return adapter_id


def use_adapter(store: Store, model_fingerprint: str, adapter_id: int | None) -> None:
    """Makes it the one that searches with that model go through, or none for None; within the caller's transaction."""
    if adapter_id is None:
        store.remove_setting(_in_use(model_fingerprint))
    else:
        store.set_setting(_in_use(model_fingerprint), str(adapter_id))


def remove_adapter(store: Store, adapter: StoredAdapter) -> None:
    """Takes it out of the library, within the caller's transaction."""
    if store.setting(_in_use(adapter.model_fingerprint)) == str(adapter.id):
        use_adapter(store, adapter.model_fingerprint, None)
    store.delete_adapter(adapter.id)


def _in_use(model_fingerprint: str) -> str:
    """The setting that holds the id of the adapter that searches with that model go through."""
    return f"adapter_id {model_fingerprint}"
