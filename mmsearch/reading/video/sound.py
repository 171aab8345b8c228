"""The sound of a recording or a film → windows of it, each with its time, in the form in which a model hears.

It is decoded as it is asked for: no more than a window and what one packet gives is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mmsearch.reading.video.film import packets_of
from mmsearch.reading.video.frames import FORTH_SECONDS, LEAST_BYTES_A_SECOND
from mmsearch.records import Hearing, Locator, Part, Sound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# Windows overlap by so much: what is no longer lies whole in one of them.
OVERLAP_SECONDS = 2.0
MOST_WINDOWS = 2_000
# Where more come than was to be expected, the step is doubled after each so many.
MORE_WINDOWS = 1_000
# The mean level of a window, as a share of the loudest there can be, below which nothing is heard in it: -60 dB.
SILENCE = 0.001
# Of what is left at the end, or before a gap, less than this is no window of its own.
SHORTEST_SECONDS = 0.5
# A gap in the times that is longer than this is one in the sound.
GAP_SECONDS = 1.0
# No sound has fewer samples a second; a file that says so would be drawn out to no end.
LEAST_RATE = 4_000
_LOUDEST = 32_768


class Piece(NamedTuple):
    """Samples that follow those before, int16 [n], or begin anew at `begins`, in seconds of the stream's clock."""

    samples: npt.NDArray[np.int16]
    begins: float | None = None


class _Stretch:
    """Sound without a gap that comes piece by piece, of which `at` is the time at which what is held begins."""

    def __init__(self, at: float) -> None:
        self._at = at
        self._held: list[npt.NDArray[np.int16]] = []
        self._count = 0
        # How many samples of what is held were in a window before, and how many that are to come are in none.
        self._known = 0
        self._passed_over = 0
        self._has_window = False

    def add(self, samples: npt.NDArray[np.int16]) -> None:
        self._held.append(samples)
        self._count += len(samples)

    def window(self, length: int, rate: int, step: float) -> tuple[float, npt.NDArray[np.int16]] | None:
        """The next window of so many samples, once they are there; the one after it begins `step` seconds later."""
        if self._passed_over:
            self._drop(min(self._passed_over, self._count), rate)
        if self._passed_over or self._count < length:
            return None
        window = self._at, self._joined()[:length]
        self._passed_over = round(step * rate)
        self._known = max(0, length - self._passed_over)
        self._has_window = True
        return window

    def rest(self, rate: int) -> Iterator[tuple[float, npt.NDArray[np.int16]]]:
        """What is left at the end, unless that is next to nothing."""
        if self._count - self._known >= (round(SHORTEST_SECONDS * rate) if self._has_window else 1):
            yield self._at, self._joined()

    def _drop(self, count: int, rate: int) -> None:
        self._held = [self._joined()[count:]] if count < self._count else []
        self._count -= count
        self._passed_over -= count
        self._at += count / rate

    def _joined(self) -> npt.NDArray[np.int16]:
        import numpy as np

        if len(self._held) > 1:
            self._held = [np.concatenate(self._held)]
        return self._held[0]


