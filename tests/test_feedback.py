"""A person says of hits which were meant and which not, and finds more of what was meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Mmsearch, place_photographs, refused
from PIL import Image, ImageEnhance, ImageOps

from mmsearch import Library, Query, Term

LABELS = ("cat", "coffee", "rocket", "coins", "motorcycle", "temple", "flower", "astronaut")
# What each photograph is cut and coloured to: eight of a kind.
BOXES = ((0, 0, 1, 1), (0, 0, 0.8, 0.8), (0.2, 0.2, 1, 1), (0.1, 0, 0.9, 1))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of eight photographs, eight times each, in a folder by what they show. Tests do not change it."""
    folder = tmp_path_factory.mktemp("series")
    originals = {path.stem: path for path in place_photographs(folder / "originals").iterdir()}
    for label in LABELS:
        (folder / "files" / label).mkdir(parents=True)
        with Image.open(originals[label]) as opened:
            picture = opened.convert("RGB")
        for number, (left, top, right, bottom) in enumerate(BOXES):
            size = picture.width, picture.height
            box = tuple(round(share * side) for share, side in zip((left, top, right, bottom), size * 2, strict=True))
            part = picture.crop(box)  # type: ignore[arg-type]
            part.save(folder / "files" / label / f"{number}.jpg", quality=95)
            darker = ImageOps.mirror(ImageEnhance.Brightness(part).enhance(0.7))
            darker.save(folder / "files" / label / f"{number}m.jpg", quality=95)
    with Library(folder / "library") as library:
        library.index(folder / "files")
    return folder


def label_of(path: str) -> str:
    return os.path.basename(os.path.dirname(path))


def precision(paths: list[str], label: str) -> float:
    return sum(label_of(path) == label for path in paths) / len(paths)


def test_likes_raise_precision_with_a_text_and_without(series: Path) -> None:
    """A text that fits all of them alike; two of one kind are liked, and two that come first and are others are not."""
    before: list[float] = []
    with_text: list[float] = []
    without: list[float] = []
    text = (Term("text", "a photo"),)
    with Library(series / "library") as library:
        first = library.search(Query(text, limit=64, min_score=0)).hits
        assert len(first) == 64
        for label in LABELS:
            liked = tuple(hit.id for hit in first if label_of(hit.path) == label)[:2]
            unliked = tuple(hit.id for hit in first if label_of(hit.path) != label)[:2]
            rest = [hit.path for hit in first if hit.id not in liked + unliked][:6]
            before.append(precision(rest, label))
            for found, terms in ((with_text, text), (without, ())):
                query = Query(terms, limit=6, min_score=0, like=liked, unlike=unliked)
                hits = library.search(query).hits
                assert not {hit.id for hit in hits} & {*liked, *unliked}
                found.append(precision([hit.path for hit in hits], label))
    assert sum(before) / len(LABELS) < 0.3
    assert sum(with_text) / len(LABELS) > 0.9
    assert sum(without) / len(LABELS) > 0.9


def test_what_is_unlike_moves_away(series: Path) -> None:
    text = (Term("text", "a cup of coffee on a table, or a cat"),)
    with Library(series / "library") as library:
        first = library.search(Query(text, limit=64, min_score=0)).hits
        cats = [hit for hit in first if label_of(hit.path) == "cat"]
        again = library.search(Query(text, limit=64, min_score=0, unlike=tuple(hit.id for hit in cats[:4]))).hits
    score = {hit.id: hit.similarity for hit in first}
    moved = [hit.similarity - score[hit.id] for hit in again if label_of(hit.path) == "cat"]
    others = [hit.similarity - score[hit.id] for hit in again if label_of(hit.path) == "rocket"]
    assert len(moved) == 4
    assert max(moved) < min(others)


