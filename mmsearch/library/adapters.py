"""`Library().adapters`: small learned maps on top of the library's model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmsearch.encoding.adapted import NO_ADAPTER, check_adapter_name
from mmsearch.errors import Invalid, Remedy
from mmsearch.library.access import Access
from mmsearch.store.adapters import find_adapter, remove_adapter, use_adapter

if TYPE_CHECKING:
    from mmsearch.adapters.recipe import AdapterRecipe, AdapterReport
    from mmsearch.adapters.training import AdapterStatus
    from mmsearch.evaluation.datasets import Dataset
    from mmsearch.records import Progress


class Adapters:
    """The door `Library().adapters`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def list(self) -> tuple[AdapterStatus, ...]:
        """The library's adapters, by name and version."""
        from mmsearch.adapters.training import adapter_statuses

        with self._access.guarded():
            return tuple(adapter_statuses(self._access.reading()))

    def train(
        self,
        dataset: Dataset,
        *,
        name: str = "adapter",
        recipe: AdapterRecipe | None = None,
        force: bool = False,
        workers: int | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> AdapterReport:
        """Trains an adapter for the library's model on captioned or labelled photos, and puts it in use.

        Stored vectors are moved by it; no file is encoded again. An adapter with which held-out photos are found no
        better is refused (AdapterRefused) unless `force` is given. `use("none")` goes back.
        """
        from mmsearch.adapters.training import Training, keep_adapter, refuse_what_is_no_better, train_adapter

        check_adapter_name(name)
        access = self._access
        with access.guarded():
            in_use = access.model_in_use(NO_ADAPTER)
            encoder = access.encoder_of(in_use)
            training = Training(dataset, name, recipe, workers, on_progress)
            trained = train_adapter(access.reading(), in_use, encoder, training)
            if not force:
                refuse_what_is_no_better(trained.report)
            with access.writing() as store:
                report = keep_adapter(store, trained)
                access.refresh(store, encoder)
                return report

    def use(self, name: str) -> str:
        """Searches go through that adapter from now on; `none` for none. Returns the label of model and adapter."""
        access = self._access
        with access.guarded():
            wanted = access.model_in_use(name)
            encoder = access.encoder_of(access.model_in_use(NO_ADAPTER))
            with access.writing() as store:
                stored = find_adapter(store, name)
                with store.transaction():
                    use_adapter(store, wanted.model.fingerprint, stored.id if stored else None)
                access.refresh(store, encoder)
            return wanted.identity.label

    def remove(self, name: str) -> str:
        """Takes an adapter out of the library for good. Returns its name and version."""
        with self._access.guarded():
            stored = find_adapter(self._access.reading(), name)
            if stored is None:
                raise Invalid("none is no adapter that could be removed", Remedy("adapters.list"))
            with self._access.writing() as store:
                with store.transaction():
                    remove_adapter(store, stored)
                self._access.refresh(store)
            return stored.label
