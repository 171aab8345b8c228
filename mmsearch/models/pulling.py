"""Fetching a model from the hub, once, into the models of this disk: whole and checked, or not at all.

What was fetched before an interruption is kept in a folder of its own and not fetched again. Needs the `clip` extra.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence

from mmsearch.encoding.protocol import ModelFolder
from mmsearch.errors import MmsearchError, Refused, Remedy, Unavailable, Unsupported
from mmsearch.models.hub import OnProgress, Repository, Wish, arrived, fetch, repository_of
from mmsearch.models.installed import (
    PARTIAL_ENDING,
    InstalledModel,
    ModelSource,
    check_files,
    check_model_name,
    folder_of,
    installed_model,
    is_of_speech,
    put_in_place,
    seal,
    writing_model,
)
from mmsearch.models.known import known_model
from mmsearch.models.reference import ModelRef
from mmsearch.records import OPTIMISED_ENDING


def pull(
    name: str,
    *,
    revision: str | None = None,
    images_by: str | None = None,
    trust_remote_code: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> InstalledModel:
    """Fetches the model `name` of the hub, of that revision or the newest, and tries it.

    One that is on this disk already is checked, and what is missing or damaged is fetched again. `images_by` is the
    repository of the image tower for a model that encodes texts alone, in the space of that one.

    Args:
        on_progress: is told how many bytes are there, of how many.

    Raises:
        MmsearchError: there is no such model, no network, no room on the disk, or it is no model of a kind that is used
            here: CLIP's, for sound CLAP's, or for speech Whisper's in CTranslate2's form.
    """
    ref = ModelRef.named(check_model_name(name))
    _check_packages("huggingface_hub")
    revision = revision or ref.revision or None
    stored_name = check_model_name(ref.at(revision).name)
    images_by = images_by or (ref.known.images_by if ref.known else "")
    wanted = [Wish(ref.repository, revision, "text" if images_by else "")]
    if images_by:
        wanted.append(Wish(images_by, None, "image"))
    with writing_model(stored_name):
        try:
            old = installed_model(stored_name)
        except MmsearchError:  # its manifest is damaged
            old = None
        if old is not None:
            if _is_whole(old) and (not trust_remote_code or old.trust_remote_code):
                on_progress(arrived(old.bytes, old.bytes))
                return old
            trust_remote_code = trust_remote_code or old.trust_remote_code
            # The same again, and not what is the newest by now.
            wanted = [Wish(one.repository, one.commit, one.within) for one in old.sources] or wanted
        original = stored_name.removesuffix(OPTIMISED_ENDING)
        if original != stored_name and (known_model(original) or installed_model(original)):
            raise Refused(f"{stored_name} is not to be fetched", Remedy("models.install", stored_name))
        return _pull(stored_name, wanted, trust_remote_code, on_progress)


def _pull(name: str, wanted: Sequence[Wish], trust_remote_code: bool, on_progress: OnProgress) -> InstalledModel:
    partial = folder_of(name) + PARTIAL_ENDING
    try:
        repositories = [repository_of(name, wish, trust_remote_code) for wish in wanted]
        transcribes = _is_of_speech(repositories)
        if not transcribes:
            _check_packages("sentence_transformers", "torch")
        os.makedirs(partial, exist_ok=True)
        _take_over(folder_of(name), partial, repositories)
        _check_room(partial, repositories)
        fetch(name, repositories, partial, on_progress)
        sources = [ModelSource(one.name, one.commit, one.within) for one in repositories]
        seal(partial, name, sources, trust_remote_code)
        if transcribes:
            _try_speech(partial)
        else:
            _try(partial, name, trust_remote_code)
        return put_in_place(partial, name)
    except OSError as error:
        raise Unavailable(
            f"The model cannot be written to {partial} ({error.strerror or error})", Remedy("models_folder")
        ) from error


def _try(partial: str, name: str, trust_remote_code: bool) -> None:
    """Loads the model; one that cannot be used is not kept."""
    from mmsearch.encoding import clap, sentence_transformers

    family = clap.FAMILY if clap.FAMILY.takes(partial) else sentence_transformers.FAMILY
    try:
        _ = family.open(ModelFolder(partial, name, "cpu", trust_remote_code)).identity
    except MmsearchError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _is_of_speech(repositories: Sequence[Repository]) -> bool:
    """Whether it is a model of speech.

    Raises:
        Unsupported: it is one that cannot be used without a network.
    """
    names = {one.name for one in repositories[0].files}
    if len(repositories) > 1 or not is_of_speech(names):
        return False
    from mmsearch.reading.speech import MODEL_FILES

    missing = [name for name in MODEL_FILES if name not in names]
    if missing:
        raise Unsupported(
            f"{repositories[0].name} is a Whisper model without {' and '.join(missing)}", Remedy("speech.model")
        )
    return True


def _try_speech(partial: str) -> None:
    """Loads the model where what it runs on is installed; one that cannot be used is not kept."""
    from mmsearch.reading.speech import can_transcribe, engine_of

    if can_transcribe():
        try:
            engine_of(partial)
        except MmsearchError:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _check_packages(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise Unsupported("Fetching a model needs torch and sentence-transformers", Remedy("extra.them", "clip"))


def _is_whole(model: InstalledModel) -> bool:
    try:
        check_files(model, digests=True)
    except MmsearchError:
        return False
    return True


def _take_over(folder: str, partial: str, repositories: Sequence[Repository]) -> None:
    """Links or copies files of the model that is there into the one that is filled; damaged ones are noticed there."""
    for repository in repositories:
        for one in repository.files:
            source, target = (repository.path_of(one, place) for place in (folder, partial))
            if os.path.isfile(source) and not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:  # a file system without hard links
                    shutil.copy2(source, target)


def _check_room(partial: str, repositories: Sequence[Repository]) -> None:
    missing = sum(
        file.bytes for one in repositories for file in one.files if not os.path.exists(one.path_of(file, partial))
    )
    free = shutil.disk_usage(partial).free
    if free < missing:
        raise Unavailable(
            f"The model takes {missing / 1e6:,.0f} MB and the disk of {partial} has {free / 1e6:,.0f} MB free",
            Remedy("models_folder.or_room"),
        )
