"""A person looks for things among photographs and notes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mmsearch import Filters, Library, Query, Term
from mmsearch.searching.query import image_term, parse_date, text_term


@pytest.fixture
def found(indexed: Path) -> Library:
    return Library(indexed)


def names(
    library: Library,
    *terms: Term,
    limit: int = 10,
    filters: Filters | None = None,
    min_score: float | None = None,
) -> list[str]:
    result = library.search(Query(terms, filters or Filters(), limit, min_score))
    return [os.path.basename(hit.path) for hit in result.hits]


# Each is ahead of the next photograph by 0.02 of cosine: versions of onnxruntime move a text by a tenth of that.
@pytest.mark.parametrize(
    ("words", "photo"),
    [
        ("a cat", "cat.png"),
        ("a cup of coffee", "coffee.png"),
        ("a man with a camera on a tripod", "cameraman.png"),
        ("a rocket launch", "rocket.jpg"),
        ("a pagoda", "temple.jpg"),
        ("a flower", "flower.jpg"),
        ("a motorcycle", "motorcycle.png"),
    ],
)
def test_words_find_their_photograph_first(found: Library, words: str, photo: str) -> None:
    assert names(found, text_term(words), filters=Filters(medium="image"), min_score=0)[0] == photo


def test_a_photograph_of_coffee_finds_the_note_about_coffee(found: Library, photos: Path) -> None:
    coffee = image_term(str(photos / "photos" / "coffee.png"))
    assert names(found, coffee, filters=Filters(medium="text"))[0] == "coffee.md"


@pytest.fixture
def crop(tmp_path: Path, photos: Path) -> Path:
    """A part of the cat, which is not in the library itself."""
    from PIL import Image

    with Image.open(photos / "photos" / "cat.png") as cat:
        cat.crop((40, 20, 400, 280)).convert("RGB").save(tmp_path / "crop.jpg")
    return tmp_path / "crop.jpg"


def test_a_picture_finds_its_like(found: Library, crop: Path) -> None:
    assert names(found, image_term(str(crop)), filters=Filters(medium="image"))[0] == "cat.png"


def test_words_find_the_note_that_says_it_otherwise(found: Library) -> None:
    notes = Filters(medium="text")
    assert names(found, text_term("money I owe to the state"), filters=notes, min_score=0)[0] == "tax.txt"
    assert names(found, text_term("brewing an espresso"), filters=notes, min_score=0)[0] == "coffee.md"
    assert names(found, text_term("baby animals"), filters=notes, min_score=0)[0] == "kitten.txt"


def test_photographs_and_notes_are_one_list_with_both_kinds_on_top(found: Library) -> None:
    assert set(names(found, text_term("a cup of coffee"), limit=2)) == {"coffee.png", "coffee.md"}
    assert set(names(found, text_term("a cat"), limit=2)) == {"cat.png", "kitten.txt"}


def test_the_note_about_taxes_does_not_swamp_photographs(found: Library) -> None:
    assert names(found, text_term("a motorcycle"), limit=1) == ["motorcycle.png"]
    assert names(found, text_term("income tax"), limit=1) == ["tax.txt"]


def test_scores_fall_from_rank_to_rank_and_lie_between_0_and_1(found: Library) -> None:
    hits = found.search("a cat").hits
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(-1 <= hit.similarity <= 1 for hit in hits)


def test_the_query_image_is_left_out_of_its_own_results(found: Library, photos: Path, tmp_path: Path) -> None:
    cat = photos / "photos" / "cat.png"
    assert "cat.png" not in names(found, image_term(str(cat)), limit=50)
    links = [tmp_path / "link.png", tmp_path / "other.png"]
    links[0].symlink_to(cat)
    links[1].symlink_to(photos / "photos" / "coffee.png")
    rest = names(found, *(image_term(str(link)) for link in links), limit=50)
    assert not {"cat.png", "coffee.png"} & set(rest)
    assert len(rest) == 16


def test_a_copy_of_the_query_image_is_a_hit(found: Library, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "photos" / "cat.png", tmp_path / "my cat.png")
    first = found.search(Query((image_term(str(tmp_path / "my cat.png")),))).hits[0]
    assert first.path.endswith("cat.png")
    assert first.similarity > 0.99


def test_text_and_image_together_find_both(found: Library, crop: Path) -> None:
    both = names(found, image_term(str(crop)), text_term("a motorcycle"), limit=2, filters=Filters(medium="image"))
    assert set(both) == {"cat.png", "motorcycle.png"}


def test_weights_decide_between_two_terms(found: Library) -> None:
    photographs = Filters(medium="image")
    assert names(found, text_term("5:a cat"), text_term("a motorcycle"), filters=photographs)[0] == "cat.png"
    assert names(found, text_term("a cat"), text_term("5:a motorcycle"), filters=photographs)[0] == "motorcycle.png"


def test_terms_are_normalised_before_they_are_weighted(found: Library) -> None:
    once = found.search(Query((text_term("a cat"), text_term("a motorcycle")))).hits
    tenfold = found.search(Query((text_term("10:a cat"), text_term("10:a motorcycle")))).hits
    assert [hit.path for hit in once] == [hit.path for hit in tenfold]
    assert once[0].score == pytest.approx(tenfold[0].score, abs=1e-4)


def test_a_term_said_twice_or_in_other_words_means_no_more_than_once(found: Library) -> None:
    once = found.search(Query((text_term("a cat"),), min_score=0)).hits
    twice = found.search(Query((text_term("a cat"), text_term("a cat")), min_score=0)).hits
    assert [hit.path for hit in once] == [hit.path for hit in twice]
    assert [hit.score for hit in once] == pytest.approx([hit.score for hit in twice], abs=1e-3)


def test_a_negative_term_pushes_away(found: Library) -> None:
    photographs = Filters(medium="image")
    motorcycle = text_term("a motorcycle")
    ranks = [
        names(found, motorcycle, text_term("a cat", sign), limit=14, filters=photographs, min_score=0).index("cat.png")
        for sign in (1, -1)
    ]
    assert ranks[0] + 5 < ranks[1]
    without = names(found, motorcycle, text_term("a cat", -1), limit=1, filters=photographs)
    assert without == ["motorcycle.png"]


def test_a_limit_is_kept_and_a_lowest_score_cuts(found: Library) -> None:
    assert len(names(found, text_term("a cat"), limit=3, min_score=0)) == 3
    everything = found.search(Query((text_term("a cat"),), limit=100, min_score=0)).hits
    assert len(everything) == 18
    middle = everything[5].score
    good = found.search(Query((text_term("a cat"),), limit=100, min_score=middle)).hits
    assert [hit.path for hit in good] == [hit.path for hit in everything if hit.score >= middle]


def test_filters_choose_before_the_ranking(found: Library, photos: Path) -> None:
    cat = text_term("a cat")
    assert set(names(found, cat, filters=Filters(extensions=(".jpg",)), limit=50, min_score=0)) == {
        "rocket.jpg", "eye.jpg", "galaxies.jpg", "temple.jpg", "flower.jpg",
    }  # fmt: skip
    notes = os.fsencode(photos / "notes")
    assert set(names(found, cat, filters=Filters(folders=(notes,)), limit=50, min_score=0)) == {
        "coffee.md", "tax.txt", "kitten.txt", "python.py",
    }  # fmt: skip
    one = os.fsencode(photos / "notes" / "tax.txt")
    assert names(found, cat, filters=Filters(folders=(one,)), limit=1, min_score=0) == ["tax.txt"]
    assert names(found, cat, filters=Filters(folders=(notes,), medium="image")) == []
    assert names(found, cat, filters=Filters(folders=(notes[:-1],))) == []


def test_dates_are_those_of_the_camera_and_else_of_the_file(tmp_path: Path, home: Path, library: Library) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:14 21:30:00"
    with Image.open(home / "cat.png") as cat:
        pixels = cat.convert("RGB")
        pixels.save(home / "old.jpg", exif=exif)
        pixels.info.clear()  # it tells a date of its own
        pixels.save(home / "cat.png")
    for name in ("cat.png", "coffee.png", "coffee.md", "tax.txt"):
        os.utime(home / name, (parse_date("2021-03-04").timestamp(),) * 2)
    library.index([home])
    cat_term = text_term("a cat")
    assert names(library, cat_term, filters=Filters(before=parse_date("2020")), min_score=0) == ["old.jpg"]
    assert names(
        library, cat_term, filters=Filters(after=parse_date("2019-07-14"), before=parse_date("2019-07-15")), min_score=0
    ) == ["old.jpg"]
    later = names(library, cat_term, filters=Filters(after=parse_date("2020")), min_score=0)
    assert set(later) == {"cat.png", "coffee.png", "coffee.md", "tax.txt"}
    assert names(library, cat_term, filters=Filters(after=parse_date("2021-03-04T00:00:01"))) == []
    hit = library.search(Query((cat_term,), Filters(before=parse_date("2020")), min_score=0)).hits[0]
    assert hit.taken == "2019-07-14T21:30:00"


def test_a_long_text_is_one_hit_with_its_best_passage(home: Path, library: Library) -> None:
    filler = "The committee approved the minutes of the last meeting and moved on to the budget.\n" * 60
    passage = "A black horse gallops along the beach at sunset.\n"
    diary = home / "diary.txt"
    diary.write_text(filler + passage + filler, encoding="utf-8")
    library.index([home])
    hits = library.search(Query((text_term("a horse on the beach"),), Filters(medium="text"), 50)).hits
    assert [os.path.basename(hit.path) for hit in hits].count("diary.txt") == 1
    best = hits[0]
    assert os.path.basename(best.path) == "diary.txt"
    assert best.snippet is not None
    assert best.offset is not None
    assert best.line is not None
    assert "black horse" in best.snippet
    text = diary.read_text(encoding="utf-8")
    assert text[best.offset :].startswith(best.snippet)
    assert best.line == text[: best.offset].count("\n") + 1


@pytest.mark.slow
def test_a_text_of_many_passages_does_not_crowd_out_other_files(home: Path, library: Library) -> None:
    (home / "cats.txt").write_text("A cat sits on the mat and looks at the cat.\n" * 1500, encoding="utf-8")
    library.index([home])
    result = library.search(Query((text_term("a cat sits on the mat"),), limit=5, min_score=0))
    assert len({hit.path for hit in result.hits}) == 5


def test_a_long_query_is_read_to_its_end(found: Library) -> None:
    minutes = "The committee approved the minutes of the last meeting and moved on to the budget. " * 12
    note = Filters(medium="text", extensions=(".md",))
    without = found.search(Query((text_term(minutes),), note, min_score=0)).hits[0]
    longer = minutes + "They drank hot coffee from white cups. " * 12
    at_the_end = found.search(Query((text_term(longer),), note, min_score=0)).hits[0]
    assert at_the_end.similarity > without.similarity + 0.1
