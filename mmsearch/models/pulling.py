"""Fetching a model from the hub, once, into the models of this disk: whole and checked, or not at all.

What was fetched before an interruption is kept in a folder of its own and not fetched again. Needs the `clip` extra.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mmsearch.encoding.facts import model_files
from mmsearch.encoding.protocol import ModelFolder
from mmsearch.encoding.runtime import pulling, silenced
from mmsearch.errors import Damaged, MmsearchError, NotFound, Refused, Remedy, Unavailable, Unsupported
from mmsearch.files.hashing import sha256_of, updated
from mmsearch.models.installed import (
    PARTIAL_ENDING,
    InstalledModel,
    ModelSource,
    check_files,
    check_model_name,
    folder_of,
    installed_model,
    is_of_speech,
    is_plain,
    put_in_place,
    seal,
    writing_model,
)
from mmsearch.models.known import known_model
from mmsearch.models.reference import ModelRef
from mmsearch.records import OPTIMISED_ENDING, Progress

# Other forms of the same weights, and what only a web page shows.
_LEFT_OUT_FOLDERS = ("onnx", "openvino", "coreml", "flax", "tf")
_LEFT_OUT_ENDINGS = (
    ".h5", ".msgpack", ".ot", ".onnx", ".tflite", ".mlmodel", ".gguf", ".png", ".jpg", ".jpeg", ".gif", ".npz",
)  # fmt: skip
# How the files of a model of speech are called.
_OF_SPEECH = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json", "vocabulary.")
_OLDER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
_OF_THIS_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its size in bytes, and the SHA-256 of a large one or the git blob id of a small one."""

    name: str
    bytes: int
    sha256: str
    blob_id: str


@dataclass(frozen=True)
class _Part:
    """One repository at one commit, and the folder within the model's that it goes to."""

    repository: str
    commit: str
    within: str
    files: tuple[HubFile, ...]


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
    wanted = [_Wish(ref.repository, revision, "text" if images_by else "")]
    if images_by:
        wanted.append(_Wish(images_by, None, "image"))
    with writing_model(stored_name):
        try:
            old = installed_model(stored_name)
        except MmsearchError:  # its manifest is damaged
            old = None
        if old is not None:
            if _is_whole(old) and (not trust_remote_code or old.trust_remote_code):
                on_progress(_arrived(old.bytes, old.bytes))
                return old
            trust_remote_code = trust_remote_code or old.trust_remote_code
            # The same again, and not what is the newest by now.
            wanted = [_Wish(one.repository, one.commit, one.within) for one in old.sources] or wanted
        original = stored_name.removesuffix(OPTIMISED_ENDING)
        if original != stored_name and (known_model(original) or installed_model(original)):
            raise Refused(f"{stored_name} is not to be fetched", Remedy("models.install", stored_name))
        return _pull(stored_name, wanted, trust_remote_code, on_progress)


@dataclass(frozen=True)
class _Wish:
    """A repository, its commit, tag or branch (the newest for None), and the folder within the model's."""

    repository: str
    revision: str | None
    within: str


def _pull(name: str, wanted: Sequence[_Wish], trust_remote_code: bool, on_progress: OnProgress) -> InstalledModel:
    partial = folder_of(name) + PARTIAL_ENDING
    try:
        parts = [_part(name, wish, trust_remote_code) for wish in wanted]
        transcribes = _is_of_speech(parts)
        if not transcribes:
            _check_packages("sentence_transformers", "torch")
        os.makedirs(partial, exist_ok=True)
        _take_over(folder_of(name), partial, parts)
        _check_room(partial, parts)
        _fetch(name, parts, partial, on_progress)
        sources = [ModelSource(part.repository, part.commit, part.within) for part in parts]
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


def _is_of_speech(parts: Sequence[_Part]) -> bool:
    """Whether it is a model of speech.

    Raises:
        Unsupported: it is one that cannot be used without a network.
    """
    names = {one.name for one in parts[0].files}
    if len(parts) > 1 or not is_of_speech(names):
        return False
    from mmsearch.reading.speech import MODEL_FILES

    missing = [name for name in MODEL_FILES if name not in names]
    if missing:
        raise Unsupported(
            f"{parts[0].repository} is a Whisper model without {' and '.join(missing)}", Remedy("speech.model")
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


def _take_over(folder: str, partial: str, parts: Sequence[_Part]) -> None:
    """Brings files of the model that is there to the one that is being fetched, where damaged ones are found out."""
    for part in parts:
        for one in part.files:
            within = os.path.join(part.within, *one.name.split("/"))
            source, target = os.path.join(folder, within), os.path.join(partial, within)
            if os.path.isfile(source) and not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:  # a file system without hard links
                    shutil.copy2(source, target)


def _part(name: str, wish: _Wish, trust_remote_code: bool) -> _Part:
    hub = silenced("huggingface_hub")
    with _mapped_errors(f"The list of files of {wish.repository}", name, wish.repository, wish.revision):
        info = hub.HfApi(_endpoint()).model_info(wish.repository, revision=wish.revision, files_metadata=True)
    files = [
        HubFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "", one.blob_id or "")
        for one in info.siblings or ()
    ]
    return _Part(wish.repository, info.sha or "", wish.within, tuple(wanted_files(files, trust_remote_code)))


