"""Films and recordings of sound that tests make for themselves, small and short."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (192, 128)
SOUND_RATE = 48_000

Samples = npt.NDArray[np.float32]


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


def tone(hertz: float, seconds: float, loudness: float = 0.3) -> Samples:
    """A tone with a few overtones, float32 [n] at SOUND_RATE samples a second."""
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    waves = sum(np.sin(2 * np.pi * hertz * overtone * time) / overtone for overtone in (1, 2, 3))
    return np.asarray(loudness * waves / 2, np.float32)


def noise(seconds: float, loudness: float = 0.1, seed: int = 0) -> Samples:
    """Noise, as `tone`."""
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * SOUND_RATE))
    return np.asarray(np.clip(loudness * drawn, -1, 1), np.float32)


def silence(seconds: float) -> Samples:
    """Nothing, as `tone`."""
    return np.zeros(round(seconds * SOUND_RATE), np.float32)


def write_samples(path: Path, *samples: Samples, channels: int = 1, rate: int = SOUND_RATE) -> Path:
    """A .wav of those samples, one after the other, the same in all channels; played at another rate they last longer
    or shorter.
    """
    whole = np.round(np.concatenate(samples) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(whole, channels).tobytes())
    return path


def write_with_gaps(path: Path, *stretches: tuple[float, Samples], rate: int = SOUND_RATE) -> Path:
    """A recording of stretches of sound, each with the second at which it begins: in between there is nothing."""
    import av

    with av.open(str(path), "w") as written:
        stream = written.add_stream("pcm_s16le", rate=rate)
        stream.layout = "mono"
        for begins, samples in stretches:
            whole = (samples * 32_767).astype(np.int16)[np.newaxis]
            for place in range(0, whole.shape[1], rate):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole[:, place : place + rate]), "s16", "mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, round(begins * rate) + place, Fraction(1, rate)
                written.mux(stream.encode(frame))
        written.mux(stream.encode())
    return path


def with_sound(film: Path, path: Path, samples: Samples) -> Path:
    """A film of AAC sound and the pictures of another one."""
    import av

    with av.open(str(film)) as read, av.open(str(path), "w") as written:
        pictures = read.streams.video[0]
        copied = written.add_stream_from_template(pictures)
        sound = written.add_stream("aac", rate=SOUND_RATE)
        sound.layout = "mono"
        for packet in read.demux(pictures):
            if packet.dts is not None:
                packet.stream = copied
                written.mux(packet)
        for place in range(0, len(samples), 1_024):
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis, place : place + 1_024], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, place, Fraction(1, SOUND_RATE)
            written.mux(sound.encode(frame))
        written.mux(sound.encode())
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
