"""Opening a model by its name: the built-in one, one of this disk, or one in a folder."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mmsearch.encoding import ModelFolder, open_folder
from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.runtime import silenced
from mmsearch.errors import NotFound, Remedy, Unsupported
from mmsearch.models.reference import ModelRef, without_crops
from mmsearch.models.revisions import folder_of_revision, is_builtin, opened_as, revision_names
from mmsearch.records import BUILTIN_MODEL, ModelIdentity

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName


def open_encoder(model: str = BUILTIN_MODEL, device: DeviceName = "auto") -> Encoder:
    """The encoder of that name: the built-in one, in its newest revision or as `mmsearch-mini@2` in an older one, one
    on this disk (`Library().models.installed()`), or of a folder.

    `NAME+crops` is the model NAME that sees pictures whole and by their two end squares.

    Raises:
        MmsearchError: the model is not there or not whole, lacks what it needs, or cannot run on `device`.
    """
    beneath, crops = without_crops(model)
    encoder = open_folder(_folder_of(beneath, device))
    if not crops:
        return encoder
    if "image" not in encoder.modalities:
        raise Unsupported(f"{beneath} sees no pictures, so there are none to be encoded by their end squares")
    from mmsearch.encoding.crops import CroppedEncoder

    return CroppedEncoder(encoder)


def _folder_of(model: str, device: DeviceName) -> ModelFolder:
    """Where the model lies, and how it is to be opened."""
    if is_builtin(model):
        folder = folder_of_revision(model)
        if folder is None:
            there = ", ".join(revision_names())
            raise NotFound(f"There is no {model} in this installation, which has {there}", Remedy("models.choose"))
        return ModelFolder(folder, model, device)
    ref = ModelRef.of(model)
    if ref.is_folder:
        return ModelFolder(ref.name, model, device)
    from mmsearch.models.installed import check_files, installed_model

    installed = installed_model(model) or installed_model(ref.name)
    if installed is None:
        return ModelFolder(_in_hub_cache(model, ref), model, device)
    check_files(installed)
    if installed.transcribes:
        raise Unsupported(f"{model} is a model of speech, which searches cannot use", Remedy("speech.use", model))
    return ModelFolder(installed.folder, model, device, installed.trust_remote_code)


def _in_hub_cache(model: str, ref: ModelRef) -> str:
    """The folder of a model that another program has downloaded.

    Raises:
        NotFound: there is none.
    """
    if os.path.isabs(model) or model.startswith((".", "~")):
        raise NotFound(f"There is no model in a folder {model}; check the path.")
    with suppress(Exception):  # not installed, not there, or no name that the hub could have
        hub = silenced("huggingface_hub")
        if not ref.revision and not (ref.known and ref.known.images_by):  # which is two models
            return str(hub.snapshot_download(ref.repository, local_files_only=True))
    raise not_on_this_disk(model)


def not_on_this_disk(name: str) -> NotFound:
    """What is said of a model that is not among those of this disk."""
    from mmsearch.models.installed import folder_of

    return NotFound(
        f"The model {name} is not on this disk ({folder_of(name)} is missing)", Remedy("models.install", name)
    )


class Encoders:
    """Encoders by the names of their models, each opened once, on one kind of device."""

    def __init__(self, device: DeviceName = "auto") -> None:
        self.device = device
        self._opened: dict[str, Encoder] = {}
        self._let_go: WeakValueDictionary[str, Encoder] = WeakValueDictionary()
        self._opening = threading.RLock()

    def let_go(self) -> None:
        """Drops those that are open: they are loaded again when they are needed, unless somebody still has them."""
        with self._opening:
            self._let_go.update(self._opened)
            self._opened.clear()

    def called(self, name: str) -> Encoder:
        """The encoder of exactly that name; see `open_encoder`."""
        with self._opening:
            if name not in self._opened:
                still_there = self._let_go.get(name)
                self._opened[name] = open_encoder(name, self.device) if still_there is None else still_there
            return self._opened[name]

    def of(self, identity: ModelIdentity) -> Encoder:
        """The encoder of a library's model, that of its revision where it is the built-in one.

        Where this package does not have that revision, or the model of that name has changed, it is another one:
        `mmsearch.store.models.check_same_model` tells.
        """
        return self.called(opened_as(identity))

    def new(self, written: str | None) -> Encoder:
        """The encoder of a model that a library does not know yet: its optimised form where that is on this disk.

        Without a name it is the built-in one.
        """
        return self.called(ModelRef.of(written).preferred_form(self.device) if written else BUILTIN_MODEL)
