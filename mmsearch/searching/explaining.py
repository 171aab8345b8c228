"""Hits explained: what each channel says of them, which words stand where in them, and heat maps of their pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.nearest.spaces import ModelInUse
from mmsearch.records import Background, Filters, FloatMatrix, Locator, WordSource
from mmsearch.searching import scoring
from mmsearch.searching.channels import LibraryState
from mmsearch.searching.explanations import Explanation, FoundBy, FoundWord, Heat
from mmsearch.searching.function_words import BESIDE_THE_POINT, FUNCTION_WORDS
from mmsearch.searching.fusion import WORDS, fusion_for
from mmsearch.searching.languages import texts_of
from mmsearch.searching.merging import told_by_words
from mmsearch.searching.query import Query
from mmsearch.searching.query_vectors import QueryVectors
from mmsearch.searching.results import Hit
from mmsearch.searching.standing import spans_of
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.searching.word_channel import WordChannel
from mmsearch.store.protocol import Store
from mmsearch.store.words import AskedWord, words_of_name, words_of_text, words_placed

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.searching.heat import AskedTerm

# Of the words of a query so many have a heat map of their own.
MOST_MAPS = 8
# Where the picture is that was found, in a file that is none.
_PICTURES = frozenset(("frame", "page", "embedded"))
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Grounds:
    """What the library says of a query's hits at one state: what they are told apart by, without their files.

    `in_use` is the model that sees pictures, with the query's `vector` in its space; None where none does.
    """

    query: Query
    in_use: ModelInUse | None
    vector: FloatMatrix | None
    background: Background | None
    channels: Mapping[str, tuple[FoundBy, ...]]
    words: Mapping[str, tuple[FoundWord, ...]]


def grounds_of(
    store: Store, state: LibraryState, query: Query, vectors: Mapping[int, QueryVector], hits: Sequence[Hit]
) -> Grounds:
    """Those of hits of a query, by their paths. The store stays at the state meanwhile."""
    asked = WordChannel(store, query.terms, query.filters, [in_use.model_id for in_use in state.models])
    fusion = fusion_for(query, state.fusion)
    channels: dict[str, tuple[FoundBy, ...]] = {}
    words: dict[str, tuple[FoundWord, ...]] = {}
    for hit in hits:
        sources: list[WordSource] = []
        if asked:
            of_file = store.word_sources(
                store.items_of_contents([bytes.fromhex(hit.id)]), Filters(folders=(os.fsencode(hit.path),))
            )
            sources = [source for source in of_file if source.path == os.fsencode(hit.path)]
        literal = max((asked.match(source).score for source in sources), default=0.0)
        literal = told_by_words(literal, asked.must_match, fusion)
        channels[hit.path] = tuple(_found_by(hit, literal))
        words[hit.path] = _words(hit, sources[0], asked.words) if sources else ()
    sees = next((in_use for in_use in state.models if not in_use.hears and in_use.model_id in vectors), None)
    if sees is None:
        return Grounds(query, None, None, None, channels, words)
    in_space = vectors[sees.model_id]
    background = scoring.background_of(state.calibration(store, sees), "text", "image")
    return Grounds(query, sees, in_space.vector, background, channels, words)


def explained(hit: Hit, grounds: Grounds, vectors: QueryVectors) -> Explanation:
    """Why a hit is one. Its file is read where there is a picture to be looked at."""
    heat, trouble = _heat(hit, grounds, vectors)
    return Explanation(
        id=hit.id,
        path=hit.path,
        source=hit.source,
        page=hit.page,
        time=hit.time,
        region=hit.region,
        part_name=hit.part_name,
        channels=grounds.channels.get(hit.path, ()),
        words=grounds.words.get(hit.path, ()),
        heat=heat,
        trouble=trouble,
        score=hit.score,
    )


def _found_by(hit: Hit, literal: float) -> Iterator[FoundBy]:
    """The channels of a hit with what each says: `merging` has told them together as independent."""
    of_words = literal if WORDS in hit.channels else 0.0
    for channel in hit.channels:
        rest = (1 - hit.score) / max(1 - of_words, 1e-6)
        yield FoundBy(channel, of_words if channel == WORDS else min(1.0, max(0.0, 1 - rest)))


def _words(hit: Hit, source: WordSource, asked: Sequence[AskedWord]) -> tuple[FoundWord, ...]:
    """The words that stand somewhere in a file, each with where."""
    fields: dict[str, list[str]] = {
        "name": words_of_name(source.name),
        "folder": words_of_name(source.folders),
        "title": words_of_text(hit.title or ""),
        "keywords": [word for keyword in hit.keywords for word in words_of_text(keyword)],
        "place": words_of_text(hit.place or ""),
        "description": words_of_text(hit.description or ""),
        "text": words_of_text(hit.snippet or ""),
        "part_name": words_of_text(hit.part_name or ""),
    }
    placed = words_placed(hit.snippet or "")
    found = []
    for word in asked:
        standing = tuple(name for name, of_field in fields.items() if of_field and word.is_in(of_field))
        if standing:
            spans = tuple(spans_of(word, placed)) if "text" in standing else ()
            found.append(FoundWord(" ".join(word.pieces), word.is_begun, standing, spans))
    return tuple(found)


def _heat(hit: Hit, grounds: Grounds, vectors: QueryVectors) -> tuple[Heat | None, str | None]:
    """The heat maps of the hit's picture; or why there are none though it has one."""
    in_use, background = grounds.in_use, grounds.background
    if in_use is None or background is None or not (hit.type == "image" or hit.source in _PICTURES):
        return None, None
    from mmsearch.searching.heat import heat_in

    terms = _terms(grounds, in_use, lambda texts: vectors.of_texts(in_use, texts))
    with vectors.encoder(in_use) as encoder:
        side = 2 * encoder.image_side  # a model may look at parts of it
    picture, trouble = _picture(hit, side)
    if picture is None:
        return None, trouble
    with vectors.encoder(in_use) as encoder:
        return heat_in(encoder, picture, terms, background), None


def _terms(grounds: Grounds, in_use: ModelInUse, encoded: Callable[[tuple[str, ...]], FloatMatrix]) -> list[AskedTerm]:
    """All that was asked for and, where it is more than a word, each of its words that says something."""
    from mmsearch.searching.heat import AskedTerm

    assert grounds.vector is not None
    texts = [term for term in grounds.query.terms if term.modality == "text" and term.weight > 0]
    read = [texts_of(term, in_use)[0] for term in texts]
    whole = " + ".join(read) or "what is alike"
    words = dict.fromkeys(
        word
        for text in read
        for word in _WORD.findall(text)
        if not (FUNCTION_WORDS | BESIDE_THE_POINT).issuperset(words_of_text(word))
    )
    words.pop(whole, None)
    own = [AskedTerm(word, "word", encoded((word,))) for word in list(words)[:MOST_MAPS]]
    return [AskedTerm(whole, "query", grounds.vector), *own]


def _picture(hit: Hit, side: int) -> tuple[Image | None, str | None]:
    """The picture that was found, RGB; or why it is not to be had."""
    from mmsearch.reading import shown_or_trouble

    if not hit.available:
        return None, "not there now"
    place = Locator(page=hit.page, region=hit.region, time=hit.time, part_name=hit.part_name)
    # Of a photo, or its page, all is looked at, though what was found may be a text in it.
    shown = shown_or_trouble(os.fsencode(hit.path), Locator(page=hit.page) if hit.type == "image" else place, side)
    if isinstance(shown, str):
        return None, shown
    if shown.picture is None:
        return None, "no picture to show"
    return shown.picture.convert("RGB"), None
