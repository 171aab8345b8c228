"""A model of this disk as a single file, to be brought to a machine without a network, and back from it.

The file is a ZIP archive of the model's folder, with its manifest first. Each file's SHA-256 is checked on the way in,
and nothing is written outside the folder that the model gets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO

from mmsearch.encoding.facts import MANIFEST
from mmsearch.errors import Damaged, Invalid, MmsearchError, Unavailable
from mmsearch.files.hashing import blocks_of
from mmsearch.files.regular import check_regular
from mmsearch.files.replacing import replacing
from mmsearch.models.installed import (
    PARTIAL_ENDING,
    InstalledModel,
    ModelFile,
    check_files,
    check_model_name,
    folder_of,
    from_manifest,
    installed_model,
    put_in_place,
    seal,
    writing_model,
)
from mmsearch.models.opening import not_on_this_disk
from mmsearch.records import Progress

_LARGEST_MANIFEST = 1_000_000

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class ExportedModel:
    """A model that was written to a file, and that file's absolute path and size."""

    name: str
    path: str
    bytes: int


def export_model(name: str, target: str, on_progress: OnProgress = lambda progress: None) -> ExportedModel:
    """Writes the model of that name to the file `target`, which takes the place of an older one.

    Raises:
        MmsearchError: the model is not on this disk or damaged, or the file cannot be written.
    """
    model = installed_model(check_model_name(name))
    if model is None:
        raise not_on_this_disk(name)
    check_files(model, digests=True)
    path = os.path.abspath(os.path.expanduser(target))
    if os.path.isdir(path):
        raise Invalid(f"{path} is a folder; name a file, such as {name.replace('/', '--')}.zip.")
    check_regular(path)
    try:
        with replacing(path, in_any_folder=True) as temporary, open(temporary, "wb") as file:
            _pack(model, file, on_progress)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}); choose another place for it.") from error
    return ExportedModel(name, path, os.path.getsize(path))


def _pack(model: InstalledModel, file: IO[bytes], on_progress: OnProgress) -> None:
    done = 0
    # Weights hardly shrink: stored as they are.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for within in (MANIFEST, *model.files):
            path = os.path.join(model.folder, *within.split("/"))
            with open(path, "rb") as source, archive.open(within, "w", force_zip64=True) as target:
                for block in blocks_of(source):
                    target.write(block)
                    done += len(block)
                    on_progress(Progress("writing", min(done, model.bytes), model.bytes, "bytes"))


def import_model(
    source: str, *, trust_remote_code: bool = False, on_progress: OnProgress = lambda progress: None
) -> InstalledModel:
    """Takes the model in the file `source`, which `export_model` wrote, to those of this disk. An older one goes.

    Code that the model brings along runs only with `trust_remote_code`, whatever was allowed where it comes from.

    Raises:
        MmsearchError: the file is none of ours or damaged, or there is no room.
    """
    path = os.path.abspath(os.path.expanduser(source))
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            model = _described(archive, path)
            with writing_model(model.name):
                return _unpack(archive, model, path, trust_remote_code, on_progress)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise Damaged(f"{path} is no exported model, or is damaged ({error}); bring it over again.") from error
    except OSError as error:
        what = f"{path} cannot be read" if not os.path.exists(path) else f"The model in {path} cannot be taken in"
        raise Unavailable(f"{what} ({error.strerror}); check the path, and the room on the disk.") from error


def _described(archive: zipfile.ZipFile, path: str) -> InstalledModel:
    try:
        written = archive.getinfo(MANIFEST)
        if written.file_size > _LARGEST_MANIFEST:
            raise ValueError("its manifest is too large")
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            raise ValueError("it is compressed")
        model = from_manifest("", json.loads(archive.read(MANIFEST)))
        check_model_name(model.name)
    except (KeyError, ValueError, MmsearchError) as error:
        raise Invalid(f"{path} is no exported model ({error}).") from error
    return replace(model, folder=folder_of(model.name))


def _unpack(
    archive: zipfile.ZipFile, model: InstalledModel, path: str, trust_remote_code: bool, on_progress: OnProgress
) -> InstalledModel:
    partial = model.folder + PARTIAL_ENDING
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        done = 0
        for within, expected in model.files.items():
            place = os.path.join(partial, *within.split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            try:
                _copy_checked(archive, within, place, expected)
            except (KeyError, ValueError) as error:
                raise Damaged(f"{within} in {path} is damaged or missing; bring the file over again.") from error
            done += expected.bytes
            on_progress(Progress("reading", done, model.bytes, "bytes"))
        seal(partial, model.name, model.sources, trust_remote_code)
        return put_in_place(partial, model.name)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _copy_checked(archive: zipfile.ZipFile, within: str, place: str, expected: ModelFile) -> None:
    """Raises ValueError where what is in the archive is not what its manifest says."""
    digest, size = hashlib.sha256(), 0
    with archive.open(within) as source, open(place, "wb") as target:
        for block in blocks_of(source):
            size += len(block)
            if size > expected.bytes:  # no bomb gets further
                raise ValueError("too long")
            digest.update(block)
            target.write(block)
    if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
        raise ValueError("other content")
