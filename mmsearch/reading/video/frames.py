"""The packets of a film → a frame each two seconds, decoded with as little work as its key frames allow.

All packets are looked at in the order of the file, which is cheap, and few are decoded: a key frame near the wanted
moment by itself, else what lies between the key frame before it and that moment. Nothing is sought: indexes and times
are wrong in many files, and the bytes were read for their digest a moment ago.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

STEP_SECONDS = 2.0
# In the middle of two cuts that are as near as cuts are; the first frames of a film are often black.
FIRST_SECONDS = 0.5
# A key frame as near as this to the wanted moment is taken for it.
NEAR_SECONDS = 1.0
MOST_FRAMES = 2_000
# Where more come than was to be expected, the step is doubled after each so many.
MORE_FRAMES = 1_000
# Fewer bytes a second than any film has: a duration by which there would be no more is none.
LEAST_BYTES_A_SECOND = 500
# Times that go back by more, or forth by more, are those of another piece put behind the first. Where it is only known
# when frames are seen, and not when they are decoded, they go back and forth by a few frames.
BACK_SECONDS = 1.0
SEEN_BACK_SECONDS = 10.0
FORTH_SECONDS = 3_600.0
BEYOND_SECONDS = 60.0
_USUAL_RATE = 25
# The same frame at so many moments in a row: the one before the first of them, where that was given, and the next.
_UNCHANGED = 2
_THE_END = (None, math.inf)


class Sampled(NamedTuple):
    """A frame, and from when on it stands for the film, in seconds since its beginning."""

    begins: float
    frame: VideoFrame


@dataclass
class Sampling:
    """Takes a frame each `step` seconds of the packets of one stream.

    `start` is when the file begins, in seconds of the stream's clock, and `duration` how long it is, None where that is
    not known. `end` is how far the packets have come.
    """

    stream: VideoStream
    start: float
    duration: float | None
    step: float
    end: float = 0.0

    def frames(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[Sampled]:
        """The frames, in their order; of several moments at which the same one is seen, the first."""
        decoder = _Decoder(self.stream, self.start)
        at, step, taken, most, unchanged = 0.0, self.step, 0, MOST_FRAMES, 0
        for packet, time in chain(self._timed(packets), (_THE_END,)):
            if packet is None:
                decoder.end()
            else:
                decoder.add(packet, time)
            ripe = self.end if packet is None else time - NEAR_SECONDS
            while at + FIRST_SECONDS <= ripe:
                frame = decoder.at(at + FIRST_SECONDS)
                unchanged = unchanged + 1 if frame is None else 0
                if frame is not None:
                    yield Sampled(at, frame)
                    taken += 1
                    if taken == most:
                        step, most = 2 * step, most + MORE_FRAMES
                ahead = decoder.ahead_at
                # The last frame before a gap was seen by now, and nothing of what comes after it could be decoded.
                if ahead is None and unchanged >= _UNCHANGED and ripe > at + BEYOND_SECONDS:
                    ahead = ripe
                at = self._following(at, step, ahead)
        if not taken and (frame := decoder.at(math.inf)) is not None:
            yield Sampled(0.0, frame)

    @staticmethod
    def _following(at: float, step: float, ahead: float | None) -> float:
        """The next moment: behind a gap, as what is seen in it was taken already."""
        at += step
        if ahead is not None and ahead > at + FIRST_SECONDS:
            at += step * math.ceil((ahead - FIRST_SECONDS - at) / step)
        return at

    def _timed(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[tuple[Packet[VideoStream], float]]:
        """Packets that hold something, each with its time since the beginning, which does not jump."""
        unit = float(self.stream.time_base or 1)
        usual = 1 / float(self.stream.average_rate or _USUAL_RATE)
        shift, last = 0.0, -math.inf
        for packet in packets:
            if not packet.size:
                continue
            stamp = packet.dts if packet.dts is not None else packet.pts
            if stamp is None:
                time = max(last, 0.0) + usual
                packet.pts = round((time + self.start - shift) / unit)
            else:
                time = stamp * unit - self.start + shift
            if self._is_jump(time, last, BACK_SECONDS if packet.dts is not None else SEEN_BACK_SECONDS):
                shift += last + usual - time
                time = last + usual
            if shift:
                moved = round(shift / unit)
                packet.pts = None if packet.pts is None else packet.pts + moved
                packet.dts = None if packet.dts is None else packet.dts + moved
            last = time
            seen = time if packet.pts is None else packet.pts * unit - self.start
            self.end = max(self.end, seen + min(float(packet.duration or 0) * unit, FORTH_SECONDS))
            yield packet, time

    def _is_jump(self, time: float, last: float, back: float) -> bool:
        if last == -math.inf:
            return False
        is_beyond = self.duration is not None and time > self.duration + BEYOND_SECONDS
        return time < last - back or time > last + (BEYOND_SECONDS if is_beyond else FORTH_SECONDS)


def step_for(duration: float | None, size: int) -> float:
    """The step by which a film of that duration, of so many bytes, has about MOST_FRAMES frames or fewer."""
    believed = min(duration or 0.0, size / LEAST_BYTES_A_SECOND)
    return max(STEP_SECONDS, believed / MOST_FRAMES)


class _Waiting(NamedTuple):
    packet: Packet[VideoStream]
    time: float
    is_key: bool


class _Decoder:
    """Gives the frame that is seen at a moment, of packets that are added in their order. Moments only grow."""

    def __init__(self, stream: VideoStream, start: float) -> None:
        self._context = stream.codec_context
        self._context.thread_count = 1
        # What nothing else is made of is not decoded, by decoders that can do without: the frame is one nearby then.
        self._context.skip_frame = "NONREF"
        self._unit = float(stream.time_base or 1)
        self._start = start
        # What is to be decoded from here on, and what was.
        self._waiting: deque[_Waiting] = deque()
        self._ahead: deque[tuple[float, VideoFrame]] = deque()
        self._last: VideoFrame | None = None
        self._given: float | None = None
        self._fed_at = 0.0
        self._is_ended = False

    @property
    def ahead_at(self) -> float | None:
        """When the first frame is to be seen that lies behind the last moment, where one has been decoded."""
        return self._ahead[0][0] if self._ahead else None

    def add(self, packet: Packet[VideoStream], time: float) -> None:
        shown = time if packet.pts is None else packet.pts * self._unit - self._start
        self._waiting.append(_Waiting(packet, shown, packet.is_keyframe))

    def end(self) -> None:
        """There are no more packets."""
        self._is_ended = True

    def at(self, moment: float) -> VideoFrame | None:
        """The frame at that moment, or a key frame near it; None where it was given before, or nothing was decoded."""
        keys = [one for one in self._waiting if one.is_key]
        near = min(keys, key=lambda one: abs(one.time - moment), default=None)
        if near is not None and abs(near.time - moment) <= NEAR_SECONDS and (frame := self._alone(near)) is not None:
            return self._new(frame)
        # What was before a key frame that gave nothing is gone by now.
        before = [one for one in self._waiting if one.is_key and one.time <= moment]
        if before:
            self._begin_at(before[-1])
        while not self._ahead or self._ahead[0][0] <= moment:
            if self._ahead:
                self._last = self._ahead.popleft()[1]
            elif not self._feed():
                break
        if self._last is not None:
            return self._new(self._last)
        return self._new(self._ahead[0][1]) if self._ahead else None

    def _new(self, frame: VideoFrame) -> VideoFrame | None:
        time = self._time_of(frame)
        known, self._given = self._given, time
        return None if time == known else frame

    def _alone(self, key: _Waiting) -> VideoFrame | None:
        """A key frame, of which the decoder knows no more afterwards: it may have to begin there once more."""
        self._begin_at(key)
        frames = [*self._decoded(key.packet), *self._decoded(None)]
        self._context.flush_buffers()
        self._last = frames[0] if frames else None
        return self._last

    def _begin_at(self, key: _Waiting) -> None:
        while self._waiting[0] is not key:
            self._waiting.popleft()
        self._context.flush_buffers()
        self._ahead.clear()
        self._last = None

    def _feed(self) -> bool:
        """Decodes the next packet; whether there was one, or something was held back."""
        if self._waiting:
            one = self._waiting.popleft()
            self._fed_at = one.time
            frames = self._decoded(one.packet)
        elif self._is_ended:
            frames = self._decoded(None)
            if not frames:
                return False
        else:
            return False
        self._ahead.extend((self._time_of(frame), frame) for frame in frames)
        return True

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """What comes of a packet, None being the end; of a damaged one nothing."""
        try:
            return list(self._context.decode(packet))
        except MemoryError:
            raise
        except Exception:  # hostile bytes make PyAV raise others than its own too
            return []

    def _time_of(self, frame: VideoFrame) -> float:
        stamp = frame.pts if frame.pts is not None else frame.dts
        return self._fed_at if stamp is None else stamp * self._unit - self._start
