"""From a query's vectors to one ranked list of files: near items of each channel, calibrated, merged, by file."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmsearch.nearest.gallery import Nearest, Ranking
from mmsearch.nearest.vectors import Compared, SpaceQuery
from mmsearch.records import Background, Modality, TimedItem, WordSource
from mmsearch.searching import scoring
from mmsearch.searching.channels import Channel, LibraryState
from mmsearch.searching.companions import Companions
from mmsearch.searching.fusion import Fusion, fusion_for
from mmsearch.searching.merging import Found, Measured, Place, by_file, together, told_by_words
from mmsearch.searching.presence import Presence
from mmsearch.searching.query import Query
from mmsearch.searching.query_images import QueryImages
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.searching.word_channel import WordChannel
from mmsearch.searching.word_ranking import WordsNear
from mmsearch.store.protocol import Store
from mmsearch.store.refusals import DamagedStore

FIRST_CANDIDATES = 50


class Page(NamedTuple):
    """The files of a page, how many there are in all, whether that is exact, and the nearest if there are none."""

    files: list[Found]
    total: int
    is_exact: bool
    nearest: Found | None


class _Asked(NamedTuple):
    """A channel that is asked, by which query: what ranks its items, what their cosines mean, and the score that a hit
    has at least, and by its vector alone at most.
    """

    channel: Channel
    vector: QueryVector
    ranking: Ranking
    background: Background
    threshold: float
    fusion: Fusion | None
    most: float

    def measured(self, compared: Nearest | Compared) -> dict[int, Measured]:
        """What the cosines of items with the query mean, in their order."""
        scores = scoring.scores(compared.corrected, self.background)
        if self.fusion is not None:
            scores = self.fusion.moved(self.channel.modality, scores)
        scores = np.minimum(scores, np.float32(self.most))
        columns = (compared.item_ids, scores, compared.corrected, compared.cosines)
        return {
            item_id: Measured(score >= self.threshold, score, corrected, cosine)
            for item_id, score, corrected, cosine in zip(*(column.tolist() for column in columns), strict=True)
        }


class _Near(NamedTuple):
    """What was looked at, by item, and the highest score that the rest may have.

    `is_all` tells that nothing of the rest is a hit, `is_exact` that this is known and not estimated.
    """

    items: dict[int, Measured]
    modalities: dict[int, Modality]
    unseen: float
    is_all: bool
    is_exact: bool


class RankedFiles:
    """The files that answer one query at one state, best first. The store is at that state until all was asked for.

    `vectors` holds the query's vector by model, of those that take it, and `thresholds`, per modality searched, the
    score that a hit has at least.

    Raises:
        NotUsable: where `patient`: a derived file may be that of the next state.
    """

    def __init__(
        self,
        state: LibraryState,
        store: Store,
        presence: Presence,
        query: Query,
        vectors: Mapping[int, QueryVector],
        patient: bool,
    ) -> None:
        self._state = state
        self._store = store
        self._query = query
        self.fusion: Fusion | None = fusion_for(query, state.fusion)
        self.words = WordChannel(store, query.terms, query.filters, [one.model_id for one in state.models])
        self.companions = Companions(store, query.filters)
        self.thresholds: dict[Modality, float] = {}
        digests = [bytes.fromhex(one) for one in (*query.like, *query.unlike)]
        self._images = QueryImages(query.terms, presence, store.items_of_contents(digests) if digests else set())
        self._asked: list[_Asked] = []
        # That of the query by model: all its channels ask for it.
        self._familiarity: dict[int, float | None] = {}
        self._ask(vectors, patient)

    def _ask(self, vectors: Mapping[int, QueryVector], patient: bool) -> None:
        """Asks the channels of all models that take the query."""
        query = self._query
        most = told_by_words(self.words.least_by_name, fusion=self.fusion)
        for channel, filters in self._state.asked_channels(query.filters):
            in_space = vectors.get(channel.in_use.model_id)
            if in_space is None:  # a model that does not take the query's terms
                continue
            calibration = self._state.calibration(self._store, channel.in_use)
            background = scoring.combined(calibration, in_space.terms, channel.modality)
            of_space = SpaceQuery(in_space.vector, in_space.by_text)
            ranking, rows = channel.gallery.ranking_among(self._store, of_space, filters, patient)
            threshold = self._threshold(channel, in_space, rows, background)
            if self.fusion is not None and query.min_score is None:
                threshold = self.fusion.moved_one(channel.modality, threshold)
            self._asked.append(_Asked(channel, in_space, ranking, background, threshold, self.fusion, most))
            self.thresholds[channel.modality] = min(threshold, self.thresholds.get(channel.modality, math.inf))

    def _threshold(self, channel: Channel, asked: QueryVector, rows: int, background: Background) -> float:
        """The score that a hit has at least."""
        query = self._query
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
        return scoring.least_score(background, rows, self._familiarity[model_id])

    def page(self, offset: int, limit: int) -> Page:
        """So many of the files, without the first `offset`.

        More and more is looked at. What is better than all that was not looked at is settled, and keeps its place
        whatever is found later: so that pages neither repeat nor skip a file though codes and graph are not exact.
        """
        words = self.words
        settled: dict[bytes, Found] = {}
        count = FIRST_CANDIDATES
        while True:
            near, literal = _near(self._asked, count), words.best(count)
            files = self._files(self._by_file(near, literal))
            hits = [found for found in files if found.measured.is_hit]
            # What of the rest holds too few of the words is found by vectors alone.
            worded = told_by_words(literal.unseen, words.must_match, self.fusion)
            is_told = literal.is_all or not worded
            is_all = is_told and (near.is_all or words.must_match)
            unseen = together(near.unseen, worded)
            for found in hits:
                if is_all or found.measured.score >= unseen:
                    settled.setdefault(found.path, found)
            if is_all or len(settled) >= offset + limit:
                break
            count *= 4
        page = sorted(list(settled.values())[offset : offset + limit], key=lambda found: found.order)
        total = len(settled.keys() | {found.path for found in hits})
        is_exact = is_all and (near.is_exact or words.must_match)
        return Page(page, total, is_exact, None if total or not files else files[0])

    def _by_file(self, near: _Near, literal: WordsNear) -> list[Found]:
        """Each file at its best place, but for the images that the query asks with."""
        query, words, images = self._query, self.words, self._images
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
        if worded:
            found = self.measured([source for source in sources if source.item_id not in measured])
            measured |= found
            modalities |= {source.item_id: source.modality for source in sources if source.item_id in found}
        return by_file(
            (
                Place(item_id, path, content_id, measured.get(item_id), modalities.get(item_id, ""))
                for (item_id, path), (_, content_id) in sorted(places.items())
                if path not in own
            ),
            matches,
            query.min_score,
            words.must_match,
            self.fusion,
        )

    def measured(self, items: Collection[WordSource | TimedItem]) -> dict[int, Measured]:
        """What the vectors of items say, by item, of those whose channel is asked."""
        found: dict[int, Measured] = {}
        for one in self._asked:
            space = one.channel.in_use.model_id, one.channel.modality
            item_ids = {item.item_id for item in items if (item.model_id, item.modality) == space}
            vector, own = one.vector, np.array(sorted(item_ids), np.int64)
            found |= one.measured(one.channel.gallery.compared(self._store, own, vector.vector, vector.by_text))
        return found

    def _files(self, found: list[Found]) -> list[Found]:
        """The files, best first; ties in the order of paths. A picture stands for its companions."""
        copies = self._query.copies
        files = sorted(found if copies else self._as_pictures(found), key=lambda one: one.order)
        return files if copies else _one_per_content(files)

    def _as_pictures(self, found: Sequence[Found]) -> list[Found]:
        """The files, with the picture in place of what lies beside it: as good as the best of them."""
        images = self._images
        shown = {one.path: one for one in found}
        for companion, picture in self.companions.pictures_of(shown).items():
            if images.may_be(picture.size) and images.among({picture.path}):
                continue
            one = shown.pop(companion)
            if picture.item_id in images.item_ids:
                continue
            known = shown.get(picture.path)
            if known is None:
                # Not near enough to have been looked at itself. Its copies come after it, wherever they lie.
                after = one.measured._replace(corrected=-math.inf)
                for item_id, path, _, content_id in self._store.places_of([picture.item_id], self._query.filters):
                    of_path = Found(after, item_id, path, content_id, channels=one.channels, words_as=one.words_as)
                    shown.setdefault(path, of_path)
                    if path == picture.path:
                        shown[path] = of_path._replace(measured=one.measured)
            elif one.measured > known.measured:
                shown[picture.path] = known._replace(
                    measured=one.measured, channels=one.channels, words_as=one.words_as
                )
        return list(shown.values())


def _one_per_content(files: Sequence[Found]) -> list[Found]:
    """The first file of each content, with the others."""
    of_content: dict[int, list[Found]] = {}
    for found in files:
        of_content.setdefault(found.content_id, []).append(found)
    return [
        first._replace(copies=tuple(one.path for one in others)) if others else first
        for first, *others in of_content.values()
    ]


def _near(asked: Sequence[_Asked], count: int) -> _Near:
    """The best so many items of each channel."""
    items: dict[int, Measured] = {}
    modalities: dict[int, Modality] = {}
    unseen, is_all, is_exact = 0.0, True, True
    for one in asked:
        nearest = one.ranking(count)
        measured = one.measured(nearest)
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
