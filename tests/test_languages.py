"""Queries in other languages find what the English ones find, and English ones are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch import Filters, Invalid, Library, Query, Reading, Term
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.protocol import text_vectors
from mmsearch.language import NAMES, read
from mmsearch.language.lexicon import FOLDER, lexicon_of
from mmsearch.models.known import knows_english_alone
from mmsearch.searching.cache import QUERY_CACHE_NAME, QueryCache


@pytest.fixture(autouse=True)
def plain_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The locale of who runs the tests breaks no tie."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def english(text: str, language: str | None = None) -> tuple[str | None, str]:
    """The language that a text is read as, and the best guess of what it says."""
    reading = read(text, language)
    assert reading is not None, text
    return reading.language, reading.english[0]


# A query for the cat, the cup of coffee and the motorcycle of the photographs, as one would type it.
ASKED = {
    "de": ("Katze", "eine Tasse Kaffee", "Motorrad"),
    "fr": ("un petit chat", "tasse de café", "une moto"),
    "es": ("gato", "una taza de café", "motocicleta"),
    "it": ("un gatto", "tazza di caffè", "motocicletta"),
    "pt": ("um gato", "xícara de café", "motocicleta"),
    "nl": ("een kat", "kopje koffie", "motorfiets"),
    "sv": ("katt", "en kopp kaffe", "motorcykel"),
    "pl": ("kot", "filiżanka kawy", "motocykl"),
    "cs": ("kočka", "šálek kávy", "motorka"),
    "tr": ("kedi", "bir fincan kahve", "motosiklet"),
    "ru": ("кошка", "чашка кофе", "мотоцикл"),
    "uk": ("кішка", "чашка кави", "мотоцикл"),
    "zh": ("猫", "一杯咖啡", "摩托车"),
    "ja": ("猫", "コーヒーカップ", "バイク"),
    "ko": ("고양이", "커피 한 잔", "오토바이"),
}


PICTURES = Filters(medium="image")


@pytest.mark.parametrize("language", NAMES)
def test_each_language_finds_what_english_finds(indexed: Path, language: str) -> None:
    with Library(indexed) as library:
        found = [
            library.search(Query((Term("text", text),), PICTURES, min_score=0, language=language)).hits[0].path
            for text in ASKED[language]
        ]
    assert [Path(path).stem for path in found] == ["cat", "coffee", "motorcycle"]


def test_a_person_sees_how_the_query_was_read(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "die kleine Katze", "--type", "image", library=indexed)
    assert done.code == 0
    assert "cat.png" in done.out.splitlines()[0]
    assert done.err == "mmsearch: read as German: small cat\n"
    piped = mmsearch("search", "die kleine Katze", "--paths", library=indexed)
    assert piped.err == ""


def test_json_tells_each_term_that_was_read(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "чашка кофе", "--not", "a cat", "--json", library=indexed)
    read_term, typed_term = done.json["query"]["terms"]
    assert read_term["text"] == "чашка кофе"
    assert read_term["read_as"]["language"] == "ru"
    assert "coffee" in read_term["read_as"]["english"][0]
    assert typed_term == {"text": "a cat", "weight": -0.5}
    assert done.err == ""


def test_a_language_that_is_not_there_says_so_and_what_helps(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "قطة سوداء", library=indexed)
    assert "of which this is none; `mmsearch models` lists models that know more." in done.err.splitlines()[0]
    asked = mmsearch("search", "قطة سوداء", "--json", library=indexed)
    assert asked.json["query"]["terms"][0]["read_as"] == {"language": None, "english": []}


def test_words_that_no_lexicon_has_are_searched_as_they_are_typed(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "Żółć", "--lang", "pl", "--min-score", "0", library=indexed)
    assert done.code == 0
    assert "no word of this is known in Polish; it was searched as it was typed." in done.err


def test_lang_says_what_a_word_of_two_languages_is_in(indexed: Path, mmsearch: Mmsearch) -> None:
    as_english = mmsearch("search", "chat", "--min-score", "0", "--json", library=indexed)
    assert "read_as" not in as_english.json["query"]["terms"][0]
    as_french = mmsearch("search", "chat", "--lang", "fr", "--type", "image", "--json", library=indexed)
    assert as_french.json["query"]["terms"][0]["read_as"]["english"][0] == "cat"
    assert Path(as_french.json["hits"][0]["path"]).name == "cat.png"
    again = mmsearch("search", "chat", "--min-score", "0", "--json", library=indexed)
    assert again.json["hits"] == as_english.json["hits"]


def test_lang_en_takes_what_is_typed(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "Katze", "--lang", "en", "--min-score", "0", "--json", library=indexed)
    assert "read_as" not in done.json["query"]["terms"][0]


def test_a_language_that_nobody_knows_is_refused(indexed: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "Katze", "--lang", "xx", library=indexed)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mmsearch: There is no language 'xx' here; it is en, cs, de,")
    listed = mmsearch("search", "--type", "image", "--lang", "de", library=indexed)
    assert listed.code == 2


def test_the_locale_breaks_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("chat") is None
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert english("chat") == ("fr", "cat")
    assert read("a dog on the beach") is None
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert english("風車") == ("ja", "windmill")


@pytest.mark.parametrize(
    ("text", "language", "says"),
    [
        ("perro en la playa", "es", "dog in beach"),
        ("Hund am Strand", "de", "dog at beach"),
        ("собака на пляже", "ru", "dog on beach"),
        ("coche rojo", "es", "red car"),  # the adjective comes first
        ("baño azul pequeño", "es", "small blue bathroom"),
        ("ELEFANTENHERDE", "de", "elephant herd"),  # a compound
        ("ett flickrum", "sv", "girl room"),  # which has lost a letter
        ("зеленое яблоко", "ru", "green apple"),  # е for ё
        ("kocka", "cs", "cat"),  # without accents
        ("дерев’яний стіл", "uk", "wooden table"),  # another apostrophe
        ("Gummiente von Anneliese Quuxmann", "de", "rubber duck Anneliese Quuxmann"),  # names stay
        ("Наташа на пляже", "ru", "natasha on beach"),
        ("학교에서", "ko", "school"),  # a particle
        ("海辺の犬", "ja", "seaside dog"),
    ],
)
def test_what_is_read(text: str, language: str, says: str) -> None:
    assert english(text) == (language, says)


def test_part_of_a_longer_word_is_no_word() -> None:
    """ビーバー is a beaver, and バー a bar; 海狸 is one too, and 海 the sea."""
    assert "bar" not in english("雪の中のビーバー")[1].split()
    assert "sea" not in english("雪地里的海狸")[1].split()


@pytest.mark.parametrize(
    "text",
    [
        "a dog on the beach", "the grandmother's birthday cake", "red wine and cheese", "no people", "IMG_0518",
        "two men playing chess in a park", "chihuahua", "croissant", "San Francisco", "Lake Garda at night", "2 cats",
        "x", "hotel 2019", "sunset over Rio de Janeiro", "café in Paris", "jalapeño pizza", "", "?!", "🐶",
    ],
)  # fmt: skip
def test_english_is_left_alone(text: str) -> None:
    assert read(text) is None


def test_what_an_entry_says_in_english_is_english() -> None:
    """To read what was read changes nothing: all of the lexicon's English is told to be English."""
    from mmsearch.language.lexicon import english_entries

    assert [entry for entry in english_entries() if read(entry) is not None] == []