def test_a_hit_is_called_by_its_rank_its_path_or_its_id(mmsearch: Mmsearch, series: Path) -> None:
    library = series / "library"
    hits = mmsearch("search", "a cat", "-n", "3", "--offset", "1", "--json", library=library).json["hits"]
    assert [hit["rank"] for hit in hits] == [2, 3, 4]
    chosen = hits[1]
    answers = []
    for called in ("3", chosen["path"], chosen["id"]):
        mmsearch("search", "a cat", "-n", "3", "--offset", "1", library=library)
        done = mmsearch("search", "--like", called, "--json", library=library)
        assert done.code == 0
        assert done.json["query"]["like"] == [chosen["id"]]
        answers.append([hit["path"] for hit in done.json["hits"]])
    assert answers[0] == answers[1] == answers[2]
    assert {label_of(path) for path in answers[0][:6]} == {"cat"}
    # From here on ranks are those of the last of these.
    assert mmsearch("search", "--like", "1", "--json", library=library).json["query"]["like"] != [chosen["id"]]


def test_ranks_of_a_list_are_known_too(mmsearch: Mmsearch, series: Path) -> None:
    library = series / "library"
    listed = mmsearch("search", "--sort", "name", "--json", "-n", "1", library=library).json["hits"]
    done = mmsearch("search", "a photo", "--like", "1", "--json", library=library)
    assert done.json["query"]["like"] == [listed[0]["id"]]


def test_what_is_kept_of_a_search_is_private_small_and_has_no_words(mmsearch: Mmsearch, series: Path) -> None:
    library = series / "library"
    assert mmsearch("search", "zebras", "--min-score", "0", "-n", "5", library=library).code == 0
    kept = library / "last-result"
    assert os.stat(kept).st_mode & 0o077 == 0
    ids = json.loads(kept.read_text())
    assert list(ids) == ["1", "2", "3", "4", "5"]
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids.values())
    assert mmsearch("search", "zebras", "--ext", "none", library=library).code == 1
    assert json.loads(kept.read_text()) == ids  # nothing was found: ranks are those of before


def test_no_more_than_a_thousand_hits_are_kept(tmp_path: Path, series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.searching import last_result

    monkeypatch.setattr(last_result, "MOST_HITS", 3)
    with Library(series / "library") as library:
        result = library.search(Query((Term("text", "a cat"),), min_score=0))
        library.keep_result(result)
        assert library.id_called("3") == result.hits[2].id
        with refused("The last search has no hit 4"):
            library.id_called("4")


def test_a_copy_and_what_is_beside_a_liked_picture_are_no_answers(home: Path, tmp_path: Path) -> None:
    (home / "again.png").write_bytes((home / "cat.png").read_bytes())
    with Library(tmp_path / "library") as library:
        library.index(home)
        liked = library.id_called(home / "again.png")
        hits = library.search(Query((), min_score=0, like=(liked,))).hits
        copies = library.search(Query((), min_score=0, like=(liked,), copies=True)).hits
    assert {os.path.basename(hit.path) for hit in hits} == {"coffee.png", "coffee.md", "tax.txt"}
    assert {hit.path for hit in copies} == {hit.path for hit in hits}


def test_a_note_is_liked_too(indexed: Path, photos: Path) -> None:
    with Library(indexed) as library:
        kitten = library.id_called(photos / "notes" / "kitten.txt")
        hits = library.search(Query((), min_score=0, like=(kitten,))).hits
    assert hits[0].path == str(photos / "photos" / "cat.png")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--like", "77"], "The last search has no hit 77"),
        (["--like", "/no/such.jpg"], "The library has no file /no/such.jpg"),
        (["--like", "0" * 32], "has the id 00000000"),
        (["--unlike", "1"], "only says what to avoid"),
        (["--like", "1", "--batch", "-"], "leave the others out"),
    ],
)
def test_what_cannot_be_liked_is_said(mmsearch: Mmsearch, series: Path, arguments: list[str], said: str) -> None:
    library = series / "library"
    mmsearch("search", "a cat", "-n", "2", library=library)
    done = mmsearch("search", *arguments, library=library)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_an_id_is_an_id() -> None:
    with refused("by the ids of hits"):
        Query((), like=("3",))


def test_a_damaged_file_of_ranks_is_none(mmsearch: Mmsearch, own: Path) -> None:
    for damaged in (b"\xff{", b"[1]", b'{"1": "zz"}', b'{"1": 5}'):
        (own / "last-result").write_bytes(damaged)
        done = mmsearch("search", "--like", "1", library=own)
        assert done.code == 2
        assert "The last search has no hit 1" in done.err
