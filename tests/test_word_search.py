"""Files are found by their words, too: names, folders, details and texts, in one list with what vectors find."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Mmsearch
from made_up_library import DIMENSION, MadeUpLibrary, drawn, unit

from mmsearch import Filters, Library, Query, Session, Term
from mmsearch.language import read
from mmsearch.records import Content, EncodedItem, FileState, FloatMatrix
from mmsearch.searching import word_ranking
from mmsearch.searching.literal import stands_as_name
from mmsearch.searching.query import image_term, text_term, text_terms
from mmsearch.searching.ranked_files import RankedFiles
from mmsearch.searching.words import readings_of_query, score_of, weighted, without_quotes, words_of_query
from mmsearch.store.sqlite.place import SqlitePlace
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.words import AskedWord

NOTES = {
    "2019/Japan 京都/IMG_0518.txt": "Nothing but numbers: 4 8 15.",
    "server.log": "\n".join(f"10:{minute:02d} server started on port {8000 + minute}" for minute in range(60)),
    "memories.txt": "When the server had started, Aunt Ottilie went home.",
    "Tagebuch.txt": "Gestern war ich mit Müller-Lüdenscheidt am Kölner Dom.",
}


@pytest.fixture(scope="module")
def told(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of photographs and notes, with names and words of their own."""
    place = tmp_path_factory.mktemp("words")
    for name, text in NOTES.items():
        (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "tree" / name).write_text(text, encoding="utf-8")
    with Library(place / "library") as library:
        library.index([photos, place / "tree"])
    return place / "library"


@pytest.fixture(scope="module")
def session(told: Path) -> Iterator[Session]:
    with Library(told) as library, library.session() as opened:
        yield opened


def names(session: Session, query: str | Query) -> list[str]:
    return [os.path.basename(hit.path) for hit in session.search(query).hits]


@pytest.mark.parametrize("asked", ["Japan", "japan", "京都", "京", "IMG_0518", "img_0518.txt", "2019/Japan", "0518"])
def test_a_file_is_found_by_the_words_of_its_path(session: Session, asked: str) -> None:
    result = session.search(asked)
    assert os.path.basename(result.hits[0].path) == "IMG_0518.txt"
    assert "words" in result.hits[0].channels


@pytest.mark.parametrize("asked", ["Ottilie", "ottilie", "aunt ottilie"])
def test_a_rare_name_in_a_text_is_found_first(session: Session, asked: str) -> None:
    result = session.search(asked)
    (hit, *others) = result.hits
    assert os.path.basename(hit.path) == "memories.txt" and "Ottilie" in (hit.snippet or "")
    assert all(hit.score > other.score for other in others if "words" not in other.channels)


def test_a_name_may_be_only_begun(session: Session) -> None:
    assert "memories.txt" in names(session, "Otti")
    two_letters = Query((text_term("Ot"),), language="en")
    assert not any("words" in hit.channels for hit in session.search(two_letters).hits)


def test_a_name_of_several_parts_may_be_only_begun(tmp_path: Path) -> None:
    """While the number of a photo, or of an invoice, is typed, what begins so is found, and the rest is not."""
    for name in ("invoice_1234", "invoice_1299", "invoice_5678", "notes"):
        (tmp_path / f"{name}.txt").write_text(f"A page of {name[-4:]} words.")
    with Library(tmp_path / "library") as library:
        library.index([tmp_path])
        found = library.search("invoice_12").hits
    worded = sorted(os.path.basename(hit.path) for hit in found if "words" in hit.channels)
    assert worded == ["invoice_1234.txt", "invoice_1299.txt"]


@pytest.mark.parametrize("asked", ["IMG_9999", "IMG 9999", "lost-and-found.txt", "Müller-Ottokar"])
def test_files_that_share_no_more_than_a_beginning_with_a_name_are_no_answer_to_it(
    session: Session, asked: str
) -> None:
    """A number or name that nothing has: other photos of the same camera, and other texts, are not what is meant."""
    result = session.search(Query((text_term(asked),), language="en"))
    assert not any("words" in hit.channels for hit in result.hits)


@pytest.mark.parametrize("asked", ["IMG_0042.png", "T-kittens", "kittens.pdf"])
def test_a_letter_or_an_ending_that_nothing_has_bars_no_name(tmp_path: Path, asked: str) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("IMG_0042.txt", "kittens.txt", "other.txt", "third.txt"):
        (folder / name).write_text("Nothing of what the file is called.")
    with Library(tmp_path / "library") as library:
        library.index([folder])
        found = library.search(asked).hits
    worded = [os.path.basename(hit.path) for hit in found if "words" in hit.channels]
    assert worded == ["IMG_0042.txt" if "42" in asked else "kittens.txt"]


