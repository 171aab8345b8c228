"""The word index asked with a query as it is typed and, where that was read as English, with each reading too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmsearch.records import Filters, WordPlace, WordSource
from mmsearch.searching.query import Term
from mmsearch.searching.results import Suggestion
from mmsearch.searching.spelling import suggestions
from mmsearch.searching.standing import fullest_stretch
from mmsearch.searching.word_ranking import WordRanking, WordsNear
from mmsearch.searching.words import NO_MATCH, OF_OTHERS, WordMatch, readings_of_query
from mmsearch.store.word_index import WordIndex
from mmsearch.store.words import AskedWord


class WordChannel:
    """Ranks files by the words of one query; nothing where it asks for none. The store stays at one state meanwhile.

    A file matches as well as it does by the best of the readings: words of several of them are not counted together.
    """

    def __init__(self, store: WordIndex, terms: Iterable[Term], filters: Filters, model_ids: Sequence[int]) -> None:
        terms = tuple(terms)
        readings = [WordRanking(store, asked, filters, model_ids) for asked in readings_of_query(terms)]
        # That of the query as it is typed knows of phrases, which all have in common.
        self._typed = readings[0]
        self._store, self._terms = store, terms
        self._found = [(ranking, ranking is not self._typed) for ranking in readings if ranking]

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def must_match(self) -> bool:
        """Whether only files are hits that hold what was asked for in quotation marks."""
        return self._typed.must_match

    @property
    def knows_all(self) -> bool:
        """Whether no file has words of the query but those that may be ranked."""
        return all(ranking.knows_all for ranking, _ in self._found)

    @property
    def words(self) -> tuple[AskedWord, ...]:
        """The words and phrases of all readings, each by itself."""
        weighed = (one for ranking, _ in self._found for one in ranking.words)
        return tuple(dict.fromkeys(one.word for one in weighed if one.part not in OF_OTHERS))

    @property
    def least_by_name(self) -> float:
        """The score that a file has at least which holds what is meant as it stands, a name; 1 for none."""
        return self._typed.least_by_name

    def match(self, source: WordSource) -> WordMatch:
        """How well a place matches, and whether it is better by the English words than by those that were typed."""
        found = (ranking.match(source)._replace(is_english=is_english) for ranking, is_english in self._found)
        return max(found, key=lambda match: match.score, default=NO_MATCH)

    def match_of_text(self, source: WordSource) -> WordMatch:
        """How well a place matches by what it says itself, whatever its file is called."""
        return self.match(source._replace(name="", folders="", said="", told=""))

    def stretch_of(self, text: str) -> tuple[int, int] | None:
        """From where to where the words that tell most stand together in a text; None where none does."""
        weighed = (one for ranking, _ in self._found for one in ranking.words if one.part not in OF_OTHERS)
        return fullest_stretch(text, {one.word: one.most for one in weighed})

    def suggestions(self) -> tuple[Suggestion, ...]:
        """What may be meant by words that nothing holds and no language knows."""
        return suggestions(self._store, self._terms, self._typed.missing)

    def allowed_places(self, item_ids: Iterable[int]) -> list[WordPlace]:
        """The items in every file that holds them, passes the filters, and holds all phrases."""
        return self._typed.allowed_places(item_ids)

    def best(self, count: int) -> WordsNear:
        """The best so many places of each reading, and what is known of the rest."""
        found = [ranking.best(count) for ranking, _ in self._found]
        return WordsNear(
            list(dict.fromkeys(place for one in found for place in one.places)),
            max((one.unseen for one in found), default=0.0),
            all(one.is_all for one in found),
        )
