"""Speech in films and recordings → what is said, in passages with their times.

A Whisper model in CTranslate2's form, from a folder of this disk, transcribes the stretches in which somebody speaks.
It runs on the processor, with faster-whisper; nothing is fetched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from mmsearch.errors import NotFound, Remedy, Unsupported
from mmsearch.files.silencing import silenced
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.stage import Stage
from mmsearch.reading.video import open_container
from mmsearch.records import Locator, Part

if TYPE_CHECKING:
    from av.container import InputContainer

    from mmsearch.records import FloatMatrix

EXTRA = "speech"
VERSION = "2"
# Without a tokenizer of its own a model would want one from the network.
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")
_EDGE_BYTES = 1 << 16
# What is decoded and transcribed at once, in seconds: memory is bounded by it. It ends where it is quiet, within the
# last of them.
BLOCK_SECONDS = 600
_SEARCHED_SECONDS = 20
_QUIET_SECONDS = 0.4
RATE = 16_000
_LOUDEST = 32_768
# A passage ends before it would last longer, or have more characters.
PASSAGE_SECONDS = 30.0
PASSAGE_CHARACTERS = 400
_MOST_THREADS = 4


class Said(NamedTuple):
    """Some words, and from when to when they are said, in seconds."""

    begins: float
    ends: float
    text: str


def can_transcribe() -> bool:
    """Whether the packages are there that it needs."""
    return find_spec("faster_whisper") is not None and find_spec("av") is not None


def _resolved(model: str) -> str:
    """The folder of the model, absolute.

    Raises:
        Unsupported: the extra is not installed. NotFound: there is no such model.
    """
    if not can_transcribe():
        raise Unsupported("Transcribing speech needs faster-whisper", Remedy("extra", EXTRA))
    folder = os.path.abspath(os.path.expanduser(model))
    missing = [name for name in MODEL_FILES if not os.path.isfile(os.path.join(folder, name))]
    if not model or missing:
        what = f"no {' and no '.join(missing)} in it" if model and os.path.isdir(folder) else "no such folder"
        raise NotFound(
            f"{model or 'An empty path'} is no folder with a Whisper model in CTranslate2's form: there is {what}",
            Remedy("speech.model"),
        )
    return folder


def _version(model: str) -> str:
    """By which model, told by its description and the edges of its weights: reading all of them takes seconds."""
    folder = _resolved(model)
    digest = hashlib.blake2b(digest_size=8)
    for name in MODEL_FILES:
        with open(os.path.join(folder, name), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(size.to_bytes(8, "little"))
            digest.update(file.read(_EDGE_BYTES))
            file.seek(max(0, size - _EDGE_BYTES))
            digest.update(file.read(_EDGE_BYTES))
    return f"{VERSION} {digest.hexdigest()}"


def engine_of(model: str) -> _Speech:
    """What transcribes with the model of that folder.

    Raises:
        Unsupported: the extra is not installed, or the model cannot be loaded. NotFound: there is no such model.
    """
    folder = _resolved(model)
    try:
        loaded = silenced("faster_whisper").WhisperModel(
            folder,
            device="cpu",
            compute_type="int8",
            cpu_threads=min(_MOST_THREADS, os.cpu_count() or 1),
            local_files_only=True,
        )
    except Exception as error:  # what is wrong with a model is told in many ways
        raise Unsupported(
            f"The Whisper model in {folder} cannot be loaded ({error})", Remedy("speech.model")
        ) from error
    return _Speech(loaded)


class _Speech:
    def __init__(self, model: Any) -> None:
        self._model = model

    def parts(self, file: OpenFile) -> Iterator[Part]:
        """What is said in the file, in passages with the time of each; nothing where there is no sound."""
        for passage in passages(self._said(file)):
            time = round(passage.begins, 3), round(passage.ends, 3)
            yield Part("text", passage.text, Locator(time=time), STAGE.source)

    def _said(self, file: OpenFile) -> Iterator[Said]:
        with open_container(file) as container:
            for begins, sound in blocks(container):
                # What one stretch says must not make up the next: without a clear voice it would be repeated.
                segments, _ = self._model.transcribe(sound, vad_filter=True, condition_on_previous_text=False)
                length = len(sound) / RATE
                for segment in segments:
                    yield Said(begins + min(segment.start, length), begins + min(segment.end, length), segment.text)


def blocks(container: InputContainer) -> Iterator[tuple[float, FloatMatrix]]:
    """The sound of a recording, mono, at RATE, float32 [samples], in stretches of up to BLOCK_SECONDS, each with the
    second at which it begins; none goes across a gap in its times. What a damaged file still holds comes.

    Raises:
        UnreadableFile: its sound is of a kind that is not known.
    """
    import numpy as np

    from mmsearch.reading.video.sound import pieces_of

    if container.streams.audio and all(stream.codec_context is None for stream in container.streams.audio):
        raise UnreadableFile("not supported: sound of this kind")
    length, start = BLOCK_SECONDS * RATE, (container.start_time or 0) / 1e6
    begins, count = 0.0, 0
    pieces: list[FloatMatrix] = []
    for piece in pieces_of(container, RATE):
        if piece.begins is not None:
            if count:  # a gap
                yield begins, np.concatenate(pieces)
            begins, pieces, count = max(0.0, piece.begins - start), [], 0
        pieces.append(piece.samples.astype(np.float32) / np.float32(_LOUDEST))
        count += len(piece.samples)
        while count >= length:
            held = np.concatenate(pieces)
            end = _quiet_place(held[:length])
            yield begins, held[:end]
            begins += end / RATE
            pieces, count = [held[end:]], len(held) - end
    if count:
        yield begins, np.concatenate(pieces)


def _quiet_place(sound: FloatMatrix) -> int:
    """The sample, among the last ones, around which it is quietest: a block that ends there ends in no word."""
    import numpy as np

    window = int(_QUIET_SECONDS * RATE)
    first = len(sound) - _SEARCHED_SECONDS * RATE
    energies = np.square(sound[first:]).reshape(-1, window).sum(axis=1)
    return first + int(np.argmin(energies)) * window + window // 2


def passages(said: Iterable[Said]) -> Iterator[Said]:
    """What is said, put together to passages."""
    held: list[Said] = []
    for one in said:
        text = " ".join(one.text.split())
        if not text:
            continue
        is_full = held and (
            one.ends - held[0].begins > PASSAGE_SECONDS
            or sum(len(before.text) + 1 for before in held) + len(text) > PASSAGE_CHARACTERS
        )
        if is_full:
            yield _joined(held)
            held = []
        held.append(Said(one.begins, one.ends, text))
    if held:
        yield _joined(held)


def _joined(held: list[Said]) -> Said:
    return Said(held[0].begins, held[-1].ends, " ".join(one.text for one in held))


STAGE = Stage(
    name="speech",
    source="transcript",
    media=frozenset(("audio", "video")),
    doing="transcribing speech",
    resolved=_resolved,
    version=_version,
    open=engine_of,
    takes_wordless=True,
)
