"""Which container of moving pictures or sound some bytes are, told by themselves.

The name is that of FFmpeg's demuxer, which is the only one that is let at the file: some of its others open further
files that a list in the first one names.
"""

from __future__ import annotations

from typing import IO

from mmsearch.reading.image_formats import sure_format
from mmsearch.reading.text_encoding import looks_like_text

# Not .ts: source code is called so too. A transport stream is told by its bytes, whatever its name.
_VIDEO = (
    ".mp4 .m4v .mov .qt .3gp .3g2 .mkv .webm .avi .divx .mpg .mpeg .mpe .m2v .vob .mts .m2ts .m2t .flv .f4v .ogv .wmv"
    " .asf"
)
_AUDIO = ".mp3 .m4a .m4b .flac .ogg .oga .opus .wav .wma .aac .aif .aiff .aifc .mka .weba"
VIDEO_EXTENSIONS = frozenset(_VIDEO.split())
AUDIO_EXTENSIONS = frozenset(_AUDIO.split())

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SURE: tuple[tuple[bytes, str], ...] = (
    (b"OggS\0", "ogg"),
    (b"FLV\x01", "flv"),
    (_ASF, "asf"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpegvideo"),
    (b"fLaC", "flac"),
)
# The first word of a file of 12 bytes or more that says what lies in it, and the second one.
_FORMS = {b"AVI ": "avi", b"WAVE": "wav"}
_AIFF = (b"AIFF", b"AIFC")
# By what brands of ISO media files begin that are films or sound, and those of pictures and of Canon's raw ones.
_FILMS = (
    b"iso",
    b"mp4",
    b"mp7",
    b"avc1",
    b"hvc1",
    b"qt  ",
    b"M4",
    b"3g",
    b"MSNV",
    b"dash",
    b"f4v",
    b"F4",
    b"XAVC",
    b"ND",
)
_NO_FILMS = (b"mif", b"msf", b"hei", b"hev", b"avi", b"crx", b"jp2", b"jpx", b"jpm", b"jxl")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
# What QuickTime's films began with before they had a brand.
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# The length of a packet of a transport stream, and where in it the sync byte stands: as it is, as cameras write it
# with a time before each, and with a checksum behind each.
_TRANSPORT = ((188, 0), (192, 4), (204, 0))
_SYNC = 0x47
_FEWEST_PACKETS = 4
# Formats that hold sound and nothing that moves.
_SOUND_ONLY = ("flac", "wav", "aiff", "mp3", "aac")
_OGG_VIDEO = (b"\x80theora", b"BBCD\0", b"\x01video\0\0\0")


def sure_container(head: bytes) -> str | None:
    """The container of bytes that nothing else begins with."""
    for magic, name in _SURE:
        if head.startswith(magic):
            return name
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] in _FORMS:
        return _FORMS[head[8:12]]
    if head[:4] == b"FORM" and head[8:12] in _AIFF:
        return "aiff"
    if head[4:8] == b"ftyp":
        brands = _brands(head)
        is_film = not brands[0].startswith(_NO_FILMS) and any(one.startswith(_FILMS) for one in brands)
        return "mov" if is_film and sure_format(head) is None else None
    if head[:4] == b"\x1a\x45\xdf\xa3" and (b"matroska" in head[:128] or b"webm" in head[:128]):
        return "matroska"
    return "mpegts" if _is_transport_stream(head) else None


def likely_container(head: bytes, extension: str) -> str | None:
    """The container of bytes that other files may begin with too: believe it where the name does not object."""
    if (name := sure_container(head)) is not None:
        return name
    if head[4:8] == b"ftyp" and extension in VIDEO_EXTENSIONS | AUDIO_EXTENSIONS:
        return None if any(one.startswith(_NO_FILMS) for one in _brands(head)) else "mov"
    if head[4:8] in _OLD_QUICKTIME and extension not in AUDIO_EXTENSIONS:
        return "mov"
    if head.startswith(b"ID3"):
        behind = sure_container(head[10 + _id3_size(head) :])
        return behind if behind in ("flac", "aiff", "wav") else "aac" if extension == ".aac" else "mp3"
    # The sync words of AAC and of MPEG's layers are a few bits: the name has to say so too.
    if head[:1] == b"\xff" and len(head) > 2:
        if extension == ".aac" and head[1] & 0xF6 == 0xF0:
            return "aac"
        if extension == ".mp3" and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] & 0xF0 != 0xF0:
            return "mp3"
    return None


def is_sound(head: bytes, extension: str) -> bool:
    """Whether a container holds sound, as far as its first bytes and the name tell: it may still turn out to be."""
    name = likely_container(head, extension)
    if name == "mov":
        return head[8:12] in _SOUND_BRANDS
    if name == "ogg":
        return not any(codec in head[:512] for codec in _OGG_VIDEO)
    # What else is in these is told in the middle of them.
    return name in _SOUND_ONLY or (name is not None and extension in AUDIO_EXTENSIONS)


def _brands(head: bytes) -> list[bytes]:
    """What an ISO media file says that it is, and what else it can be read as."""
    length = min(int.from_bytes(head[:4], "big"), 256)
    return [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]


def is_cut_short(stream: IO[bytes], size: int, name: str) -> bool:
    """Whether a file of `size` bytes is shorter than its own lengths say, in the containers that write such."""
    stream.seek(0)
    head = stream.read(64)
    if name in ("avi", "wav"):
        declared = int.from_bytes(head[4:8], "little")
        return 0 < declared < 0xFFFFFFFF and declared + 8 > size + 1
    if name == "aiff":
        return int.from_bytes(head[4:8], "big") + 8 > size + 1
    if name == "mov":
        # A file has its index before or behind its pictures; where that is lacking, it was to come behind them.
        declared_size, has_index = _boxes(stream, size)
        return declared_size > size or not has_index
    return name == "matroska" and _matroska_size(head) > size


def _boxes(stream: IO[bytes], size: int) -> tuple[int, bool]:
    """How long a file of boxes should be by their lengths, and whether its index is among them."""
    at, has_index = 0, False
    while at + 8 <= size:
        stream.seek(at)
        box = stream.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        has_index = has_index or box[4:8] == b"moov"
        if length < 8:  # 0: the box lasts to the end
            return size, has_index
        at += length
    return at, has_index


def _matroska_size(head: bytes) -> int:
    """How long the file is by the lengths of its header and of the segment behind it; 0 where they do not say."""
    at = 0
    for identity in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if head[at : at + 4] != identity or len(head) < at + 12:
            return 0
        first = head[at + 4]
        width = 9 - first.bit_length()
        if width > 8:
            return 0
        length = int.from_bytes(head[at + 4 : at + 4 + width], "big") - (1 << (7 * width))
        if length == (1 << (7 * width)) - 1:  # not known when it was written
            return 0
        at += 4 + width + length
    return at


def _id3_size(head: bytes) -> int:
    """The length of the tag behind its ten bytes of header, in seven bits a byte."""
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(reversed(head[6:10])))


def _is_transport_stream(head: bytes) -> bool:
    for length, first in _TRANSPORT:
        packets = range(first, len(head) - 3, length)
        if len(packets) >= _FEWEST_PACKETS and all(head[at] == _SYNC for at in packets):
            return not looks_like_text(head)
    return False
