"""Subtitles and lyrics (.srt .vtt .lrc) → what is said or sung, by stretches of half a minute with their times."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from mmsearch.reading.noise import blank_noise
from mmsearch.records import Locator, Part

_LYRICS, _WEB = ".lrc", ".vtt"
# A stretch lasts no longer, unless one cue does, and holds no more than fits the windows of most encoders.
_LONGEST, _MOST_CHARACTERS = 30.0, 400
_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"[ \t]{{0,9}}{_CLOCK}[ \t]{{0,9}}-{{1,2}}>[ \t]{{0,9}}{_CLOCK}(?![\d:])")
# Blocks of a .vtt that are seen by nobody.
_NOT_SEEN = ("NOTE", "STYLE", "REGION")
_TAGS = re.compile(
    r"</?(?:b|i|u|s|c|v|font|lang|ruby|rt)(?:[.\s][^<>\n]{0,300})?/?>|<[\d:.,]{4,14}>|\{\\[^{}\n]{1,100}\}|\{[biuy]:[^{}\n]{1,50}\}",
    re.I,
)
_STAMP = re.compile(r"[ \t]{0,9}\[(\d{1,4}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_SAID = re.compile(r"\s{0,9}\[(ti|ar|al|offset):([^\]\n]{1,300})\]\s{0,99}$", re.I)


class _Cue(NamedTuple):
    """A text that is seen from–to in seconds; `line` is the one of its first words, from 1."""

    begins: float
    ends: float
    line: int
    text: str


def parts_of_subtitles(text: str, extension: str) -> list[Part]:
    """The stretches of a text in their order, and before them what a song is called and who made it.

    None are given where the text has no times: it is one like others.
    """
    lines = text.split("\n")
    parts = []
    if extension == _LYRICS:
        cues = _sung(lines)
        if cues and (said := _said_of_song(lines)):
            parts.append(Part("text", said, Locator(line=1)))
    else:
        cues = list(_shown(lines, is_web=extension == _WEB))
    starts = _starts(lines)
    for stretch in _stretches(sorted(cues)):
        words = blank_noise("\n".join(cue.text for cue in stretch))
        line = min(cue.line for cue in stretch)
        time = stretch[0].begins, max(cue.ends for cue in stretch)
        if any(map(str.isalpha, words)):
            parts.append(Part("text", words, Locator(start=starts[line - 1], line=line, time=time)))
    return parts


def _starts(lines: list[str]) -> list[int]:
    """Where each line begins, in characters."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _stretches(cues: list[_Cue]) -> Iterator[list[_Cue]]:
    stretch: list[_Cue] = []
    length = 0
    for cue in cues:
        is_full = stretch and (cue.ends - stretch[0].begins > _LONGEST or length + len(cue.text) > _MOST_CHARACTERS)
        if is_full:
            yield stretch
            stretch, length = [], 0
        stretch.append(cue)
        length += len(cue.text) + 1
    if stretch:
        yield stretch


def _shown(lines: list[str], is_web: bool) -> Iterator[_Cue]:
    """The cues of subtitles: each is the lines between a line of times and the number of the next one.

    What is shown again together with what is new, as speech that is written while it is spoken, comes once.
    """
    times = [(number, found) for number, line in enumerate(lines) if "->" in line and (found := _TIMING.match(line))]
    before: list[str] = []
    for place, (number, found) in enumerate(times):
        last = times[place + 1][0] if place + 1 < len(times) else len(lines)
        below = list(range(number + 1, last))
        if last < len(lines) and below and _is_name(lines, below[-1], is_web):
            below.pop()
        if is_web:
            below = _seen(lines, below)
        kept = [(one, words) for one in below if (words := _words(lines[one]))]
        new = [(one, words) for one, words in kept if words not in before]
        before = [words for _, words in kept]
        begins, ends = _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:])
        if new:
            yield _Cue(begins, max(begins, ends), new[0][0] + 1, "\n".join(words for _, words in new))


def _is_name(lines: list[str], number: int, is_web: bool) -> bool:
    """Whether a line that stands right above a line of times numbers what follows or, in a .vtt, names it."""
    line = lines[number].strip()
    return line.isdigit() or bool(is_web and line and not lines[number - 1].strip())


def _seen(lines: list[str], numbers: list[int]) -> list[int]:
    """Those lines that are in no block of a .vtt that nobody sees."""
    kept, is_seen, was_empty = [], True, False
    for number in numbers:
        line = lines[number].strip()
        if was_empty and line:
            is_seen = not line.startswith(_NOT_SEEN)
        was_empty = not line
        is_seen = is_seen or was_empty
        if is_seen:
            kept.append(number)
    return kept


def _sung(lines: list[str]) -> list[_Cue]:
    """The lines of a song, at each of the times that stand before it; each lasts until the next."""
    said = [found for line in lines if (found := _SAID.match(line)) and found[1].lower() == "offset"]
    sooner = 0.0
    if said and re.fullmatch(r"[+-]?\d{1,9}", said[0][2].strip()):
        sooner = int(said[0][2]) / 1000
    sung: list[tuple[float, int, str]] = []
    for number, line in enumerate(lines, start=1):
        place, begins = 0, list[float]()
        while (stamp := _STAMP.match(line, place)) is not None:
            begins.append(max(0.0, _seconds(None, *stamp.groups()) - sooner))
            place = stamp.end()
        sung += [(time, number, _words(line[place:])) for time in begins]
    sung.sort()
    ends = [*(time for time, _, _ in sung[1:]), *(time for time, _, _ in sung[-1:])]
    return [_Cue(time, end, line, words) for (time, line, words), end in zip(sung, ends, strict=True) if words]


def _said_of_song(lines: list[str]) -> str:
    """The title, artist and album."""
    said = [(found[1].lower(), found[2].strip()) for line in lines if (found := _SAID.match(line))]
    return "\n".join(words for kind, words in said if kind != "offset" and words)


def _words(line: str) -> str:
    return " ".join(html.unescape(_TAGS.sub("", line)).split())


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + (int(fraction) / 10 ** len(fraction) if fraction else 0.0)
