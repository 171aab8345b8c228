"""What tools and resources answer: an object as JSON, and pictures beside it, within the bounds of an answer."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.records import Progress
from mmsearch.server.mcp.fitting import MOST_ANSWER_BYTES, fitted
from mmsearch.server.mcp.messages import written
from mmsearch.server.opened_library import OpenedLibrary

JPEG = "image/jpeg"
# Words for what only this skin is told in such words: the others are those of the command line.
_REMEDIES = {
    "query": "give `query`, `like` or a filter",
    "query.add": "add `query` or `like`",
    "index.away": "the drive that it lies on is to be connected",
}


class Cancelled(Exception):
    """The client wants no answer any more."""


@dataclass(frozen=True)
class Call:
    """A request that is answered: with what, in how many bytes, and in which form.

    `is_structured` says that the client takes objects beside texts, `in_words` how errors are told to a person, and
    `cancelled` is set once the client wants no answer any more, and `tell` takes how far it is.
    """

    opened: OpenedLibrary
    in_words: Callable[[MmsearchError], str]
    is_structured: bool = True
    most_bytes: int = MOST_ANSWER_BYTES
    cancelled: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[Progress], None] = lambda progress: None

    def go_on(self, progress: Progress) -> None:
        """Tells how far it is. Raises Cancelled where nobody waits for the answer."""
        self.check()
        self.tell(progress)

    def check(self) -> None:
        """Raises Cancelled where nobody waits for the answer."""
        if self.cancelled.is_set():
            raise Cancelled

    def told(self, error: MmsearchError) -> str:
        """The error in a sentence that says what to do."""
        if error.remedy is not None and error.remedy.action in _REMEDIES:
            return f"{error.message.removesuffix('.')}; {_REMEDIES[error.remedy.action]}."
        return self.in_words(error)


@dataclass(frozen=True)
class Picture:
    """A JPEG, and what is said before it."""

    jpeg: bytes
    caption: str = ""

    def blocks(self) -> list[dict[str, Any]]:
        shown = {"type": "image", "data": base64.b64encode(self.jpeg).decode("ascii"), "mimeType": JPEG}
        return [*([_text(self.caption)] if self.caption else []), shown]


def tool_answer(call: Call, document: Mapping[str, Any], pictures: Sequence[Picture] = ()) -> dict[str, Any]:
    """The result of a tool; of pictures as many as there is room for."""
    # The object stands in the answer twice where it is structured, once with its quotation marks marked.
    shortened = fitted(document, call.most_bytes // (3 if call.is_structured else 2))
    result: dict[str, Any] = {"content": [_text(json.dumps(shortened, ensure_ascii=False))], "isError": False}
    if call.is_structured:
        result["structuredContent"] = shortened
    room = call.most_bytes - len(written(result))
    for picture in pictures:
        blocks = picture.blocks()
        room -= len(written(blocks))
        if room < 0:
            break
        result["content"] += blocks
    return result


def fault(call: Call, error: MmsearchError) -> dict[str, Any]:
    """The result of a tool that could not do it."""
    return {"content": [_text(call.told(error))], "isError": True}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
