"""The hub: which files a repository has, and fetching them. No other module of mmsearch opens a connection to it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mmsearch.encoding.facts import model_files
from mmsearch.encoding.runtime import pulling, silenced
from mmsearch.errors import Damaged, NotFound, Refused, Remedy, Unavailable
from mmsearch.files.hashing import sha256_of, updated
from mmsearch.models.installed import is_of_speech, is_plain
from mmsearch.records import Progress

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
class Wish:
    """A repository, its commit, tag or branch (the newest for None), and the folder within the model's."""

    repository: str
    revision: str | None
    within: str


@dataclass(frozen=True)
class Repository:
    """A repository at one commit, those of its files that are wanted, and the folder within the model's for them."""

    name: str
    commit: str
    within: str
    files: tuple[HubFile, ...]

    def path_of(self, file: HubFile, folder: str) -> str:
        """Where the file lies in a folder that holds the model."""
        return os.path.join(folder, self.within, *file.name.split("/"))


def repository_of(name: str, wish: Wish, trust_remote_code: bool) -> Repository:
    """What the hub has of a wish for the model `name`.

    Raises:
        MmsearchError: there is no such repository or revision, it is not given to everybody, or there is no network.
    """
    hub = silenced("huggingface_hub")
    with _mapped_errors(f"The list of files of {wish.repository}", name, wish.repository, wish.revision):
        info = hub.HfApi(_endpoint()).model_info(wish.repository, revision=wish.revision, files_metadata=True)
    files = [
        HubFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "", one.blob_id or "")
        for one in info.siblings or ()
    ]
    return Repository(wish.repository, info.sha or "", wish.within, tuple(wanted_files(files, trust_remote_code)))


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


def fetch(name: str, repositories: Sequence[Repository], folder: str, on_progress: OnProgress) -> None:
    """Fetches what the folder lacks of the files of the model `name`, or has otherwise, and deletes what is none of it.

    Raises:
        MmsearchError: there is no network, or a file does not arrive as the hub describes it.
    """
    total = sum(file.bytes for one in repositories for file in one.files)
    done = 0
    for one in repositories:
        place = os.path.join(folder, one.within)
        _drop_leftovers(place)
        for file in one.files:
            if not _is_right(one.path_of(file, folder), file):
                _fetch_file(name, one, file, folder, _bar(done, total, on_progress))
            done += file.bytes
            on_progress(arrived(done, total))
        shutil.rmtree(os.path.join(place, ".cache"), ignore_errors=True)
    _drop_others(folder, repositories)


def _fetch_file(name: str, repository: Repository, file: HubFile, folder: str, bar: type[Any]) -> None:
    """Fetches one file, in the place of what is there under its name."""
    path = repository.path_of(file, folder)
    with suppress(FileNotFoundError):
        os.remove(path)
    with _mapped_errors(f"{file.name} of {repository.name}", name, repository.name, repository.commit):
        silenced("huggingface_hub").hf_hub_download(
            repository.name,
            file.name,
            revision=repository.commit,
            local_dir=os.path.join(folder, repository.within),
            endpoint=_endpoint(),
            tqdm_class=bar,
        )
    if not _is_right(path, file):
        os.remove(path)
        raise Damaged(
            f"{file.name} of {repository.name} did not arrive as the hub describes it", Remedy("models.pull", name)
        )


def _drop_others(folder: str, repositories: Sequence[Repository]) -> None:
    """Deletes files of an earlier revision, whose fetching was interrupted."""
    own = {f"{one.within}/{file.name}".lstrip("/") for one in repositories for file in one.files}
    for within, path in model_files(folder):
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
            on_progress(arrived(before + self.bytes, total))
            return None

    return Bar


def arrived(done: int, total: int) -> Progress:
    """How many bytes are there, of how many."""
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
