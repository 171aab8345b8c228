"""Cutting long text into windows of tokens, each with its character offsets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mmsearch.records import TextSpan

# Tokenised at once: keeps the offsets of a 10 MB file from filling memory.
BLOCK_CHARACTERS = 16_384


class Tokens(Protocol):
    """What a fast tokenizer gives for one text (`tokenizers.Encoding` is one)."""

    @property
    def offsets(self) -> list[tuple[int, int]]: ...


class Tokenize(Protocol):
    def __call__(self, text: str, /) -> Tokens: ...


def token_windows(text: str, tokenize: Tokenize, size: int, overlap: int) -> list[TextSpan]:
    """Spans of at most `size` tokens, each sharing about `overlap` tokens with the one before it.

    A span starts at the beginning of a word. `tokenize` must add no special tokens. A text without words gives an
    empty list; `size` and `overlap` are counted in tokens.
    """
    return [span for span in _windows(text, tokenize, size, overlap) if not text[span.start : span.end].isspace()]


def _windows(text: str, tokenize: Tokenize, size: int, overlap: int) -> Iterator[TextSpan]:
    position = 0
    while position < len(text):
        block_end = _block_end(text, position)
        block = text[position:block_end]
        offsets = tokenize(block).offsets
        last_block = block_end == len(text)
        first, emitted = 0, False
        while first + size < len(offsets):
            yield TextSpan(position + offsets[first][0], position + offsets[first + size - 1][1])
            emitted = True
            first = _word_start(block, offsets, first + size - overlap, first)
        if last_block or not emitted:
            if first < len(offsets):
                yield TextSpan(position + offsets[first][0], position + offsets[-1][1])
            position = block_end
        else:
            # The rest is cut again together with what follows it, so that windows run on across blocks.
            position += offsets[first][0]


def _word_start(text: str, offsets: list[tuple[int, int]], token: int, window_start: int) -> int:
    """The first token of the word that `token` is in, or `token` where that word fills the window from its start.

    Words are told by their characters: to some tokenizers a whole text is one word.
    """
    start = token
    while start > window_start and _is_within_word(text, offsets[start][0]):
        start -= 1
    return start if start > window_start else token


def _is_within_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place].isalnum() and text[place - 1].isalnum()


def _block_end(text: str, start: int) -> int:
    end = start + BLOCK_CHARACTERS
    if end >= len(text):
        return len(text)
    for separator in ("\n", " "):
        cut = text.rfind(separator, start + BLOCK_CHARACTERS // 2, end)
        if cut > 0:
            return cut
    return end
