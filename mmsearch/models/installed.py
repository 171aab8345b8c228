"""The models on this disk: one folder for each, with a manifest that says where it came from and what belongs to it.

models/
  clip-ViT-B-32/                 the files of the hub's repository
    mmsearch-model.json          the manifest, written last: without it the folder is not whole
  clip-ViT-B-32-int8/            what `models optimise` made of it
  laion--CLIP-ViT-B-32.../       a slash in a name is written --
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mmsearch.encoding.facts import MANIFEST, model_files
from mmsearch.errors import Damaged, Invalid, MmsearchError, NotFound, Refused, Remedy, Unavailable
from mmsearch.files.hashing import sha256_of
from mmsearch.files.locking import WriterLock
from mmsearch.files.replacing import sync, write_whole
from mmsearch.models.revisions import is_builtin

MODELS_VARIABLE = "MMSEARCH_MODELS"
# What a folder is called while it is not whole yet.
PARTIAL_ENDING = ".partial"
_NAME = re.compile(r"(?!.*--)[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w.-]+)?")
_PART = re.compile(r"\w([\w .+()@=,~-]*[\w+()@=,~-])?")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}


@dataclass(frozen=True)
class ModelFile:
    """A file of a model: its size in bytes and its SHA-256."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelSource:
    """A repository of the hub at one commit, and the folder within the model's that its files are in, or none."""

    repository: str
    commit: str
    within: str


@dataclass(frozen=True)
class InstalledModel:
    """A model on this disk. `sources` are where it was fetched from, none for what was made here.

    `trust_remote_code` says that a person allowed it to run Python code that it brings along.
    """

    name: str
    folder: str
    sources: tuple[ModelSource, ...]
    trust_remote_code: bool
    files: Mapping[str, ModelFile]

    JSON_FIELDS: ClassVar = ("name", "folder", "bytes", "sources", "trust_remote_code", "transcribes")

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(file.bytes for file in self.files.values())

    @property
    def transcribes(self) -> bool:
        """Whether it is a model of speech, which no search can use."""
        return is_of_speech(self.files)


@dataclass(frozen=True)
class RemovedModel:
    """A model that was deleted from this disk, and how many bytes that gave back."""

    name: str
    bytes: int


def is_of_speech(names: Collection[str]) -> bool:
    """Whether files with these names are a Whisper model in CTranslate2's form."""
    return "model.bin" in names and any(name.startswith("vocabulary.") for name in names)


def is_plain(within: str) -> bool:
    """Whether a file of that name lies within the folder that it is put into, under this name, on any system."""
    parts = within.split("/")
    return all(_PART.fullmatch(part) and part.split(".")[0].upper() not in _DEVICES for part in parts)


def models_folder() -> str:
    """$MMSEARCH_MODELS, or the folder `models` in the platform's place for a user's data."""
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    import platformdirs

    return os.path.join(platformdirs.user_data_dir("mmsearch", appauthor=False), "models")


@contextmanager
def writing_model(name: str) -> Iterator[None]:
    """Held, as a `with` block, while the model of that name is fetched, made or removed.

    What a killed process has left of it is put right first.

    Raises:
        Busy: another process is at it. Unavailable: there can be no folder for models.
    """
    folder = models_folder()
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The folder for models {folder} cannot be made ({error.strerror})", Remedy("models_folder")
        ) from error
    lock = WriterLock(folder, f"The model {name}", f".{os.path.basename(folder_of(name))}.lock")
    try:
        lock.__enter__()
    except OSError as error:
        raise Unavailable(
            f"Models cannot be written to {folder} ({error.strerror})", Remedy("models_folder")
        ) from error
    try:
        _put_right(name)
        yield
    finally:
        lock.__exit__(None, None, None)


def scratch_beginning(folder: str) -> str:
    """How the names of folders begin in which the model that is to lie in `folder` is made."""
    return f"{os.path.basename(folder)}~"


def _put_right(name: str) -> None:
    """Ends an exchange of two folders that was cut off, and deletes what was being made."""
    folder = folder_of(name)
    if os.path.isdir(_set_aside(folder)) and not os.path.lexists(folder):
        os.rename(_set_aside(folder), folder)
    for entry in os.listdir(models_folder()):
        if entry.startswith(scratch_beginning(folder)) and entry.endswith(PARTIAL_ENDING):
            _delete(os.path.join(models_folder(), entry))


