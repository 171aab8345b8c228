"""Why a file is a hit: the channels that found it, the words in it, and where in its picture what was asked for is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# How a heat map was made, and whether its term is all that was asked for, or a word of it.
HeatMethod = Literal["regions", "occlusion"]
TermKind = Literal["query", "word"]


@dataclass(frozen=True)
class FoundBy:
    """A channel that has found a file, and the score that it gives it: those of all are told together in the hit's."""

    channel: str
    score: float = field(metadata={"digits": 4})


@dataclass(frozen=True)
class FoundWord:
    """A word or phrase of the query that stands in a file, as the word index has it: folded, without accents.

    `begun` tells that it is found as the beginning of another one. `fields` are those where it stands: name, folder,
    title, keywords, place, description, text (the passage of the hit) and part_name. `spans` are where in the hit's
    snippet: characters from (included) and to (excluded).
    """

    word: str
    begun: bool
    fields: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class HeatMap:
    """How much of a term each cell of a picture has: rows from the top, of cells from the left.

    It is the cosine of the cell and the term, of any height; by `occlusion`, how far the picture's cosine falls
    where that cell is hidden.
    """

    term: str
    kind: TermKind
    grid: tuple[tuple[float, ...], ...] = field(metadata={"digits": 4})


@dataclass(frozen=True)
class Heat:
    """Heat maps of one picture by one method, of `rows` and `columns`, over what the model has `seen` of it.

    `seen` is a rectangle in shares of the picture: left, top, right, bottom. From `cold` on a value is drawn, and from
    `hot` on in full: they are the same for all maps, so that a word that the picture lacks stays dark beside others.
    """

    method: HeatMethod
    rows: int
    columns: int
    seen: tuple[float, float, float, float] = field(metadata={"digits": 4})
    cold: float = field(metadata={"digits": 4})
    hot: float = field(metadata={"digits": 4})
    maps: tuple[HeatMap, ...]


@dataclass(frozen=True)
class Explanation:
    """Why the file with that `id` at that `path` answers a query; docs/json.md tells each field.

    `source`, `page`, `time`, `region` and `part_name` are those of its best place, as a hit has them. `heat` is there
    for a photo, and for a page, a picture or a frame that was found as one; `trouble` says why it is not where that
    picture cannot be had now. `score` is the hit's, to which those of the channels lead.
    """

    id: str
    path: str
    source: str
    page: int | None
    time: tuple[float, float] | None
    region: tuple[float, float, float, float] | None
    part_name: str | None
    channels: tuple[FoundBy, ...]
    words: tuple[FoundWord, ...] = ()
    heat: Heat | None = None
    trouble: str | None = None
    score: float | None = field(default=None, metadata={"digits": 4})