def wanted_files(files: Sequence[HubFile], trust_remote_code: bool) -> list[HubFile]:
    """The files that loading needs: one form of the weights, no pictures, and code only where it is trusted."""
    with_safetensors = {os.path.dirname(one.name) for one in files if one.name.endswith(".safetensors")}
    if is_of_speech([one.name for one in files]):
        return [one for one in files if one.name.startswith(_OF_SPEECH)]
    return [
        one
        for one in files
        if one.name.split("/")[0] not in _LEFT_OUT_FOLDERS
        and not one.name.endswith(_LEFT_OUT_ENDINGS)
        and not os.path.basename(one.name).startswith((".", "open_clip"))
        and not (one.name.endswith(_OLDER_WEIGHTS) and os.path.dirname(one.name) in with_safetensors)
        and (trust_remote_code or not one.name.endswith(".py"))
        and is_plain(one.name)
    ]


def _check_room(partial: str, parts: Sequence[_Part]) -> None:
    missing = sum(
        one.bytes
        for part in parts
        for one in part.files
        if not os.path.exists(os.path.join(partial, part.within, *one.name.split("/")))
    )
    free = shutil.disk_usage(partial).free
    if free < missing:
        raise Unavailable(
            f"The model takes {missing / 1e6:,.0f} MB and the disk of {partial} has {free / 1e6:,.0f} MB free",
            Remedy("models_folder.or_room"),
        )


def _fetch(name: str, parts: Sequence[_Part], partial: str, on_progress: OnProgress) -> None:
    hub = silenced("huggingface_hub")
    total = sum(one.bytes for part in parts for one in part.files)
    done = 0
    for part in parts:
        place = os.path.join(partial, part.within)
        _drop_leftovers(place)
        for one in part.files:
            before = done
            path = os.path.join(place, *one.name.split("/"))
            if not _is_right(path, one):
                with suppress(FileNotFoundError):
                    os.remove(path)
                with _mapped_errors(f"{one.name} of {part.repository}", name, part.repository, part.commit):
                    hub.hf_hub_download(
                        part.repository,
                        one.name,
                        revision=part.commit,
                        local_dir=place,
                        endpoint=_endpoint(),
                        tqdm_class=_bar(before, total, on_progress),
                    )
                if not _is_right(path, one):
                    os.remove(path)
                    raise Damaged(
                        f"{one.name} of {part.repository} did not arrive as the hub describes it",
                        Remedy("models.pull", name),
                    )
            done = before + one.bytes
            on_progress(_arrived(done, total))
        shutil.rmtree(os.path.join(place, ".cache"), ignore_errors=True)
    _drop_others(partial, parts)


def _drop_others(partial: str, parts: Sequence[_Part]) -> None:
    """Deletes files of an earlier revision, whose fetching was interrupted."""
    own = {f"{part.within}/{one.name}".lstrip("/") for part in parts for one in part.files}
    for within, path in model_files(partial):
        if within not in own:
            os.remove(path)


def _drop_leftovers(place: str) -> None:
    """Deletes what a killed download has left, which nothing goes on with."""
    folder = os.path.join(place, ".cache", "huggingface", "download")
    for within, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".incomplete"):
                os.remove(os.path.join(within, name))


def _is_right(path: str, expected: HubFile) -> bool:
    if not os.path.isfile(path) or os.path.getsize(path) != expected.bytes:
        return False
    return sha256_of(path) == expected.sha256 if expected.sha256 else _blob_id(path) == expected.blob_id


def _blob_id(path: str) -> str:
    """The name that git gives to a file's content."""
    digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    return updated(digest, path).hexdigest()


def _bar(before: int, total: int, on_progress: OnProgress) -> type[Any]:
    """What huggingface_hub takes for a progress bar: tells of the bytes it has written beside those `before`."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})
            self.bytes = int(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.bytes += int(n or 0)
            on_progress(_arrived(before + self.bytes, total))
            return None

    return Bar


def _arrived(done: int, total: int) -> Progress:
    return Progress("fetching", done, total, "bytes")


def _endpoint() -> str:
    """Where the hub is: a mirror may stand in for it."""
    return os.environ.get("HF_ENDPOINT") or str(silenced("huggingface_hub.constants").ENDPOINT)


@contextmanager
def _mapped_errors(what: str, name: str, repository: str, revision: str | None) -> Iterator[None]:
    """The hub's and the network's errors, each in a sentence."""
    errors = silenced("huggingface_hub.errors")
    silenced("huggingface_hub.utils").disable_progress_bars()
    silenced("huggingface_hub").logging.set_verbosity_error()
    try:
        with pulling():
            yield
    except errors.GatedRepoError as error:
        raise Refused(
            f"{repository} is given only to those who have accepted its terms; do so on its page, and set HF_TOKEN to "
            "a token of yours."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(f"{repository} has no revision {revision}; its page lists its commits and tags.") from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(f"The hub has no model {repository}", Remedy("models.good")) from error
    except Exception as error:
        if not _is_of_the_network(error):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unavailable(
            f"{what} cannot be fetched from {_endpoint()} ({reason}); what has arrived is kept",
            Remedy("models.install", name),
        ) from error


def _is_of_the_network(error: Exception) -> bool:
    """Whether it is one of the many kinds that huggingface_hub and what it fetches with have, in whatever version."""
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _OF_THIS_DISK):
        return False
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package in ("httpx", "httpx2", "requests", "urllib3", "huggingface_hub")