class Soundtrack:
    """The windows of a file's sound that are not silent, to be gone through once. It closes its container.

    Each is `hearing.seconds` long, the last one of what is left. `duration` and `size` are those of the file, in
    seconds and bytes. `len` tells how many windows there are, more or less.
    """

    def __init__(self, container: InputContainer, hearing: Hearing, duration: float | None, size: int) -> None:
        self._container = container
        self._hearing = hearing
        believed = min(duration or 0.0, size / LEAST_BYTES_A_SECOND)
        self._step = max(hearing.seconds - OVERLAP_SECONDS, hearing.seconds / 2, believed / MOST_WINDOWS)
        self._count = max(1, round(believed / self._step))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Part]:
        import numpy as np

        rate, start = self._hearing.rate, (self._container.start_time or 0) / 1e6
        taken, most = 0, MOST_WINDOWS
        try:
            for at, samples in self._windows():
                heard = samples.astype(np.float32) / np.float32(_LOUDEST)
                if float(np.sqrt(np.mean(np.square(heard)))) < SILENCE:
                    continue
                begins = max(0.0, at - start)
                time = round(begins, 3), round(begins + len(heard) / rate, 3)
                yield Part("audio", Sound(heard, rate), Locator(time=time), "sound")
                taken += 1
                if taken == most:
                    self._step, most = 2 * self._step, most + MORE_WINDOWS
        finally:
            self._container.close()

    def _windows(self) -> Iterator[tuple[float, npt.NDArray[np.int16]]]:
        """All windows, int16 [n], each with the time at which it begins, of the stream's clock."""
        stretch = _Stretch(0.0)
        length = round(self._hearing.seconds * self._hearing.rate)
        for piece in pieces_of(self._container, self._hearing.rate):
            if piece.begins is not None:
                yield from stretch.rest(self._hearing.rate)
                stretch = _Stretch(piece.begins)
            stretch.add(piece.samples)
            while (window := stretch.window(length, self._hearing.rate, self._step)) is not None:
                yield window
        yield from stretch.rest(self._hearing.rate)


def pieces_of(container: InputContainer, rate: int) -> Iterator[Piece]:
    """The sound that players play, as one channel of `rate` samples a second. What is damaged in it is passed over, and
    a gap in the times is one in the sound.
    """
    resampler: AudioResampler | None = None
    form: tuple[object, ...] = ()
    begins: float | None = None
    expected: float | None = None
    for frame in _frames_of(container, _played(container)):
        told = frame.time if frame.time is not None else expected or 0.0
        is_gap = expected is not None and GAP_SECONDS < told - expected < FORTH_SECONDS
        if resampler is not None and (is_gap or form != _form(frame)):
            yield from (Piece(samples) for samples in _resampled(resampler, None))
            resampler = None
        if expected is None or is_gap:
            begins = expected = told
        if resampler is None:
            resampler, form = _resampler(rate), _form(frame)
        for samples in _resampled(resampler, frame):
            yield Piece(samples, begins)
            begins = None
        # Times that go back, or far ahead, go on from where they were.
        expected += _seconds(frame)
    if resampler is not None:
        yield from (Piece(samples) for samples in _resampled(resampler, None))


def _played(container: InputContainer) -> AudioStream | None:
    """The stream of sound that players play; None where there is none of a kind that is known."""
    from av.stream import Disposition

    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return max(known, key=lambda one: bool(one.disposition & Disposition.default), default=None)


def _resampler(rate: int) -> AudioResampler:
    from av.audio.resampler import AudioResampler

    # Whole numbers: the sum of several channels is no louder then than the loudest of them.
    return AudioResampler(format="s16", layout="mono", rate=rate)


def _frames_of(container: InputContainer, stream: AudioStream | None) -> Iterator[AudioFrame]:
    """What can be decoded of a stream; what is damaged in it is passed over."""
    if stream is None:
        return
    stream.codec_context.thread_count = 1
    for packet in packets_of(container, stream):
        yield from (frame for frame in _decoded(packet) if frame.sample_rate >= LEAST_RATE and frame.samples)


def _decoded(packet: Packet[AudioStream]) -> list[AudioFrame]:
    try:
        return list(packet.decode())
    except MemoryError:
        raise
    except Exception:  # hostile bytes make PyAV raise others than its own too
        return []


def _resampled(resampler: AudioResampler, frame: AudioFrame | None) -> list[npt.NDArray[np.int16]]:
    """What comes of a frame, None being the end: int16 [n] each."""
    try:
        return [one.to_ndarray().reshape(-1) for one in resampler.resample(frame)]
    except MemoryError:
        raise
    except Exception:  # a frame of a kind that nothing converts
        return []


def _form(frame: AudioFrame) -> tuple[object, ...]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _seconds(frame: AudioFrame) -> float:
    return float(frame.samples / frame.sample_rate)
