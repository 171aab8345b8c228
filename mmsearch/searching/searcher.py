"""From a query's vectors to one ranked list of files: near items of each channel, calibrated, merged, by file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mmsearch.files.hashing import place_in_shuffle
from mmsearch.files.times import in_utc
from mmsearch.nearest.gallery import Nearest, Ranking
from mmsearch.nearest.vectors import Compared, SpaceQuery
from mmsearch.records import Background, FoundItem, ItemIds, Modality
from mmsearch.searching import scoring
from mmsearch.searching.channels import Channel, LibraryState
from mmsearch.searching.companions import Companions
from mmsearch.searching.fusion import WORDS, Fusion, fusion_for
from mmsearch.searching.grouping import in_groups
from mmsearch.searching.merging import Found, Measured, Place, Told, by_file, score_of_moment, together, told_by_words
from mmsearch.searching.moments import Scored, other_moments
from mmsearch.searching.presence import Presence
from mmsearch.searching.query import LARGEST_NUMBER, Query, Sort
from mmsearch.searching.query_images import QueryImages
from mmsearch.searching.results import Hit, Moment, Suggestion
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.searching.word_channel import WordChannel
from mmsearch.searching.word_ranking import WordsNear
from mmsearch.store.protocol import Store
from mmsearch.store.refusals import DamagedStore

FIRST_CANDIDATES = 50


class Answer(NamedTuple):
    """The hits of a page, how many files answer in all as far as that is known, the nearest where none does, and what
    may be meant by words that nothing holds.

    `told` is what each channel says of the hits, by rank.
    """

    hits: tuple[Hit, ...]
    total: int
    total_exact: bool
    thresholds: Mapping[Modality, float]
    nearest: Hit | None
    suggestions: tuple[Suggestion, ...]
    told: tuple[Told, ...] = ()


class _Asked(NamedTuple):
    """A channel that is asked, by which query: what ranks its items, what their cosines mean, and the score that a hit
    has at least, and by its vector alone at most.
    """

    channel: Channel
    vector: QueryVector
    ranking: Ranking
    background: Background
    threshold: float
    rows: int
    fusion: Fusion | None
    most: float


class _Near(NamedTuple):
    """What was looked at, by item, and the highest score that the rest may have.

    `is_all` tells that nothing of the rest is a hit, `is_exact` that this is known and not estimated.
    """

    items: dict[int, Measured]
    modalities: dict[int, Modality]
    unseen: float
    is_all: bool
    is_exact: bool


class Searcher:
    """Answers one query at one state. The store is at that state until the answer is there.

    Where it is `patient`, NotUsable is raised for a derived file that may be that of the next state.
    """

    def __init__(self, state: LibraryState, store: Store, presence: Presence, patient: bool) -> None:
        self._state = state
        self._store = store
        self._presence = presence
        self._patient = patient
        # That of the query by model: all its channels ask for it.
        self._familiarity: dict[int, float | None] = {}
        self._fusion: Fusion | None = None

    def answer(self, query: Query, vectors: Mapping[int, QueryVector]) -> Answer:
        """The files that answer a query, of which `vectors` holds the vector by model, of those that take it."""
        asked: list[_Asked] = []
        fusion = self._fusion = fusion_for(query, self._state.fusion)
        thresholds: dict[Modality, float] = {}
        words = WordChannel(self._store, query.terms, query.filters, [one.model_id for one in self._state.models])
        most = told_by_words(words.least_by_name, fusion=fusion)
        for channel, filters in self._state.asked_channels(query.filters):
            in_space = vectors.get(channel.in_use.model_id)
            if in_space is None:  # a model that does not take the query's terms
                continue
            calibration = self._state.calibration(self._store, channel.in_use)
            background = scoring.combined(calibration, in_space.terms, channel.modality)
            of_space = SpaceQuery(in_space.vector, in_space.by_text)
            ranking, rows = channel.gallery.ranking_among(self._store, of_space, filters, self._patient)
            threshold = self._threshold(query, channel, in_space, rows, background)
            if fusion is not None and query.min_score is None:
                threshold = fusion.moved_one(channel.modality, threshold)
            asked.append(_Asked(channel, in_space, ranking, background, threshold, rows, fusion, most))
            thresholds[channel.modality] = min(threshold, thresholds.get(channel.modality, math.inf))
        companions = Companions(self._store, query.filters)
        every = query if query.random is None else replace(query, offset=0, limit=LARGEST_NUMBER)
        page, total, is_exact, nearest = self._page(every, asked, words, companions)
        ranks = list(range(every.offset + 1, every.offset + len(page) + 1))
        if query.random is not None:
            ranks = _drawn(page, query, query.random)
            page = [page[rank - 1] for rank in ranks]
        looked_at = [*page, nearest] if nearest else page
        items = self._store.found_items({found.item_id for found in looked_at}, query.filters)
        of_place = {(item.item_id, item.path): item for item in items}
        shown = self._presence.shown((found.path, found.copies) for found in looked_at)
        if not query.copies:
            companions.look_up(one.path for one in shown)
        moments = self._moments(query, asked, words, looked_at, items)
        ranks += [0] if nearest else []
        hits = [
            _hit(
                rank,
                found._replace(copies=one.copies),
                of_place[found.item_id, one.path],
                one.is_there,
                () if query.copies else companions.of(one.path),
                moments.get(found.item_id, ()),
                words,
            )
            for rank, found, one in zip(ranks, looked_at, shown, strict=True)
        ]
        best = hits.pop() if nearest else None
        shown_hits = in_groups(_in_order(tuple(hits), query.sort), query.group)
        told = tuple(found.told for found in page)
        return Answer(shown_hits, total, is_exact, thresholds, best, words.suggestions(), told)

    def _threshold(
        self, query: Query, channel: Channel, asked: QueryVector, rows: int, background: Background
    ) -> float:
        """The score that a hit has at least."""
        if query.min_score is not None:
            return query.min_score
        wanted = [term for term in asked.terms if term.weight > 0]
        is_example = any(term.modality != "text" for term in query.terms)
        if len(wanted) != 1 or is_example or query.like or query.unlike:
            return 0.0  # an example, or a mixture, has something nearest to it, however near
        model_id = channel.in_use.model_id
        if model_id not in self._familiarity:
            bank = channel.in_use.bank(self._store)
            self._familiarity[model_id] = None if bank is None else float(bank.familiarity(wanted[0].vector[None])[0])
        bound = scoring.nothing_close(background, rows, self._familiarity[model_id])
        return float(scoring.scores(np.array([bound], np.float32), background)[0])

    def _moments(
        self,
        query: Query,
        asked: Sequence[_Asked],
        words: WordChannel,
        found: Sequence[Found],
        items: Sequence[FoundItem],
    ) -> dict[int, tuple[Moment, ...]]:
        """By the best item of each film or recording its other moments that are hits, by vectors or by what is said."""
        best = {item.item_id: item.locator.time for item in items if item.locator.time is not None}
        if not best:
            return {}
        timed = self._store.timed_items(best)
        measured: dict[int, Measured] = {}
        for one in asked:
            space = one.channel.in_use.model_id, one.channel.modality
            item_ids = {item.item_id for item in timed if (item.model_id, item.modality) == space}
            measured |= self._compared(one, np.array(sorted(item_ids), np.int64))
        texts = {item.item_id for item in timed if item.modality == "text"} if words else set()
        sources = self._store.word_sources(texts, query.filters) if texts else []
        said = {
            source.item_id: told_by_words(words.match_of_text(source).score, fusion=self._fusion) for source in sources
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

    def _page(
        self, query: Query, asked: Sequence[_Asked], words: WordChannel, companions: Companions
    ) -> tuple[list[Found], int, bool, Found | None]:
        """The files of the page, how many there are in all, whether that is exact, and the nearest if there are none.

        More and more is looked at. What is better than all that was not looked at is settled, and keeps its place
        whatever is found later: so that pages neither repeat nor skip a file though codes and graph are not exact.
        """
        digests = [bytes.fromhex(one) for one in (*query.like, *query.unlike)]
        images = QueryImages(query.terms, self._presence, self._store.items_of_contents(digests) if digests else set())
        settled: dict[bytes, Found] = {}
        count, most = FIRST_CANDIDATES, max((one.rows for one in asked), default=0)
        while True:
            near, literal = _near(asked, count), words.best(count)
            found_by_file = self._by_file(query, asked, words, near, literal, images)
            files = self._files(found_by_file, query, images, companions)
            hits = [found for found in files if found.measured.is_hit]
            # What of the rest holds too few of the words is found by vectors alone.
            worded = told_by_words(literal.unseen, words.must_match, self._fusion)
            is_told = literal.is_all or not worded
            is_all = is_told and (near.is_all or words.must_match)
            # Of few items there may be many files: copies, each with words of its own.
            is_last = is_all or (count >= most and is_told)
            unseen = together(near.unseen, worded)
            for found in hits:
                if is_last or found.measured.score >= unseen:
                    settled.setdefault(found.path, found)
            if is_last or len(settled) >= query.offset + query.limit:
                break
            count *= 4
        page = sorted(list(settled.values())[query.offset : query.offset + query.limit], key=lambda found: found.order)
        total = len(settled.keys() | {found.path for found in hits})
        is_exact = is_all and (near.is_exact or words.must_match)
        return page, total, is_exact, None if total or not files else files[0]

    def _by_file(
        self,
        query: Query,
        asked: Sequence[_Asked],
        words: WordChannel,
        near: _Near,
        literal: WordsNear,
        images: QueryImages,
    ) -> list[Found]:
        """Each file at its best place, but for the images that the query asks with."""
        near_items = near.items.keys() - images.item_ids
        worded = [one for one in literal.places if one.item_id not in images.item_ids]
        if words.must_match:
            held = [(one.item_id, one.path, one.size, one.content_id) for one in words.allowed_places(near_items)]
        else:
            held = self._store.places_of(near_items | {one.item_id for one in worded}, query.filters)
        places = {(item_id, path): (size, content_id) for item_id, path, size, content_id in held}
        places |= {(one.item_id, one.path): (one.size, one.content_id) for one in worded}
        own = images.among({path for (_, path), (size, _) in places.items() if images.may_be(size)})
        wanted = {item_id for item_id, _ in places} if words else set()
        if literal.is_all and words.knows_all:
            named = {one.path for one in literal.places}
            wanted = {item_id for item_id, path in places if path in named}
        sources = self._store.word_sources(wanted, query.filters) if wanted else []
        matches = {(source.item_id, source.path): words.match(source) for source in sources}
        if any(not matches[one.item_id, one.path].score for one in worded):
            raise DamagedStore("the checksum of the word index is wrong")
        measured, modalities = dict(near.items), dict(near.modalities)
        for one in asked if worded else ():
            space = one.channel.in_use.model_id, one.channel.modality
            others = {source.item_id for source in sources if (source.model_id, source.modality) == space}
            found = self._compared(one, np.array(sorted(others - measured.keys()), np.int64))
            measured |= found
            modalities |= dict.fromkeys(found, one.channel.modality)
        return by_file(
            (
                Place(item_id, path, content_id, measured.get(item_id), modalities.get(item_id, ""))
                for (item_id, path), (_, content_id) in sorted(places.items())
                if path not in own
            ),
            matches,
            query.min_score,
            words.must_match,
            self._fusion,
        )

    def _compared(self, asked: _Asked, item_ids: ItemIds) -> dict[int, Measured]:
        """What the vectors of these items of a channel, ascending, say."""
        vector = asked.vector
        return _measured(asked, asked.channel.gallery.compared(self._store, item_ids, vector.vector, vector.by_text))

    def _files(self, found: list[Found], query: Query, images: QueryImages, companions: Companions) -> list[Found]:
        """The files, best first; ties in the order of paths. A picture stands for its companions."""
        if not query.copies:
            found = self._as_pictures(found, query, images, companions)
        files = sorted(found, key=lambda one: one.order)
        return files if query.copies else _one_per_content(files)

    def _as_pictures(
        self, found: Sequence[Found], query: Query, images: QueryImages, companions: Companions
    ) -> list[Found]:
        """The files, with the picture in place of what lies beside it: as good as the best of them."""
        shown = {one.path: one for one in found}
        companions.look_up_pictures(shown)
        for one in found:
            picture = companions.picture_of(one.path)
            if picture is None or (images.may_be(picture.size) and images.among({picture.path})):
                continue
            del shown[one.path]
            if picture.item_id in images.item_ids:
                continue
            known = shown.get(picture.path)
            if known is None:
                # Not near enough to have been looked at itself. Its copies come after it, wherever they lie.
                after = one.measured._replace(corrected=-math.inf)
                for item_id, path, _, content_id in self._store.places_of([picture.item_id], query.filters):
                    of_path = Found(after, item_id, path, content_id, channels=one.channels, words_as=one.words_as)
                    shown.setdefault(path, of_path)
                    if path == picture.path:
                        shown[path] = of_path._replace(measured=one.measured)
            elif one.measured > known.measured:
                shown[picture.path] = known._replace(
                    measured=one.measured, channels=one.channels, words_as=one.words_as
                )
        return list(shown.values())


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


def _one_per_content(files: Sequence[Found]) -> list[Found]:
    """The first file of each content, with the others."""
    of_content: dict[int, list[Found]] = {}
    for found in files:
        of_content.setdefault(found.content_id, []).append(found)
    return [first._replace(copies=tuple(one.path for one in more)) for first, *more in of_content.values()]


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
        channels=found.channels,
        words_as=found.words_as,
    )


def _near(asked: Sequence[_Asked], count: int) -> _Near:
    """The best so many items of each channel."""
    items: dict[int, Measured] = {}
    modalities: dict[int, Modality] = {}
    unseen, is_all, is_exact = 0.0, True, True
    for one in asked:
        nearest = one.ranking(count)
        measured = _measured(one, nearest)
        items |= measured
        modalities |= dict.fromkeys(measured, one.channel.modality)
        if not nearest.complete:
            # What was not looked at can be no better than the last that was. Where all of that is gone by now, nothing
            # is known of the rest.
            last = next(reversed(measured.values()), None)
            highest = last.score if last is not None else math.inf
            unseen = max(unseen, highest)
            is_all = is_all and highest < one.threshold
        is_exact = is_exact and nearest.exact
    return _Near(items, modalities, unseen, is_all, is_exact)


def _measured(asked: _Asked, compared: Nearest | Compared) -> dict[int, Measured]:
    """What the cosines of items with a channel's query mean, in their order."""
    scores = scoring.scores(compared.corrected, asked.background)
    if asked.fusion is not None:
        scores = asked.fusion.moved(asked.channel.modality, scores)
    scores = np.minimum(scores, np.float32(asked.most))
    columns = (compared.item_ids, scores, compared.corrected, compared.cosines)
    return {
        item_id: Measured(score >= asked.threshold, score, corrected, cosine)
        for item_id, score, corrected, cosine in zip(*(column.tolist() for column in columns), strict=True)
    }