def test_case_accents_and_hyphens_do_not_matter(session: Session) -> None:
    for asked in ("muller-ludenscheidt", "MÜLLER", "kolner dom"):
        assert names(session, asked)[0] == "Tagebuch.txt"


def test_a_phrase_in_quotation_marks_must_occur(session: Session) -> None:
    assert set(names(session, "server started")) >= {"server.log", "memories.txt"}
    assert names(session, '"server started"') == ["server.log"]
    assert names(session, "“had started” server") == ["memories.txt"]
    assert names(session, '"server started" "port 8001"') == ["server.log"]
    assert names(session, '"server started" "aunt ottilie"') == []
    assert names(session, '"three kittens" "Aunt Ottilie"') == []
    query = Query((text_term('"had started"'),), Filters(extensions=(".log",)))
    assert names(session, query) == []
    (hit,) = session.search('"port 8059"').hits
    assert "port 8059" in (hit.snippet or "") and "words" in hit.channels


def test_a_phrase_filters_what_other_terms_find(session: Session, photos: Path) -> None:
    cat = image_term(str(photos / "photos" / "cat.png"))
    assert names(session, Query((cat, text_term('"three kittens"')))) == ["kitten.txt"]
    assert len(names(session, Query((cat, text_term("three kittens"))))) > 1


def test_function_words_alone_are_no_match(session: Session) -> None:
    for asked in ("the", "on the", "mit am", "with a"):
        assert not any("words" in hit.channels for hit in session.search(asked).hits), asked


def test_nonsense_finds_nothing_unless_it_stands_somewhere(session: Session) -> None:
    for asked in ("qzxv wkpt", "lüdenzzz", "japanzz"):
        assert not any("words" in hit.channels for hit in session.search(asked).hits)
    assert names(session, "lüdenscheidt") == ["Tagebuch.txt"]


def test_what_is_found_by_words_and_by_its_vector_is_one_better_hit(session: Session) -> None:
    result = session.search("cat")
    best = result.hits[0]
    assert os.path.basename(best.path) == "cat.png"
    assert set(best.channels) == {"words", "image"}
    paths = [hit.path for hit in result.hits]
    assert len(paths) == len(set(paths))
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)


def test_what_only_its_vector_finds_says_so(session: Session) -> None:
    hit = session.search("a small furry animal").hits[0]
    assert hit.channels in (("image",), ("text",))


def test_a_query_by_picture_ignores_words(session: Session, photos: Path) -> None:
    result = session.search(Query((image_term(str(photos / "photos" / "cat.png")), text_term("Ottilie"))))
    assert not any("words" in hit.channels for hit in result.hits)


def test_filters_and_a_least_score_hold_for_words(session: Session, told: Path) -> None:
    query = Query((text_term("server"),), Filters(folders=(os.fsencode(told.parent / "tree" / "memories.txt"),)))
    assert names(session, query) == ["memories.txt"]
    assert names(session, Query((text_term("ottilie"),), min_score=0.9)) == ["memories.txt"]
    assert names(session, Query((text_term("ottilie"),), min_score=1.0)) == []


def test_terms_to_avoid_are_no_words_to_look_for(session: Session) -> None:
    result = session.search(Query((text_term("kittens"), text_term("Ottilie", -1))))
    assert "memories.txt" not in [os.path.basename(hit.path) for hit in result.hits[:1]]


