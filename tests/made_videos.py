"""Films and recordings of sound that tests make for themselves, small and short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from PIL import Image

SIZE = (192, 128)


@dataclass(frozen=True)
class Shape:
    """How a film is written: `rate` frames a second, a key frame at most `gop` frames after the one before; turned
    counterclockwise by `rotation` degrees when it is shown.
    """

    codec: str = "mpeg4"
    container: str | None = None
    size: tuple[int, int] = SIZE
    rate: int = 10
    gop: int = 10
    pixels: str = "yuv420p"
    rotation: int | None = None
    aspect: Fraction | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    muxing: Mapping[str, str] = field(default_factory=dict)


USUAL = Shape()


def write_film(path: Path, scenes: Sequence[tuple[Image.Image, float]], shape: Shape = USUAL) -> Path:
    """A film that shows pictures, one after the other, each for some seconds."""
    import av

    with av.open(str(path), "w", format=shape.container, options=dict(shape.muxing)) as container:
        container.metadata.update(shape.tags)
        stream = container.add_stream(shape.codec, rate=shape.rate, options=dict(shape.options))
        stream.width, stream.height = shape.size
        stream.pix_fmt = shape.pixels
        stream.gop_size = shape.gop
        if shape.aspect is not None:
            stream.sample_aspect_ratio = shape.aspect
        if shape.rotation is not None:
            stream.set_display_rotation(shape.rotation)
        number, until = 0, 0.0
        for picture, seconds in scenes:
            frame_of = av.VideoFrame.from_image(picture.convert("RGB").resize(shape.size))
            until += seconds
            while number < until * shape.rate:
                frame_of.pts, frame_of.time_base = number, Fraction(1, shape.rate)
                container.mux(stream.encode(frame_of))
                number += 1
        container.mux(stream.encode())
    return path


def write_sound(
    path: Path, codec: str, tags: Mapping[str, str], cover: Path | None = None, container: str | None = None
) -> Path:
    """A second of silence, with a cover as players show it where one is given."""
    import av

    with av.open(str(path), "w", format=container) as written:
        written.metadata.update(tags)
        stream = written.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        picture = written.add_stream("mjpeg") if cover is not None else None
        if picture is not None and cover is not None:
            with Image.open(cover) as opened:
                picture.width, picture.height = opened.size
            picture.pix_fmt = "yuvj420p"
            picture.metadata["title"] = "Front cover"
            picture.disposition = av.stream.Disposition.attached_pic
        size = stream.codec_context.frame_size or 1_024
        name = stream.codec_context.format.name
        for place in range(0, 48_000, size):
            frame = av.AudioFrame(format=name, layout="mono", samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48_000, place, Fraction(1, 48_000)
            written.mux(stream.encode(frame))
        written.mux(stream.encode())
        if picture is not None and cover is not None:
            packet = av.Packet(cover.read_bytes())
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 90_000)
            written.mux(packet)
    return path
