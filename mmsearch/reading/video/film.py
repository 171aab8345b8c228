"""A film that is open → its parts: what its tags say, and its frames as a person sees them."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from mmsearch.reading.image_pixels import upright
from mmsearch.reading.reader import UnreadableFile, unreachable
from mmsearch.reading.video.frames import MOST_FRAMES, Sampling
from mmsearch.records import Locator, Part

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

Stream = TypeVar("Stream", bound="VideoStream | AudioStream")

# Frames are made small at once, their short side to this many times the wanted one: vectors have a cosine of 0.998 and
# more with those of frames of twice the wanted side, and a quarter less time goes into making and encoding them.
_FINER = 1.3
# Pixels that are said to be wider than high by more than this, or the reverse, are taken for squares.
_MOST_STRETCHED = 4.0
# The signs of the four numbers of a display matrix that turn or mirror, and EXIF's number for the same.
_ORIENTATIONS: dict[tuple[int, ...], int] = {
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
# Less than this, of 1 in fixed point, is none.
_HALF = 1 << 15


class Film:
    """The parts of a film, to be gone through once: frames are decoded as they are asked for. It closes its container.

    `size` is the width and height of what is seen, in pixels. `len` tells how many parts there are, more or less.

    Raises:
        UnreadableFile: no frame can be decoded.
    """

    def __init__(self, container: InputContainer, sampling: Sampling, side: int, said: Sequence[Part]) -> None:
        self._container = container
        self._sampling = sampling
        self._side = side
        self._said = said
        self._frames = sampling.frames(packets_of(container, sampling.stream))
        ratio = float(sampling.stream.sample_aspect_ratio or 1)
        self._ratio = ratio if 1 / _MOST_STRETCHED <= ratio <= _MOST_STRETCHED else 1.0
        for first in self._frames:
            picture = self._picture(first.frame)
            if picture is not None:
                break
        else:
            raise UnreadableFile("no picture inside")
        self._first, self._first_picture = first, picture
        width, height = self._lying_size(first.frame)
        self.size = (height, width) if _orientation(first.frame) in _ON_ITS_SIDE else (width, height)

    def __len__(self) -> int:
        expected = round(min((self._sampling.duration or 0.0) / self._sampling.step, MOST_FRAMES))
        return len(self._said) + max(1, expected)

    def __iter__(self) -> Generator[Part, None, None]:
        try:
            yield from self._said
            begins, picture = self._first.begins, self._first_picture
            for following in self._frames:
                seen = self._picture(following.frame)
                if seen is None:
                    continue
                yield _frame_part(picture, begins, following.begins)
                begins, picture = following.begins, seen
            yield _frame_part(picture, begins, max(self._sampling.end, begins))
        finally:
            self._container.close()

    def _picture(self, frame: VideoFrame) -> Image | None:
        """The frame upright, in RGB of eight bits, its short side as long as it is wanted; None where that fails."""
        width, height = self._lying_size(frame)
        factor = max(1.0, min(width, height) / (_FINER * self._side))
        size = {"width": max(1, round(width / factor)), "height": max(1, round(height / factor))}
        try:
            # The mean of the pixels that one covers: as good as cubes for pictures that become smaller, and cheaper.
            picture: Image = frame.to_image(**size, interpolation="AREA")
        except MemoryError:
            raise
        except Exception:  # pixels of a kind that nothing converts, or none at all
            return None
        return upright(picture, _orientation(frame))

    def _lying_size(self, frame: VideoFrame) -> tuple[int, int]:
        """The width and height of a frame as it lies in the file, where its pixels need not be squares."""
        return max(1, round(frame.width * self._ratio)), frame.height


def packets_of(container: InputContainer, stream: Stream) -> Iterator[Packet[Stream]]:
    """The packets of one stream, up to where the file ends or its structure does."""
    import av

    try:
        yield from container.demux(stream)
    except (MemoryError, UnreadableFile):
        raise
    except OSError as error:
        if isinstance(error, av.FFmpegError):
            return
        raise unreachable(error) from None
    except Exception:  # hostile bytes make PyAV raise others than its own too
        return


def _frame_part(picture: Image, begins: float, ends: float) -> Part:
    return Part("image", picture, Locator(time=(round(begins, 3), round(ends, 3))), "frame")


def _orientation(frame: VideoFrame) -> int:
    """How the frame is to be turned or mirrored, as EXIF numbers it."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    signs = tuple(0 if abs(number) < _HALF else 1 if number > 0 else -1 for number in (a, b, c, d))
    return _ORIENTATIONS.get(signs, 1)
