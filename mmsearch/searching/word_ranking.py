"""The channel of words: which files hold the words of a query, best first, in bounded time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mmsearch.records import Filters, WordPlace, WordSource
from mmsearch.searching.literal import stands_as_name
from mmsearch.searching.words import (
    OF_OTHERS,
    AskedWords,
    Part,
    WeightedWord,
    WordMatch,
    begun,
    least_by_name,
    matched,
    parts_of,
    score_of,
    weighted,
)
from mmsearch.store.word_index import WordIndex
from mmsearch.store.words import AskedWord

# A word that more documents of a kind hold is common: all of them are never looked through.
RARE = 2_000
# Of documents with common words so many are looked at for those that pass filters.
_MOST_FILTERED = 20_000
_ALL = 1 << 62
# Of passages that hold words which say nothing apart so many are read for those that have them as a name.
_MOST_READ = 500
# Of more common words all stand in one place, or few matter.
_MOST_APART = 4

# A document of the word index: 0 for a file's or 1 for an item's, and the id of that.
_Document = tuple[int, int]


class WordsNear(NamedTuple):
    """The best places by their words, the highest score that the rest may have, and whether there is no rest."""

    places: list[WordPlace]
    unseen: float
    is_all: bool


class WordRanking:
    """Ranks files by the words of one query; nothing where it asks for none. The store stays at one state meanwhile.

    Documents that hold a rarer word of the query are all known, and common words count among them. Where all of its
    words are common, the first documents with all of them are found: those are all alike, and vectors choose among
    them.
    """

    def __init__(self, store: WordIndex, asked: AskedWords, filters: Filters, model_ids: Sequence[int]) -> None:
        self._store = store
        self._filters = filters
        self._models = model_ids
        self._asked = asked if asked and store.has_words() else AskedWords((), ())
        self.words: list[WeightedWord] = []
        # Those that no document holds, nor begins with.
        self.missing: list[AskedWord] = []
        self._rare: list[WeightedWord] = []
        self._common: list[WeightedWord] = []
        self._documents: dict[_Document, float] = {}
        # What holds words of which no more than RARE documents are looked for, as far as it was asked for.
        self._holding: dict[AskedWord, tuple[list[int], list[int]]] = {}
        # The ids of the files that hold all phrases, where there are any.
        self._allowed: set[int] | None = None
        if self._asked:
            self._look_up()

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def must_match(self) -> bool:
        """Whether only files are hits that hold what was asked for in quotation marks."""
        return self._allowed is not None

    @property
    def knows_all(self) -> bool:
        """Whether no file has words of the query but those that may be ranked."""
        return not self._common

    @property
    def least_by_name(self) -> float:
        """The score that a place has at least which holds what is meant as it stands, a name; 1 for none."""
        return least_by_name(self.words)

    def match(self, source: WordSource) -> WordMatch:
        """How well a place matches."""
        return matched(source, self.words)

    def allowed_places(self, item_ids: Iterable[int]) -> list[WordPlace]:
        """The items in every file that holds them, passes the filters, and holds all phrases."""
        places = self._store.word_places((), item_ids, self._filters, self._models)
        return [place for place in places if self._allowed is None or place.file_id in self._allowed]

    @property
    def _has_rare_word(self) -> bool:
        return any(one.part not in OF_OTHERS for one in self._rare)

    def best(self, count: int) -> WordsNear:
        """The best so many places, each in a file of its own or in one that others have named."""
        documents = self._documents
        is_all = True
        if self._common and not self._has_rare_word:
            some_of_all, is_all = self._of_common_words(count)
            documents = {**some_of_all, **documents}
        ordered = sorted(documents, key=lambda one: (-documents[one], one))
        places: list[WordPlace] = []
        paths: set[bytes] = set()
        step = max(4 * count, 200)
        for start in range(0, len(ordered), step):
            some = ordered[start : start + step]
            for place in self._places(some):
                if place.path in paths or len(paths) < count:
                    paths.add(place.path)
                    places.append(place)
                else:
                    is_all = False
            if len(paths) >= count and start + step < len(ordered):
                is_all = False
                break
        if is_all:
            return WordsNear(places, 0.0, True)
        # Common words may stand in the name of the file, too, that holds a passage with a rare one.
        beside = sum(one.most for one in self._common) if self._has_rare_word else 0.0
        highest = min(documents[some[-1]] + beside, sum(one.most for one in self.words))
        return WordsNear(places, score_of(highest, self.words), False)

    def _places(self, documents: Sequence[_Document]) -> Iterator[WordPlace]:
        """The places of documents, in their order, that pass the filters and hold the phrases."""
        files = [number for kind, number in documents if kind == 0]
        items = [number for kind, number in documents if kind == 1]
        of_document: dict[_Document, list[WordPlace]] = {}
        for place in self._store.word_places(files, items, self._filters, self._models):
            if self._allowed is None or place.file_id in self._allowed:
                key = (0, place.file_id) if place.is_file else (1, place.item_id)
                of_document.setdefault(key, []).append(place)
        for document in documents:
            yield from sorted(of_document.get(document, ()), key=lambda place: place.path)

    def _look_up(self) -> None:
        known = self._store.documents_known()
        for phrase in self._asked.phrases:
            files = self._store.files_with(phrase)
            self._allowed = files if self._allowed is None else self._allowed & files
            self._add(phrase, known, _ALL)  # a file that holds it is a hit, whatever else it holds
        self._ask_for(self._asked.words)
        missing = [word for word in self._asked.words if not any(self._holding[word])]
        self._ask_for(other for word in missing for other in (*self._begun(word), *_parts(word)))
        for word in self._asked.words:
            if any(self._add(one, known, RARE) for one in (word, *self._begun(word))):
                continue
            parts = _parts(word)
            # Of IMG_9999 what is not there tells as much as in "IMG 9999".
            absent = [part for part in parts if not self._add(part, known, RARE)]
            self.words += (weighted(part, 0, known) for part in absent if _tells(part.pieces[-1]))
            if len(word.pieces) == 1:
                self.words.append(weighted(word, 0, known))
                self.missing.append(word)
        self._look_up_typed(known)
        if not self._rare and not self._common:
            self.words = []
            return
        for common in self._common:
            holding = self._store.documents_with_each([[rare.word, common.word] for rare in self._rare], RARE)
            of_both = {number for in_files, _ in holding for number in in_files}
            self._note(common, of_both, {number for _, items in holding for number in items})
        self._join()

    def _look_up_typed(self, known: int) -> None:
        """The texts as they were typed: of each the first form that something holds; and those that are names."""
        if not (self._asked.words or self._asked.phrases):
            for forms in self._asked.typed:
                self._add_alone(forms[0], known)
            return
        missing = {piece for word in self.missing for piece in word.pieces}
        for forms in self._asked.typed if self._rare or self._common else ():
            new = (form for form in forms if form not in self._asked.words and missing.isdisjoint(form.pieces))
            any(self._add(form, known, RARE, "typed") for form in new)
        for name in self._asked.names:
            self._add(name, known, RARE, "name")

    def _add_alone(self, word: AskedWord, known: int) -> None:
        """Takes words into account that say nothing apart: in names, and in texts that have them as one."""
        named = self._store.files_named(word, RARE)
        _, items = self._store.documents_with([word], _MOST_READ)
        sources = self._store.word_sources(items, self._filters) if items else []
        said = {source.item_id for source in sources if stands_as_name(word, source.text)}
        if named or said:
            one = weighted(word, len(named) + len(said), known, "alone")
            self.words.append(one)
            self._rare.append(one)
            self._note(one, named, said)

    def _join(self) -> None:
        """What a file says by its name, and a passage in it, are told together: the passage comes as early as both."""
        of_files = {number: weight for (kind, number), weight in self._documents.items() if kind == 0}
        of_items = {number: weight for (kind, number), weight in self._documents.items() if kind == 1}
        if len(self.words) < 2 or not of_files:
            return
        for place in self.allowed_places(of_items):
            both = of_items[place.item_id] + of_files.get(place.file_id, 0.0)
            document = (1, place.item_id)
            self._documents[document] = max(self._documents[document], both)

    def _add(self, word: AskedWord, known: int, most: int, part: Part = "word") -> bool:
        """Takes the word into account. Whether something holds it."""
        files, items = self._documents_with(word, most)
        count = len(files) + len(items)
        if not count:
            return False
        one = weighted(word, count, known, part)
        self.words.append(one)
        if max(len(files), len(items)) > most:
            self._common.append(one)
        else:
            self._rare.append(one)
            self._note(one, files, items)
        return True

    def _documents_with(self, word: AskedWord, most: int) -> tuple[list[int], list[int]]:
        """Those that hold it, and one more than so many where there are more."""
        if most != RARE:
            return self._store.documents_with([word], most + 1)
        self._ask_for([word])
        return self._holding[word]

    def _ask_for(self, words: Iterable[AskedWord]) -> None:
        """Learns what holds these words, all at once: a store may be a server."""
        new = [word for word in dict.fromkeys(words) if word not in self._holding]
        found = self._store.documents_with_each([[word] for word in new], RARE + 1) if new else ()
        self._holding.update(zip(new, found, strict=True))

    def _begun(self, word: AskedWord) -> list[AskedWord]:
        """The query's last word as the beginning of another one, of a name (`IMG_00`) too; nothing for all others."""
        longer = begun(word) if word == self._asked.words[-1] else None
        return [] if longer is None else [longer]

    def _note(self, one: WeightedWord, files: Iterable[int], items: Iterable[int]) -> None:
        for document in {*((0, number) for number in files), *((1, number) for number in items)}:
            self._documents[document] = self._documents.get(document, 0.0) + one.most

    def _of_common_words(self, count: int) -> tuple[dict[_Document, float], bool]:
        """The first documents with all common words, and the first passages that have some of them in files that are
        called by the rest; or the first with the word that tells most, where there are none.
        """
        most = _MOST_FILTERED if self._filters else 4 * count
        plain = [one for one in self._common if one.part == "word"]
        documents: dict[_Document, float] = {}
        is_all = True
        for words in dict.fromkeys((tuple(self._common), tuple(plain))):
            files, items = self._store.documents_with([one.word for one in words], most)
            is_all = is_all and max(len(files), len(items)) < most
            _put(documents, files, items, words)
        apart = _ways_apart([one.word for one in plain]) if is_all else ()
        for named, said in apart:
            items = self._store.items_in_files_with(named, said, most)
            is_all = is_all and len(items) < most
            _put(documents, (), items, plain)
        if not documents:
            telling = max(plain, key=lambda one: one.weight)
            files, items = self._store.documents_with([telling.word], most)
            is_all = max(len(files), len(items)) < most
            _put(documents, files, items, [telling])
        return documents, is_all


def _put(
    documents: dict[_Document, float], files: Iterable[int], items: Iterable[int], words: Sequence[WeightedWord]
) -> None:
    """Puts documents that hold all of the words beside those that are known."""
    weight = sum(one.most for one in words)
    for document in (*((0, number) for number in files), *((1, number) for number in items)):
        documents.setdefault(document, weight)


def _ways_apart(words: Sequence[AskedWord]) -> Iterator[tuple[list[AskedWord], list[AskedWord]]]:
    """Ways in which a few words may stand apart: one of them in what a file is called, the others in what it says."""
    if not 2 <= len(words) <= _MOST_APART:
        return
    for place, word in enumerate(words):
        others = [*words[:place], *words[place + 1 :]]
        yield [word], others
        if len(others) > 1:
            yield others, [word]


def _parts(word: AskedWord) -> list[AskedWord]:
    """What is looked for where nothing holds a word of several pieces."""
    return parts_of(word) if len(word.pieces) > 1 else []


def _tells(piece: str) -> bool:
    """Whether it matters that nothing has that part of a name: not of one letter (U-Bahn), nor of an ending (.png)."""
    from mmsearch.reading import medium_of

    return len(piece) > 1 and medium_of(b"x." + piece.encode()) is None