def _delete(folder: str) -> None:
    """Deletes a folder, or the link to one."""
    if os.path.islink(folder):
        os.remove(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _set_aside(folder: str) -> str:
    return f"{folder}~old{PARTIAL_ENDING}"


def check_model_name(name: str) -> str:
    """The name itself.

    Raises:
        Invalid: no model can be called so. Refused: it is the one that is built in.
    """
    if is_builtin(name):
        raise Refused(
            f"{name} is built in: it comes with mmsearch wherever that is installed, and can be neither pulled, "
            "optimised, exported nor removed."
        )
    if not _NAME.fullmatch(name) or name.endswith(PARTIAL_ENDING):
        raise Invalid(
            f"A model cannot be called {name!r}; write it as the hub does: NAME, or OWNER/NAME, or with a revision "
            "OWNER/NAME@REVISION."
        )
    return name


def folder_of(name: str) -> str:
    """Where a model of that name lies, if it is on this disk."""
    return os.path.join(models_folder(), name.replace("/", "--"))


def installed_model(name: str) -> InstalledModel | None:
    """The model of that name, or None if it is not on this disk.

    Raises:
        Damaged: it is there, and its manifest is damaged.
    """
    if not _NAME.fullmatch(name):
        return None
    model = _read(folder_of(name))
    return model if model is not None and model.name == name else None


def installed_models() -> list[InstalledModel]:
    """All of them, by name. One whose manifest is damaged is left out."""
    found = []
    with suppress(FileNotFoundError):
        for entry in sorted(os.listdir(models_folder())):
            if not entry.endswith(PARTIAL_ENDING):
                with suppress(MmsearchError):
                    model = _read(os.path.join(models_folder(), entry))
                    if model is not None:
                        found.append(model)
    return sorted(found, key=lambda model: model.name.lower())


def _read(folder: str) -> InstalledModel | None:
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            return from_manifest(folder, json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise Damaged(f"The manifest {path} cannot be read ({error})", Remedy("models.pull_again")) from error


def from_manifest(folder: str, written: Any) -> InstalledModel:
    """What a manifest says.

    Raises:
        ValueError: it says nothing that can be understood.
    """
    try:
        fields = dict(written)
        files = {str(name): ModelFile(int(one["bytes"]), str(one["sha256"])) for name, one in fields["files"].items()}
        model = InstalledModel(
            name=str(fields["name"]),
            folder=folder,
            sources=tuple(
                ModelSource(str(one["repository"]), str(one["commit"]), str(one["within"])) for one in fields["sources"]
            ),
            trust_remote_code=fields["trust_remote_code"] is True,
            files=files,
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a manifest: {error!r}") from error
    for name in files:
        if not is_plain(name):
            raise ValueError(f"a file is called {name!r}")
    return model


def check_files(model: InstalledModel, digests: bool = False) -> None:
    """Looks whether all files of the model are there, of the right size and, with `digests`, as they were.

    Raises:
        Damaged: one of them is not.
    """
    for name, expected in model.files.items():
        path = os.path.join(model.folder, *name.split("/"))
        trouble = None
        if not os.path.isfile(path):
            trouble = "is missing"
        elif os.path.getsize(path) != expected.bytes:
            trouble = f"has {os.path.getsize(path):,} bytes instead of {expected.bytes:,}"
        elif digests and sha256_of(path) != expected.sha256:
            trouble = "is damaged"
        if trouble:
            raise Damaged(f"{path}, a file of the model {model.name}, {trouble}", Remedy("models.install", model.name))


def seal(
    folder: str, name: str, sources: Sequence[ModelSource] = (), trust_remote_code: bool = False
) -> InstalledModel:
    """Writes the manifest of a folder that holds all of a model, with sizes and digests as they are now."""
    files = {}
    for within, path in model_files(folder):
        files[within] = ModelFile(os.path.getsize(path), sha256_of(path))
        with suppress(PermissionError):
            sync(path)  # before the manifest says that they are there
    model = InstalledModel(name, folder, tuple(sources), trust_remote_code, files)
    fields = {key: value for key, value in asdict(model).items() if key != "folder"}
    written = json.dumps(fields, indent=1).encode()
    # Models hold nothing private, and many users may share theirs.
    write_whole(os.path.join(folder, MANIFEST), lambda file: file.write(written), what="", private=False)
    return model


def put_in_place(partial: str, name: str) -> InstalledModel:
    """Makes the whole and sealed folder `partial` the model of that name, in the place of an older one.

    The caller holds `writing_model`, which puts right what is cut off here.
    """
    folder = folder_of(name)
    old = _set_aside(folder)
    _delete(old)
    if os.path.lexists(folder):
        os.rename(folder, old)
    os.rename(partial, folder)
    _delete(old)
    model = _read(folder)
    assert model is not None
    return model


def remove_model(name: str) -> RemovedModel:
    """Deletes a model from this disk, whole or not.

    Raises:
        NotFound: there is none of that name.
    """
    with writing_model(check_model_name(name)):
        folder = folder_of(name)
        there = [path for path in (folder, folder + PARTIAL_ENDING) if os.path.isdir(path)]
        if not there:
            raise NotFound(f"There is no model {name} on this disk", Remedy("models.list"))
        freed = 0
        for place in there:
            if os.path.islink(place):
                os.remove(place)  # what it points to is somebody else's
                continue
            freed += sum(os.path.getsize(path) for _, path in model_files(place))
            # Without its manifest it is no model any more, however far the rest gets.
            with suppress(FileNotFoundError):
                os.remove(os.path.join(place, MANIFEST))
            shutil.rmtree(place)
        return RemovedModel(name, freed)
