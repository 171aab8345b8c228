"""Opening a model by its name: the built-in one, one of this disk, or one in a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.records import BUILTIN_MODEL, OPTIMISED_ENDING

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName


def open_encoder(model: str = BUILTIN_MODEL, device: DeviceName = "auto") -> Encoder:
    """The encoder of that name: the built-in one, one on this disk (`mmsearch models` lists them), or one in a folder.

    Raises:
        MmsearchError: the model is not there or not whole, lacks what it needs, or cannot run on `device`.
    """
    if model == BUILTIN_MODEL:
        from mmsearch.encoding.builtin import BuiltinEncoder

        _check_runs_on_processor(model, device)
        return BuiltinEncoder()
    from mmsearch.encoding.onnx_model import OnnxEncoder, is_onnx_model
    from mmsearch.models.installed import check_files, installed_model

    folder, trusted = model, False
    if not is_model_folder(model):
        installed = installed_model(model) or installed_model(canonical_model_name(model))
        if installed is not None:
            check_files(installed)
        folder = installed.folder if installed else _in_hub_cache(model)
        trusted = installed is not None and installed.trust_remote_code
    if is_onnx_model(folder):
        _check_runs_on_processor(model, device)
        return OnnxEncoder(folder, name=model, remedy="make it again with `mmsearch models optimise`")
    from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder

    return SentenceTransformersEncoder(folder, model, device, trusted)


def is_model_folder(model: str) -> bool:
    """Whether that is a folder, and not the name of a model on this disk: a name comes first, and `./NAME` does not."""
    from mmsearch.models.installed import installed_model

    path = os.path.expanduser(model)
    return os.path.isdir(path) and (os.path.isabs(path) or installed_model(model) is None)


def _check_runs_on_processor(model: str, device: DeviceName) -> None:
    if device not in ("auto", "cpu"):
        raise MmsearchError(
            f"{model} runs on the processor, not on {device}; leave out --device, or choose a model that torch runs."
        )


def _in_hub_cache(model: str) -> str:
    """The folder of a model that another program has downloaded.

    Raises:
        MmsearchError: there is none.
    """
    from mmsearch.models.installed import folder_of, remedy
    from mmsearch.models.known import known_model

    if os.path.isabs(model) or model.startswith((".", "~")):
        raise MmsearchError(f"There is no model in a folder {model}; check the path.")
    known = known_model(model)
    with suppress(Exception):  # not installed, not there, or no name that the hub could have
        from huggingface_hub import snapshot_download

        repository = known.repository if known else model if "/" in model else f"sentence-transformers/{model}"
        if not (known and known.images_by):  # which is two models
            return str(snapshot_download(repository, local_files_only=True))
    raise MmsearchError(f"The model {model} is not on this disk ({folder_of(model)} is missing); {remedy(model)}.")


def names_of(model: str) -> tuple[str, ...]:
    """The names under which a library may hold that model: its own, and that of its optimised form."""
    return (model,) if os.path.isabs(model) else (model, f"{model}{OPTIMISED_ENDING}")


def preferred_model_name(model: str, device: DeviceName = "auto") -> str:
    """The name of the optimised form of that model where there is one on this disk, else its own.

    A graphics card that is asked for runs the original.
    """
    from mmsearch.models.installed import installed_model

    if device not in ("auto", "cpu"):
        return model
    return next((name for name in names_of(model)[1:] if installed_model(name)), model)


def canonical_model_name(model: str) -> str:
    """The name by which a library knows `model`: folders by their absolute path, known ones by their short name."""
    if model == BUILTIN_MODEL:
        return model
    if is_model_folder(model):
        return os.path.abspath(os.path.expanduser(model))
    from mmsearch.models.known import known_model

    known = known_model(model)
    return known.name if known else model


class Encoders:
    """Encoders by the names of their models, each opened once, on one kind of device."""

    def __init__(self, device: DeviceName = "auto") -> None:
        self.device = device
        self._opened: dict[str, Encoder] = {}

    def called(self, name: str) -> Encoder:
        """The encoder of exactly that name; see `open_encoder`."""
        if name not in self._opened:
            self._opened[name] = open_encoder(name, self.device)
        return self._opened[name]

    def new(self, name: str | None) -> Encoder:
        """The encoder of a model that a library does not know yet: its optimised form where that is on this disk.

        Without a name it is the built-in one.
        """
        return self.called(preferred_model_name(canonical_model_name(name), self.device) if name else BUILTIN_MODEL)