def test_copies_are_one_hit_by_whatever_name_is_found(photos: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("holiday.txt", "Zanzibar trip.txt"):
        (tree / name).write_text("A day like any other.")
    with Library(tmp_path / "library") as library:
        library.index([tree])
        (hit,) = library.search("zanzibar").hits
        assert os.path.basename(hit.path) == "Zanzibar trip.txt"
        assert [os.path.basename(path) for path in hit.copies] == ["holiday.txt"]
        each = library.search(Query((text_term("zanzibar"),), copies=True)).hits
        assert [os.path.basename(one.path) for one in each if "words" in one.channels] == ["Zanzibar trip.txt"]


def test_all_copies_are_found_though_there_are_few_contents(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(90):
        (tree / f"holiday {number}.txt").write_text(f"A day like any other: {number % 3}.")
    with Library(tmp_path / "library") as library:
        library.index([tree])
        result = library.search(Query((text_term('"holiday"'),), limit=200, copies=True))
        assert (len(result.hits), result.total, result.total_exact) == (90, 90, True)
        assert library.search(Query((text_term('"holiday"'),), limit=200)).total == 3


def test_a_word_of_the_name_and_one_of_the_text_are_told_together(tmp_path: Path) -> None:
    for number in range(150):
        for name, text in (("berlin", "Gardens in spring"), ("note", "The invoice is for wood")):
            file = tmp_path / "tree" / name / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}, {number}.")
    both = tmp_path / "tree" / "berlin" / "zz.txt"
    both.write_text("A horse ran over green hills, an invoice, and children swam in the sea under a blue sky.")
    with Library(tmp_path / "library") as library:
        library.index([tmp_path / "tree"])
        for text in ("berlin invoice", "invoice berlin"):
            (hit,) = library.search(Query((text_term(text),), limit=1)).hits
            assert (hit.path, hit.channels[0]) == (str(both), "words")
        (tmp_path / "tree" / "other.txt").write_bytes(both.read_bytes())
        library.index()
        (hit,) = library.search(Query((text_term("berlin zz"),), limit=1)).hits
        assert (hit.path, hit.copies) == (str(both), (str(tmp_path / "tree" / "other.txt"),))


def test_a_file_that_lies_in_a_folder_of_that_name_is_shown_where_the_word_stands_in_it(tmp_path: Path) -> None:
    file = tmp_path / "tree" / "insurance" / "terms.txt"
    file.parent.mkdir(parents=True)
    pays = "The insurer pays for damage by {} to the house of the policy holder, who has told of it within {} days.\n"
    terms = [pays.format(what, days) for days in range(9, 19) for what in ("hail", "fire", "storm", "lightning")]
    file.write_text("".join([*terms, "\nMy bicycle has an insurance of its own, said grandmother at tea.\n", *terms]))
    with Library(tmp_path / "library") as library:
        library.index([tmp_path / "tree"])
        (hit,) = library.search(Query((text_term("insurance"),))).hits
        assert hit.snippet is not None and "has an insurance of its own" in hit.snippet
        (hit,) = library.search(Query((text_term("insurance hail"),))).hits
        assert hit.snippet is not None and "insurance" in hit.snippet and "hail" in hit.snippet


@pytest.fixture(scope="module")
def named(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of photographs, of notes whose names say little as words, and of notes about the same things."""
    place = tmp_path_factory.mktemp("named")
    texts = {
        "letters/Doctors without Borders.txt": "Thank you for your help in the past year.",
        "doctors.txt": "Doctors and nurses work in a hospital near the borders of the country.",
        "films/Men in Black.txt": "Seen twice.",
        "men.txt": "Black coffee is what most men drink, said the men in the blue house.",
        "films/no country for old men.txt": "Seen once, and that was enough.",
        "old men.txt": "The country has an old king, and old men who sit in the sun.",
        "songs/No Rest in the City.txt": "Recorded in one afternoon.",
        "songs/The Who.txt": "Baba O'Riley, five minutes.",
        "who.txt": "Those who sing in the choir, and the one who plays the organ.",
        "minutes.txt": "It was said that we travel without luggage, by train.",
    }
    for name, text in texts.items():
        (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "tree" / name).write_text(text)
    with Library(place / "library") as library:
        library.index([photos, place / "tree"])
    return place / "library"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("Doctors without Borders", "Doctors without Borders.txt"),
        ("a letter to the doctors without borders", "Doctors without Borders.txt"),
        ("Men in Black", "Men in Black.txt"),
        ("a photo of men in black", "Men in Black.txt"),
        ("no country for old men", "no country for old men.txt"),
        ("The Who", "The Who.txt"),
        ("no rest in the city", "No Rest in the City.txt"),
        ("travel without luggage", "minutes.txt"),
    ],
)
def test_a_name_is_found_first_as_it_is_typed(named: Path, asked: str, first: str) -> None:
    with Library(named) as library:
        result = library.search(asked)
    assert os.path.basename(result.hits[0].path) == first
    assert "words" in result.hits[0].channels
    assert [term.value for term in result.query.terms] == [asked]


def test_what_nothing_is_called_keeps_away_from_something(named: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "doctors", "without", "bears", "--json", library=named)
    assert [term["text"] for term in done.json["query"]["terms"]] == ["doctors", "bears"]
    # No photo is called so: among photos it is no name.
    done = mmsearch("search", "doctors without borders", "--type", "image", "--min-score", "0", "--json", library=named)
    assert [term["text"] for term in done.json["query"]["terms"]] == ["doctors", "borders"]
    done = mmsearch("search", "2:doctors without borders", "--json", library=named)
    assert done.json["query"]["terms"] == [{"text": "doctors without borders", "weight": 2.0}]
    done = mmsearch("search", "doctors without borders", library=named)
    assert done.err.startswith("mmsearch: a file has these words as they are typed: doctors without borders;")


def test_a_name_is_explained_as_it_was_searched_for(named: Path) -> None:
    with Library(named) as library:
        told = library.explain(named.parent / "tree" / "doctors.txt", "doctors without borders")
    assert {one.word for one in told.words} == {"doctors", "borders"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of diaries that mention names in passing, and of notes that are nearer to these by what they mean."""
    place = tmp_path_factory.mktemp("said")
    texts = {
        "bank.txt": "The bank wrote about the new account and the fees. I also gave fifty to Doctors without Borders, "
        "and paid the rent, the water and the newspaper.",
        "doctors.txt": "Doctors without any borders",
        "clinic.txt": "Doctors and borders: doctors at the borders of the country work without pay.",
        "friday.txt": "On Friday it rained all day. At home we saw Men in Black again, ate soup and went to bed early "
        "since the train leaves at six.",
        "men.txt": "Men, black coffee. Black is what most men drink; men in hats, men with black coffee.",
        "june.txt": "In June the trains were late. We came to London at nine, heard The Who, and drove home.",
        "choir.txt": "Those who sing in the choir, and the one who plays: the who is who of the village.",
        "stage.txt": "He stood there and said: to be or not to be, and laughed.",
    }
    (place / "tree").mkdir()
    for name, text in texts.items():
        (place / "tree" / name).write_text(text)
    with Library(place / "library") as library:
        library.index([place / "tree"])
    return place / "library"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("Doctors without Borders", "bank.txt"),
        ("doctors without borders", "bank.txt"),
        ("a letter to the doctors without borders", "bank.txt"),
        ("Men in Black", "friday.txt"),
        ("The Who", "june.txt"),
        ("the who", "june.txt"),
        ("to be or not to be", "stage.txt"),
    ],
)
def test_a_name_that_a_text_mentions_is_before_what_is_nearer_by_its_meaning(
    said: Path, asked: str, first: str
) -> None:
    with Library(said) as library:
        hits = library.search(Query(tuple(text_terms(asked)), min_score=0.0)).hits
    assert os.path.basename(hits[0].path) == first and "words" in hits[0].channels
    assert hits[0].score > hits[1].score
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_words_that_say_nothing_are_no_name_in_passing(said: Path) -> None:
    with Library(said) as library:
        for asked in ("the who", "who is who", "in the", "on the"):
            hits = library.search(Query((text_term(asked),), min_score=0.0)).hits
            assert not any(os.path.basename(hit.path) == "choir.txt" and "words" in hit.channels for hit in hits), asked


