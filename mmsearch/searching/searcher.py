"""What is told of the files that answer a query: hits, or what is counted of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

from mmsearch.files.hashing import place_in_shuffle
from mmsearch.files.times import in_utc
from mmsearch.records import FileBrief, FoundItem, Modality
from mmsearch.searching.channels import LibraryState
from mmsearch.searching.facets import brief_of
from mmsearch.searching.fusion import WORDS
from mmsearch.searching.grouping import in_groups
from mmsearch.searching.merging import Found, Told, score_of_moment, told_by_words
from mmsearch.searching.moments import Scored, other_moments
from mmsearch.searching.named_periods import named_period
from mmsearch.searching.presence import Presence, packed_in
from mmsearch.searching.query import LARGEST_NUMBER, Query, Sort
from mmsearch.searching.ranked_files import RankedFiles
from mmsearch.searching.results import Hit, Moment, NamedPeriod, Suggestion
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.searching.word_channel import WordChannel
from mmsearch.store.protocol import Store


class Answer(NamedTuple):
    """The hits of a page, how many files answer in all as far as that is known, the nearest where none does, what may
    be meant by words that nothing holds, and the period that is named.

    `told` is what each channel says of the hits, by rank.
    """

    hits: tuple[Hit, ...]
    total: int
    total_exact: bool
    thresholds: Mapping[Modality, float]
    nearest: Hit | None
    suggestions: tuple[Suggestion, ...]
    period: NamedPeriod | None = None
    told: tuple[Told, ...] = ()


class Searcher:
    """Answers one query at one state. The store is at that state until the answer is there.

    Where it is `patient`, NotUsable is raised for a derived file that may be that of the next state.
    """

    def __init__(self, state: LibraryState, store: Store, presence: Presence, patient: bool) -> None:
        self._state = state
        self._store = store
        self._presence = presence
        self._patient = patient

    def answer(self, query: Query, vectors: Mapping[int, QueryVector]) -> Answer:
        """The files that answer a query, of which `vectors` holds the vector by model, of those that take it."""
        ranked = self._ranked(query, vectors)
        if query.random is None:
            page, total, is_exact, nearest = ranked.page(query.offset, query.limit)
            ranks = list(range(query.offset + 1, query.offset + len(page) + 1))
        else:
            page, total, is_exact, nearest = ranked.page(0, LARGEST_NUMBER)
            ranks = _drawn(page, query, query.random)
            page = [page[rank - 1] for rank in ranks]
        looked_at = [*page, nearest] if nearest else page
        items = self._store.found_items({found.item_id for found in looked_at}, query.filters)
        of_place = {(item.item_id, item.path): item for item in items}
        shown = self._presence.shown((found.path, found.copies) for found in looked_at)
        companions = ranked.companions
        if not query.copies:
            companions.look_up(one.path for one in shown)
        moments = self._moments(query, ranked, looked_at, items)
        ranks += [0] if nearest else []
        hits = [
            _hit(
                rank,
                found._replace(copies=one.copies),
                of_place[found.item_id, one.path],
                one.is_there,
                () if query.copies else companions.of(one.path),
                moments.get(found.item_id, ()),
                ranked.words,
            )
            for rank, found, one in zip(ranks, looked_at, shown, strict=True)
        ]
        best = hits.pop() if nearest else None
        shown_hits = in_groups(_in_order(tuple(hits), query.sort), query.group)
        told = tuple(found.told for found in page)
        suggestions, period = ranked.words.suggestions(), self._named_period(query)
        return Answer(shown_hits, total, is_exact, ranked.thresholds, best, suggestions, period, told)

    def briefs(self, query: Query, vectors: Mapping[int, QueryVector]) -> list[FileBrief]:
        """What is counted of the files that `answer` has hits of, by rank whatever the query's sort, and not drawn.

        Of most files nothing is asked but what the store knows: no hit is made, and nobody looks whether they are there
        but where a copy may stand for one.
        """
        found = self._ranked(query, vectors).page(query.offset, query.limit).files
        items = self._store.found_items({one.item_id for one in found}, query.filters)
        of_place = {(item.item_id, item.path): item for item in items}
        copied = [one for one in found if one.copies]
        shown = self._presence.shown((one.path, one.copies) for one in copied)
        in_place_of = {one.path: instead.path for one, instead in zip(copied, shown, strict=True)}
        return [brief_of(of_place[one.item_id, in_place_of.get(one.path, one.path)]) for one in found]

    def _ranked(self, query: Query, vectors: Mapping[int, QueryVector]) -> RankedFiles:
        return RankedFiles(self._state, self._store, self._presence, query, vectors, self._patient)

    def _named_period(self, query: Query) -> NamedPeriod | None:
        return named_period(query, date.today(), partial(self._state.count_files, self._store, copies=query.copies))

    def _moments(
        self, query: Query, ranked: RankedFiles, found: Sequence[Found], items: Sequence[FoundItem]
    ) -> dict[int, tuple[Moment, ...]]:
        """By the best item of each film or recording its other moments that are hits, by vectors or by what is said."""
        best = {item.item_id: item.locator.time for item in items if item.locator.time is not None}
        if not best:
            return {}
        timed = self._store.timed_items(best)
        measured, words = ranked.measured(timed), ranked.words
        texts = {item.item_id for item in timed if item.modality == "text"} if words else set()
        sources = self._store.word_sources(texts, query.filters) if texts else []
        said = {
            source.item_id: told_by_words(words.match_of_text(source).score, fusion=ranked.fusion) for source in sources
        }
        hits: dict[int, list[Scored]] = {}
        for item in timed:
            score = score_of_moment(measured.get(item.item_id), said.get(item.item_id, 0.0), query.min_score)
            if score is not None:
                hits.setdefault(item.beside, []).append(Scored(item.item_id, (item.begins, item.ends), score))
        scored = {one.item_id: one.measured.score for one in found}
        return {
            item_id: other_moments(hits.get(item_id, ()), Scored(item_id, time, scored[item_id]))
            for item_id, time in best.items()
        }


def _drawn(found: Sequence[Found], query: Query, seed: int) -> list[int]:
    """The ranks, ascending, of a page of all that was found, in the order that a seed draws."""
    order = sorted(range(len(found)), key=lambda place: place_in_shuffle(found[place].path, seed))
    return sorted(place + 1 for place in order[query.offset : query.offset + query.limit])


def _in_order(hits: tuple[Hit, ...], sort: Sort) -> tuple[Hit, ...]:
    """The hits of a page, which come by rank."""
    if sort == "similarity":
        return tuple(sorted(hits, key=lambda hit: -hit.similarity))
    if sort == "date":
        return tuple(sorted(hits, key=lambda hit: hit.moment, reverse=True))
    return tuple(sorted(hits, key=lambda hit: os.fsencode(hit.path))) if sort == "name" else hits


def _hit(
    rank: int,
    found: Found,
    item: FoundItem,
    is_there: bool,
    companions: Sequence[bytes],
    moments: tuple[Moment, ...],
    words: WordChannel,
) -> Hit:
    return Hit(
        rank=rank,
        id=item.digest.hex(),
        path=os.fsdecode(item.path),
        type=item.medium,
        score=found.measured.score,
        similarity=found.measured.cosine,
        width=item.facts.width,
        height=item.facts.height,
        bytes=item.size,
        modified=in_utc(item.mtime_ns),
        taken=item.facts.taken,
        source=item.source,
        snippet=item.text,
        match=words.stretch_of(item.text) if item.text is not None and WORDS in found.channels else None,
        line=item.locator.line,
        offset=item.locator.start,
        page=item.locator.page,
        time=item.locator.time,
        region=item.locator.region,
        part_name=item.locator.part_name,
        available=is_there,
        copies=tuple(os.fsdecode(path) for path in found.copies),
        **vars(item.facts.details),
        moments=moments,
        companions=tuple(os.fsdecode(path) for path in companions),
        **packed_in(item.path, is_there)._asdict(),
        channels=found.channels,
        words_as=found.words_as,
    )