def test_an_english_query_is_encoded_as_it_is(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / QUERY_CACHE_NAME).unlink(missing_ok=True)
    asked: list[str] = []
    encode = BuiltinEncoder._encode_texts

    def noted(self: BuiltinEncoder, texts: list[str]) -> object:
        asked.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(BuiltinEncoder, "_encode_texts", noted)
    with Library(own) as library:
        result = library.search("a cup of coffee")
        assert asked == ["a cup of coffee"]
        assert result.query == Query((Term("text", "a cup of coffee"),))
        library.search("eine Tasse Kaffee")
    assert "eine Tasse Kaffee" not in asked
    assert any("coffee" in text for text in asked[1:])


def test_a_text_is_the_mean_of_its_readings_from_the_cache_too(own: Path) -> None:
    (own / QUERY_CACHE_NAME).unlink(missing_ok=True)
    reading = read("schwarzer Hund im Garten")
    assert reading is not None
    assert len(reading.english) > 1
    with Library(own) as library:
        library.search("schwarzer Hund im Garten")
    encoder = BuiltinEncoder()
    mean = text_vectors(reading.english, encoder).mean(axis=0)
    kept = QueryCache(str(own), encoder.identity).get(reading.english)
    assert kept is not None
    np.testing.assert_allclose(kept, mean / np.linalg.norm(mean), atol=1e-6)


@settings(max_examples=300)
@given(st.text(max_size=60), st.sampled_from([None, *NAMES]))
def test_any_text_is_read_or_left_alone(text: str, language: str | None) -> None:
    reading = read(text, language)
    assert reading is None or isinstance(reading, Reading)
    if reading is not None:
        assert len(reading.english) <= 3
        assert all(one.strip() for one in reading.english)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.sampled_from(sorted(NAMES)), st.data())
def test_any_words_of_a_language_are_read(language: str, data: st.DataObject) -> None:
    forms = [form for form, _ in lexicon_of(language)._forms.beginning_with("")]
    picked = data.draw(st.lists(st.sampled_from(forms), min_size=1, max_size=4))
    reading = read(" ".join(picked), language)
    assert reading is not None
    assert reading.language == language


def test_which_models_know_english_alone() -> None:
    for name in (
        "mmsearch-mini",
        "mmsearch-mini@2",
        "mmsearch-mini+crops",
        "clip-ViT-B-32",
        "clip-ViT-B-32@abc-int8+crops",
    ):
        assert knows_english_alone(name), name
    for name in ("google/siglip2-base-patch16-224", "clip-ViT-B-32-multilingual-v1", "google/siglip-base-patch16-224"):
        assert not knows_english_alone(name), name
    assert not knows_english_alone("/models/my-own")


def test_unknown_languages_are_invalid() -> None:
    with pytest.raises(Invalid):
        Query((Term("text", "Katze"),), language="klingon")


LOADED = """
import sys
sys.argv = ["mmsearch", "search", {query!r}]
from mmsearch.cli import main
try:
    main()
except SystemExit:
    pass
from mmsearch.language import lexicon
print(lexicon.sorted_lines.cache_info().currsize, lexicon.lexicon_of.cache_info().currsize,
      lexicon.english_entries.cache_info().currsize, file=sys.stderr)
"""


@pytest.mark.parametrize(("query", "loaded"), [("a cat", "1 0 0"), ("eine schwarze Katze", "2 1 1"), ("黑猫", "0 2 1")])
def test_a_query_loads_what_it_needs(indexed: Path, query: str, loaded: str) -> None:
    """English the list of English words alone, and others their own language; Chinese and Japanese are told by both."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(query=query)],
        env={**os.environ, "MMSEARCH_LIBRARY": str(indexed)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == loaded


def test_all_languages_together_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(FOLDER).iterdir()) < 1_500_000