@pytest.mark.parametrize(
    ("words", "text", "is_name"),
    [
        ("men in black", "We saw Men in Black.", True),
        ("men in black", "We saw MEN IN BLACK.", True),
        ("men in black", "We saw men in black.", False),
        ("men in black", "Men in black went by.", False),  # a sentence begins
        ("men in black", "Men in black, and Men in Black.", True),
        ("the dog", "The Dog", False),  # of one word that says something no name can be told
        ("the who", "The Who", True),
        ("the who", "the Who", False),
        ("order 8841", "Order 8841", False),
        ("hund am strand", "Der Hund am Strand", True),
        ("what is it that", "Tell me what is it that you want.", True),
        ("cafe de flore", "Das Café de Flore", True),
        ("lange strasse", "In der Lange Straße", True),
        ("lange strasse", "In der Lange straße", False),
        ("доктор живаго", "Я читал «Доктор Живаго» дома", True),
    ],
)
def test_a_name_in_a_text_is_told_by_its_capitals(words: str, text: str, is_name: bool) -> None:
    assert stands_as_name(AskedWord(tuple(words.split())), text) == is_name


def test_the_note_tells_what_of_the_query_a_file_has(said: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "a letter to the Doctors without Borders", library=said)
    assert "a file has these words as they are typed: Doctors without Borders; --not" in done.err


