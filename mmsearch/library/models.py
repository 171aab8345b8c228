"""`Library().models`: the models of this disk, and those of the library.

Each model of a library has vectors of its own. While a new one encodes what is there, searches go on with the old one,
whose vectors stay until it is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmsearch.errors import Refused, Remedy
from mmsearch.library.access import Access
from mmsearch.records import NOTHING_HEARD
from mmsearch.store.models import (
    drop_model,
    files_to_encode,
    find_model,
    is_sound_model,
    media_of,
    note_caught_up,
    search_later_with,
    search_with,
    searched_model,
    stored_models,
    wanted_model,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.models.installed import InstalledModel, RemovedModel
    from mmsearch.models.known import KnownModel
    from mmsearch.models.optimise.building import OptimisedModel
    from mmsearch.models.packing import ExportedModel
    from mmsearch.records import Progress


@dataclass(frozen=True)
class LibraryModel:
    """A model of a library: how many of its files it has encoded, how many it has not yet, and how many it cannot.

    `searched` is the one that searches use, `wanted` the one that they will use once it lacks none. One that `hears` is
    asked by them too, for sound: its files are those with sound in them, and it lacks no others.
    """

    name: str
    label: str
    dimension: int
    files: int
    lacking: int
    failed: int
    searched: bool
    wanted: bool
    hears: bool = False


@dataclass(frozen=True)
class DroppedModel:
    """A model whose vectors were taken out of the library, and how many there were."""

    name: str
    dropped: int


@dataclass(frozen=True)
class PulledModel:
    """A model that was fetched, and what was made of it at once where that was asked for."""

    model: InstalledModel
    optimised: OptimisedModel | None = None

    def json_fields(self) -> dict[str, Any]:
        """Those of the model, and `optimised`."""
        return {**{name: getattr(self.model, name) for name in self.model.JSON_FIELDS}, "optimised": self.optimised}


@dataclass(frozen=True)
class ModelOverview:
    """The models on this disk, those of the library, and those that are known, with the source of their recall."""

    installed: tuple[InstalledModel, ...]
    library: tuple[LibraryModel, ...]
    known: tuple[KnownModel, ...]
    recall_source: str


class Models:
    """The door `Library().models`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    # Of the library

    def list(self) -> tuple[LibraryModel, ...]:
        """The models of this library, the oldest first."""
        with self._access.guarded():
            store = self._access.reading()
            files, by_medium = store.file_count(), store.counts(0).files
            searched, wanted = searched_model(store), wanted_model(store)
            found = []
            for model in stored_models(store):
                lacking = len(files_to_encode(store, model.id))
                failed = store.count_not_encoded(model.id)
                media = media_of(store, model.id)
                silent = store.count_not_encoded(model.id, NOTHING_HEARD)
                its_own = files if media is None else sum(by_medium.get(medium, 0) for medium in media)
                identity = model.identity
                found.append(
                    LibraryModel(
                        name=model.name,
                        label=identity.label,
                        dimension=identity.dimension,
                        files=its_own - lacking - failed,
                        lacking=lacking,
                        failed=failed - silent,
                        searched=model == searched,
                        wanted=model == wanted,
                        hears=media is not None,
                    )
                )
            return tuple(found)

    def use(self, name: str, *, at_once: bool = False) -> LibraryModel:
        """Searches use that model from now on or, if there are files that it has not encoded, once an index run has
        seen to them. `at_once` does not wait for that: those files are not found then.
        """
        from mmsearch.nearest.spaces import with_adapter

        access = self._access
        with access.guarded():
            access.reading()
            with access.writing() as store:
                model = find_model(store, name)
                if is_sound_model(store, model.id):
                    raise Refused(f"{model.name} hears: searches ask it already, beside the model that sees and reads.")
                access.encoder_of(with_adapter(store, model))  # one that is not there is told before
                lacking = files_to_encode(store, model.id)
                if not at_once and not lacking and store.file_count() and not store.has_items_of(model.id):
                    raise Refused(
                        f"{model.name} could encode none of the library's files, so searches would find nothing",
                        Remedy("status.retry"),
                    )
                with store.transaction():
                    if not lacking:
                        note_caught_up(store, model.id)
                    if lacking and not at_once and model != searched_model(store):
                        search_later_with(store, model)
                    else:
                        search_with(store, model)
                access.refresh(store)
            return next(one for one in self.list() if one.name == model.name)

    def with_crops(self, name: str | None = None) -> str:
        """The name of the model that sees pictures by their two end squares as well, for all that takes a name.

        Without a name that of the model that searches use, or of the built-in one where there is no library.
        """
        from mmsearch.models.reference import without_crops
        from mmsearch.records import BUILTIN_MODEL, CROPS_ENDING

        if name is None and self._access.exists():
            with self._access.guarded():
                searched = searched_model(self._access.reading())
            name = searched.name if searched else None
        return f"{without_crops(name or BUILTIN_MODEL)[0]}{CROPS_ENDING}"

    def drop(self, name: str) -> DroppedModel:
        """Takes a model's vectors out of the library. The model itself stays on the disk."""
        with self._access.guarded():
            self._access.reading()
            with self._access.writing() as store:
                model = find_model(store, name, exactly=True)
                if model == searched_model(store):
                    others = [one.name for one in stored_models(store) if one != model]
                    raise Refused(
                        f"Searches use {model.name}, so it stays", Remedy("models.use", others[0] if others else "")
                    )
                dropped = drop_model(store, model)
                self._access.refresh(store)
                self._access.place.tidy(store)
                return DroppedModel(name, dropped)

    def pictures(self, folder: str | None = None, most: int = 32) -> tuple[Image, ...]:
        """Up to so many pictures of a folder, or of the library, as an encoder takes them: to compare models with.

        Raises:
            NotFound: there are none in that folder.
        """
        from mmsearch.indexing.pictures import pictures_at, pictures_in

        if folder is not None:
            return tuple(pictures_in(folder, most))
        if not self._access.exists():
            return ()
        with self._access.guarded():
            return tuple(pictures_at(self._access.reading().some_pictures(2 * most), most))

    # Of this disk

    def hears(self, name: str) -> bool:
        """Whether the model of that name is one of sound."""
        return self._access.encoders.called(name).hearing is not None

    def installed(self) -> tuple[InstalledModel, ...]:
        """The models on this disk, by name; the built-in one is not among them."""
        from mmsearch.models.installed import installed_models

        return tuple(installed_models())

    def known(self) -> tuple[KnownModel, ...]:
        """Models that are known to be good, from small to best, and behind them those of sound."""
        from mmsearch.models.known import KNOWN_MODELS, KNOWN_SOUND_MODELS

        return (*KNOWN_MODELS, *KNOWN_SOUND_MODELS)

    def overview(self) -> ModelOverview:
        """All of these."""
        from mmsearch.models.known import RECALL_SOURCE

        of_library = self.list() if self._access.exists() else ()
        return ModelOverview(self.installed(), of_library, self.known(), RECALL_SOURCE)

    def pull(
        self,
        name: str,
        *,
        revision: str | None = None,
        images_by: str | None = None,
        trust_remote_code: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> InstalledModel:
        """Fetches a model from the hub, once; see `mmsearch.models.pulling.pull`. Needs the `clip` extra."""
        from mmsearch.models.pulling import pull

        return pull(
            name,
            revision=revision,
            images_by=images_by,
            trust_remote_code=trust_remote_code,
            on_progress=on_progress,
        )

    def optimise(
        self,
        name: str,
        folder: str | None = None,
        *,
        photos: str | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> OptimisedModel:
        """Makes a model several times as fast on a processor, in that new folder or as NAME-int8 on this disk.

        Its vectors are held against the original's on pictures of the folder `photos`, or of the library.
        """
        from mmsearch.models.optimise.building import optimise

        return optimise(name, folder, self.pictures(photos), on_progress)

    def export(
        self, name: str, file: str, *, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> ExportedModel:
        """Writes a model of this disk to a single file."""
        from mmsearch.models.packing import export_model

        return export_model(name, file, on_progress)

    def import_(
        self,
        file: str,
        *,
        trust_remote_code: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> InstalledModel:
        """Takes a model from such a file to those of this disk."""
        from mmsearch.models.packing import import_model

        return import_model(file, trust_remote_code=trust_remote_code, on_progress=on_progress)

    def remove(self, name: str) -> RemovedModel:
        """Deletes a model from this disk. Its vectors stay in the library, which needs it again to be searched.

        Raises:
            Refused: it is built in, or searches of this library use it, ask it for sound, or wait for it.
        """
        from mmsearch.models.installed import check_model_name, remove_model
        from mmsearch.models.reference import without_crops

        check_model_name(name)
        of_library = self.list() if self._access.exists() else ()
        named = [one for one in of_library if name in (one.name, without_crops(one.name)[0])]
        if any(one.hears for one in named):
            raise Refused(f"Searches in {self._access.location} ask {name} for sound", Remedy("models.drop", name))
        if any(one.searched or one.wanted for one in named):
            raise Refused(
                f"Searches in {self._access.location} use {name}, or wait for it",
                Remedy("models.use"),
            )
        return remove_model(name)