def test_common_words_in_the_name_and_in_the_text_of_a_file_are_found_together(
    named: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(word_ranking, "RARE", 20)
    for number in range(60):
        for name, text in (("invoice", "Wood and nails were paid"), ("letters", "The house of acme wrote again")):
            file = tmp_path / "tree" / name / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}, {number}.")
    both = tmp_path / "tree" / "invoice" / "zz.txt"
    both.write_text("A horse ran over green hills to acme, and children swam in the sea under a blue sky.")
    with Library(tmp_path / "library") as library:
        library.index([tmp_path / "tree"])
        for text in ("acme invoice", "invoice from acme"):
            result = library.search(Query((text_term(text),), min_score=0.0))
            assert result.hits[0].path == str(both)
            assert result.hits[0].score > 0.9 > result.hits[1].score


def test_a_common_phrase_is_found_beside_rare_words(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ranking, "RARE", 0)
    assert names(session, '"server started" Ottilie') == ["server.log"]


def test_the_command_takes_phrases_and_tells_the_channels(told: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", '"server started"', "--json", library=told)
    (hit,) = done.json["hits"]
    assert hit["channels"][0] == "words" and hit["snippet"]
    assert done.json["query"]["terms"] == [{"text": '"server started"', "weight": 1.0}]


@pytest.fixture(scope="module")
def bilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of somebody who writes in English and in German."""
    place = tmp_path_factory.mktemp("bilingual")
    texts = {
        "bicycle repair.txt": "No. 8841",
        "Keller.txt": "Das Fahrrad steht im Keller.",
        "garage.txt": "The old bicycle is in the garage.",
        "quote.txt": "Er sagte: Das ist mein rotes Fahrrad, und ging.",
        "names.txt": "Ottilie Brandstetter",
    }
    (place / "tree").mkdir()
    for name, text in texts.items():
        (place / "tree" / name).write_text(text, encoding="utf-8")
    with Library(place / "library") as library:
        library.index([place / "tree"])
    return place / "library"


def test_a_query_finds_notes_and_names_in_both_languages(bilingual: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "Fahrrad", "--lang", "de", "--json", library=bilingual)
    words_as = {os.path.basename(hit["path"]): hit["words_as"] for hit in done.json["hits"]}
    assert words_as["Keller.txt"] == words_as["quote.txt"] == "typed"
    assert words_as["bicycle repair.txt"] == words_as["garage.txt"] == "english"
    assert words_as.get("names.txt") is None
    by_english = mmsearch("search", "bicycle", "--json", library=bilingual)
    assert {hit["words_as"] for hit in by_english.json["hits"]} <= {"typed", None}
    assert not any("words" in hit["channels"] for hit in by_english.json["hits"] if hit["path"].endswith("Keller.txt"))
    as_typed = mmsearch("search", "Fahrrad", "--lang", "en", "--json", library=bilingual)
    assert not any(hit["words_as"] == "english" for hit in as_typed.json["hits"])


def test_a_phrase_stays_in_the_language_that_it_is_typed_in(bilingual: Path) -> None:
    with Library(bilingual) as library:
        result = library.search(Query((text_term('"rotes Fahrrad"'),), language="de"))
        (hit,) = result.hits
        assert os.path.basename(hit.path) == "quote.txt" and hit.words_as == "typed"
        beside = Query((text_term('"Fahrrad steht"'), text_term("Ottilie")), language="de")
        assert [os.path.basename(hit.path) for hit in library.search(beside).hits] == ["Keller.txt"]


def test_a_file_with_words_of_two_languages_counts_by_the_better_ones(bilingual: Path) -> None:
    with Library(bilingual) as library, library.session() as session:
        both = session.search(Query((text_term("altes Fahrrad"),), language="de", min_score=0.0))
        english = session.search(Query((text_term("old bicycle"),), min_score=0.0))
    (garage,) = [hit for hit in both.hits if hit.path.endswith("garage.txt")]
    (alone,) = [hit for hit in english.hits if hit.path.endswith("garage.txt")]
    assert garage.words_as == "english" and alone.words_as == "typed"
    assert garage.score > 0.9


@pytest.mark.parametrize(("query", "lists"), [("a dog on the beach", 1), ("Fahrrad", 2), ("京都 寺", 2)])
def test_a_query_that_is_not_read_is_asked_once(query: str, lists: int) -> None:
    term = text_term(query)
    term = replace(term, read_as=read(query))
    assert len(readings_of_query([term])) >= lists
    assert (len(readings_of_query([term])) == 1) == (lists == 1)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("a letter to Otilie", "a letter to ottilie"),  # a letter less
        ("ottilliex", None),
        ("Otttilie", "ottilie"),
        ("ottiliy", "ottilie"),
        ("ottliie", "ottilie"),  # two that have changed places
        ("Lüdenscheit", "ludenscheidt"),
        ("Ottilie", None),
        ("otti", None),  # begins a word
        ("starter", None),  # an English word
        ("Tagebücher", None),  # a German one, or near to one
        ("jpan", "japan"),
        ("jpn", None),
        ("Otilie Jpan", "ottilie Jpan, Otilie japan"),
        ("Otilie jpan tagebch kolnerr", None),  # of no language that is known
        ('"aunt otilie"', None),  # meant as it is
    ],
)
def test_a_word_of_the_library_is_offered_for_one_with_a_slip(session: Session, asked: str, meant: str | None) -> None:
    offered = session.search(Query((text_term(asked),), min_score=0.0)).suggestions
    assert ", ".join(one.text for one in offered) == (meant or "")


def test_what_was_typed_is_searched_and_the_offer_is_told_beside_it(told: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "Otilie", "--min-score", "0", library=told)
    assert done.err == "mmsearch: did you mean ottilie?\n"
    asked = mmsearch("search", "Otilie", "--min-score", "0", "--json", library=told)
    assert asked.json["suggestions"] == [{"typed": "Otilie", "instead": "ottilie", "text": "ottilie"}]
    assert asked.json["query"]["terms"][0]["text"] == "Otilie"
    assert not any("words" in hit["channels"] for hit in asked.json["hits"]) and asked.err == ""


def test_words_that_are_known_are_not_looked_for_in_other_spellings(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[AskedWord] = []
    documents_with = SqliteStore.documents_with

    def counted(store: SqliteStore, words: list[AskedWord], most: int) -> tuple[list[int], list[int]]:
        asked.extend(words)
        return documents_with(store, words, most)

    holds_any = SqliteStore.holds_any

    def counted_together(store: SqliteStore, words: list[AskedWord]) -> bool:
        asked.extend(words)
        return holds_any(store, words)

    monkeypatch.setattr(SqliteStore, "documents_with", counted)
    monkeypatch.setattr(SqliteStore, "holds_any", counted_together)
    session.search("a bicycle beside a waterfall")
    assert len(asked) <= 4
    session.search("a bicycle beside Otilie")
    assert 100 < len(asked) < 1_000


def test_words_that_damage_has_changed_are_no_answer(own: Path, mmsearch: Mmsearch) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(own / "library.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO file_words (rowid, name) VALUES (1, 'zebra')")
    done = mmsearch("search", "zebra", library=own)
    assert done.code == 2 and "damaged" in done.err and "doctor" in done.err


# What a query asks for


@pytest.mark.parametrize(
    ("text", "words", "phrases"),
    [
        ("a dog on the beach", [("dog",), ("beach",)], []),
        ('the "server started" log', [("log",)], [("server", "started")]),
        ("„Guten Tag“, sagte er", [("sagte",)], [("guten", "tag")]),
        ("photo of IMG_0518", [("img", "0518")], []),
        ("photo", [("photo",)], []),
        ('a 27" monitor and 5" more', [("27",), ("monitor",), ("5",), ("more",)], []),
        ("京都府 temple temple", [("京都",), ("都府",), ("temple",)], []),
        ("... -", [], []),
    ],
)
def test_a_query_is_words_and_phrases(text: str, words: list[tuple[str, ...]], phrases: list[tuple[str, ...]]) -> None:
    asked = words_of_query([Term("text", text)])
    assert [word.pieces for word in asked.words] == words
    assert [phrase.pieces for phrase in asked.phrases] == phrases


def test_a_model_sees_no_quotation_marks() -> None:
    assert without_quotes('the "server started" log') == "the server started log"
    assert without_quotes('a 27" monitor') == 'a 27" monitor'


def test_rarer_words_and_more_of_them_make_a_higher_score() -> None:
    rare, common = weighted(AskedWord(("ottilie",)), 1, 10_000), weighted(AskedWord(("beach",)), 3_000, 10_000)
    both = [rare, common]
    assert rare.weight > common.weight > 0
    assert score_of(0.0, both) == 0.0
    assert (
        score_of(common.weight, both) < 0.5 < score_of(rare.weight, both) < score_of(rare.weight + common.weight, both)
    )
    assert score_of(common.weight, [common]) < score_of(rare.weight, [rare])
    assert score_of(rare.weight, [rare]) > 0.95


# Many files: made-up vectors, real words


class Named(MadeUpLibrary):
    """Photos by the thousand, under names of one's own."""

    def add_named(self, rows: FloatMatrix, name: str) -> None:
        with self.store.transaction():
            for row in rows:
                self.added += 1
                content_id = self.store.put_content(Content(self.added.to_bytes(16, "big"), "image", 1))
                self.store.add_items(content_id, self.model_id, [EncodedItem("image", row)])
                path = f"/made-up/{name}/{self.added:05d}.jpg".encode()
                self.store.put_file(FileState(self.root_id, path, 1, 1), content_id)


class OneText:
    """An encoder to which every text is the same."""

    modalities = frozenset(("image", "text"))
    calibration = None

    def __init__(self, made: MadeUpLibrary) -> None:
        self.identity = made.identity

    def windows(self, text: str) -> list[object]:
        return []

    def encode(self, modality: str, payloads: list[object]) -> FloatMatrix:
        return np.repeat(unit(-np.ones((1, DIMENSION), np.float32)), len(payloads), axis=0)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Session]:
    """300 photos below a folder `Japan`, 200 elsewhere; words that 100 documents hold are common."""
    made = Named(tmp_path / "many")
    with made.store.transaction():
        made.store.set_setting("model_id", str(made.model_id))
    made.add_named(drawn(300, seed=1), "Japan")
    made.add_named(drawn(200, seed=2), "elsewhere")
    made.store.close()
    opened = Session(SqlitePlace(made.folder), lambda: SqliteStore.read(made.folder), lambda in_use: OneText(made))  # type: ignore[arg-type,return-value]
    with opened:
        yield opened


@pytest.mark.parametrize("rare", [100, 2_000])
@pytest.mark.parametrize("least", [None, 0.0])
def test_pages_of_a_common_word_neither_repeat_nor_skip(
    many: Session, monkeypatch: pytest.MonkeyPatch, rare: int, least: float | None
) -> None:
    monkeypatch.setattr(word_ranking, "RARE", rare)
    term = (text_term("Japan"),)
    seen: list[str] = []
    for offset in range(0, 300, 30):
        hits = many.search(Query(term, limit=30, offset=offset, min_score=least)).hits
        assert [hit.rank for hit in hits] == list(range(offset + 1, offset + len(hits) + 1))
        seen += [hit.path for hit in hits if "words" in hit.channels or least is not None]
    assert len(seen) == len(set(seen)) == 300
    assert sum("/Japan/" in path for path in seen) == 300


def test_common_words_are_looked_up_in_bounded_numbers(many: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    found = SqliteStore.documents_with

    def counted(self: SqliteStore, words: list[AskedWord], most: int) -> tuple[list[int], list[int]]:
        files, items = found(self, words, most)
        asked.append(len(files) + len(items))
        return files, items

    monkeypatch.setattr(word_ranking, "RARE", 20)
    monkeypatch.setattr(SqliteStore, "documents_with", counted)
    assert len(many.search(Query((text_term("Japan"),), limit=5)).hits) == 5
    assert max(asked) <= 200
    # A rare word among common ones leads to its file.
    assert many.search("made up japan 00123").hits[0].path.endswith("00123.jpg")


def test_files_that_hold_too_few_of_the_words_are_not_all_looked_at(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    first = Path(shutil.copy(min(photos.rglob("*.jpg")), folder / "first.jpg"))
    for number in range(400):
        os.link(first, folder / f"{number}.jpg")
    looked_at: list[tuple[Any, ...]] = []
    by_file = RankedFiles._by_file

    def counted(*given: Any) -> Any:
        looked_at.append(given)
        return by_file(*given)

    monkeypatch.setattr(RankedFiles, "_by_file", counted)
    with Library(tmp_path / "library") as library:
        library.index([folder])
        assert library.search("zqxvkw plfmrn 1").total == 0
    # Four hundred paths have the 1, which is too little of what was asked for.
    assert len(looked_at) == 1
