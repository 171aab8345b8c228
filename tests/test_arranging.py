"""A person looks at what was found in another order, under headings, without some folders, or at a few of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Mmsearch, refused
from PIL import Image
from terminal import printed_on_a_terminal, seen

from mmsearch import Filters, Library, Query, Scan, Term
from mmsearch.output.table import print_table

EVERYTHING = Query((Term("text", "a cup of coffee"),), min_score=0, limit=50)
DAYS = {"north/red.png": 1, "north/blue.png": 2, "south/green.png": 1, "south/deep/grey.png": 3, "note.txt": 2}


@pytest.fixture(scope="module")
def travels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures and a note of three days, with its library beside it. Tests do not change it."""
    from datetime import datetime

    folder = tmp_path_factory.mktemp("travels")
    for name, day in DAYS.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("A list of colours: red, green and blue.")
        else:
            Image.new("RGB", (300, 300), path.stem).save(path)
        moment = datetime(2021, 5, day, 12).timestamp()
        os.utime(path, (moment, moment))
    with Library(folder / "library") as library:
        library.index(folder / "files")
    return folder


def names(paths: list[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


# Not in


@pytest.mark.parametrize("scan", ["exact", "codes", "graph"])
def test_what_lies_in_a_folder_is_left_out_before_the_ranking(indexed: Path, photos: Path, scan: Scan) -> None:
    notes = (os.fsencode(photos / "notes"),)
    with Library(indexed) as library:
        library_hits = library.search(EVERYTHING, scan="exact").hits
        query = Query(EVERYTHING.terms, Filters(not_folders=notes), min_score=0, limit=50)
        found = library.search(query, scan=scan)
        expected = [hit.path for hit in library_hits if not hit.path.startswith(str(photos / "notes"))]
        assert [hit.path for hit in found.hits] == expected
        assert len(expected) == found.total == 14
        few = Query(EVERYTHING.terms, Filters(not_folders=notes), min_score=0, limit=3)
        assert [hit.path for hit in library.search(few, scan=scan).hits] == expected[:3]
        within = Filters(folders=(os.fsencode(photos),), not_folders=notes, extensions=(".jpg",))
        by_both = library.search(Query(EVERYTHING.terms, within, min_score=0, limit=50), scan=scan).hits
        assert [hit.path for hit in by_both] == [path for path in expected if path.endswith(".jpg")]


def test_folders_are_left_out_by_name_and_by_pattern(mmsearch: Mmsearch, travels: Path) -> None:
    library, files = travels / "library", travels / "files"
    done = mmsearch("search", "--not-in", files / "south", "--not-in", f"{files}/n*h", "--json", library=library)
    assert names([hit["path"] for hit in done.json["hits"]]) == ["note.txt"]
    assert done.json["filters"] == {"not_in": [str(files / "south"), str(files / "north")]}
    assert done.json["total"] == 1
    done = mmsearch("search", "--not-in", files / "south" / "deep", "--sort", "name", "--paths", library=library)
    assert names(done.out.splitlines()) == ["blue.png", "red.png", "note.txt", "green.png"]


def test_a_folder_that_is_nowhere_is_said_and_one_that_is_not_indexed_takes_nothing_away(
    mmsearch: Mmsearch, travels: Path, tmp_path: Path
) -> None:
    done = mmsearch("search", "--not-in", tmp_path / "none", library=travels / "library")
    assert done.code == 2
    assert "check the path given to --not-in" in done.err
    done = mmsearch(
        "search", "a colour", "--min-score", "0", "--not-in", tmp_path, "--json", library=travels / "library"
    )
    assert done.json["total"] == 5


# Order and groups


def test_hits_are_ordered_by_their_cosine(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch(
        *("search", "a cup of coffee", "--min-score", "0", "-n", "18", "--sort", "similarity", "--json"),
        library=indexed,
    )
    similarities = [hit["similarity"] for hit in done.json["hits"]]
    assert similarities == sorted(similarities, reverse=True)
    assert [hit["rank"] for hit in done.json["hits"]] != sorted(hit["rank"] for hit in done.json["hits"])
    _, printed = printed_on_a_terminal("search", "a cup of coffee", "--sort", "similarity", library=indexed)
    assert seen(printed).line(0).split() == ["#", "score", "similarity", "file"]


def test_a_cosine_of_nearly_nothing_is_no_negative_nought(travels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Library(travels / "library") as library:
        result = library.search(replace(EVERYTHING, sort="similarity", limit=1))
    print_table(replace(result, hits=(replace(result.hits[0], similarity=-0.001),)), verbose=True, with_moments=False)
    shown = capsys.readouterr().out
    assert "similarity 0.00" in shown and "-0.00" not in shown


def test_groups_stand_where_their_best_hits_do(travels: Path) -> None:
    with Library(travels / "library") as library:
        plain = library.search(Query(EVERYTHING.terms, min_score=0)).hits
        grouped = library.search(Query(EVERYTHING.terms, min_score=0, group="folder")).hits
    folders = list(dict.fromkeys(os.path.dirname(hit.path) for hit in plain))
    assert list(dict.fromkeys(hit.group for hit in grouped)) == folders
    assert [hit.rank for hit in grouped] == [
        hit.rank for folder in folders for hit in plain if os.path.dirname(hit.path) == folder
    ]
    assert all(hit.group is None for hit in plain)


def test_a_list_is_grouped_by_day(mmsearch: Mmsearch, travels: Path) -> None:
    done = mmsearch("search", "--sort", "name", "--group", "day", "--json", library=travels / "library")
    assert [(hit["group"], os.path.basename(hit["path"])) for hit in done.json["hits"]] == [
        ("2021-05-02", "blue.png"),
        ("2021-05-02", "note.txt"),
        ("2021-05-01", "red.png"),
        ("2021-05-01", "green.png"),
        ("2021-05-03", "grey.png"),
    ]


def test_headings_stand_above_the_groups_on_a_terminal_and_not_in_a_pipe(mmsearch: Mmsearch, travels: Path) -> None:
    library = travels / "library"
    _, printed = printed_on_a_terminal("search", "--sort", "name", "--group", "day", library=library)
    lines = [line for line in seen(printed).text().splitlines() if line.strip()]
    assert [line for line in lines if line.startswith("2021")] == ["2021-05-02", "2021-05-01", "2021-05-03"]
    assert [line.rsplit("/", 1)[1] for line in lines if line.endswith(("png", "txt"))] == [
        "blue.png", "note.txt", "red.png", "green.png", "grey.png",
    ]  # fmt: skip
    done = mmsearch("search", "--sort", "name", "--group", "day", library=library)
    assert [len(line.split("\t")) for line in done.out.splitlines()] == [3] * 5


def test_photos_are_grouped_by_place_and_those_without_one_stand_together(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name, (north, west) in {"a": (38.72, 9.14), "b": (0, 0), "c": (38.73, 9.15), "d": (0, 0)}.items():
        exif = Image.Exif()
        if north:
            exif.get_ifd(0x8825).update({1: "N", 2: (north, 0.0, 0.0), 3: "W", 4: (west, 0.0, 0.0)})
        Image.new("RGB", (300, 300), (ord(name), 0, 0)).save(home / f"{name}.jpg", exif=exif)
    with Library(tmp_path / "library") as library:
        library.index(home)
        hits = library.list_files(sort="name", group="place").hits
    assert [(hit.group, os.path.basename(hit.path)) for hit in hits] == [
        ("Lisbon, Portugal", "a.jpg"),
        ("Lisbon, Portugal", "c.jpg"),
        (None, "b.jpg"),
        (None, "d.jpg"),
    ]


def test_a_contact_sheet_has_the_headings(mmsearch: Mmsearch, travels: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    arguments = ("--sort", "name", "--group", "folder", "--contact-sheet", sheet)
    assert mmsearch("search", *arguments, library=travels / "library").code == 0
    markup = sheet.read_text(encoding="utf-8")
    headings = [part.partition("</h2>")[0].partition(">")[2] for part in markup.split("<h2")[1:]]
    files = travels / "files"
    assert headings == [str(files / "north"), str(files), str(files / "south" / "deep"), str(files / "south")]


# At random


def test_a_draw_is_the_same_for_the_same_seed_and_no_page_of_it_repeats_another(travels: Path) -> None:
    with Library(travels / "library") as library:
        pages = [library.list_files(random=7, limit=2, offset=offset).hits for offset in (0, 2, 4)]
        assert library.list_files(random=7, limit=2).hits == pages[0]
        assert sorted(hit.path for page in pages for hit in page) == sorted(
            str(travels / "files" / name) for name in DAYS
        )
        assert [hit.rank for page in pages for hit in page] == [1, 2, 3, 4, 5]
        assert all(list(page) == sorted(page, key=lambda hit: hit.moment, reverse=True) for page in pages)
        drawn = {tuple(hit.path for hit in library.list_files(random=seed, limit=2).hits) for seed in range(30)}
    assert len(drawn) > 5


def test_each_file_is_drawn_as_often_as_another(travels: Path) -> None:
    with Library(travels / "library") as library:
        drawn = [library.list_files(random=seed, limit=1).hits[0].path for seed in range(300)]
    counts = {path: drawn.count(path) for path in set(drawn)}
    assert len(counts) == 5
    assert all(30 < count < 95 for count in counts.values())  # 60 is expected of each, with a deviation of 7


def test_hits_are_drawn_from_all_that_answer(indexed: Path) -> None:
    with Library(indexed) as library:
        every = library.search(EVERYTHING).hits
        rank_of = {hit.path: hit.rank for hit in every}
        drawn = [library.search(Query(EVERYTHING.terms, min_score=0, limit=3, random=seed)) for seed in range(20)]
        rest = [
            library.search(Query(EVERYTHING.terms, min_score=0, limit=6, offset=at, random=1)).hits for at in (0, 6, 12)
        ]
    assert {result.total for result in drawn} == {18}
    assert all(rank_of[hit.path] == hit.rank for result in drawn for hit in result.hits)
    assert all([hit.rank for hit in result.hits] == sorted(hit.rank for hit in result.hits) for result in drawn)
    assert len({hit.rank for result in drawn for hit in result.hits}) > 12
    assert sorted(hit.rank for page in rest for hit in page) == list(range(1, 19))


def test_a_draw_on_the_command_line_tells_its_seed(mmsearch: Mmsearch, travels: Path) -> None:
    library = travels / "library"
    first = mmsearch("search", "--random", "-n", "2", "--json", library=library)
    assert len(first.json["hits"]) == 2
    again = mmsearch("search", "--random", "--seed", str(first.json["random"]), "-n", "2", "--json", library=library)
    assert again.json["hits"] == first.json["hits"]
    done = mmsearch("search", "a colour", "--random", "--seed", "5", "--min-score", "0", "--json", library=library)
    assert done.json["query"]["random"] == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a cat", "--seed", "5"], "--seed says what --random draws"),
        (["--random", "--seed", "-1"], "must be 0 or more"),
        (["--type", "image", "--sort", "similarity"], "sort by date or name"),
    ],
)
def test_what_cannot_be_arranged_is_said(mmsearch: Mmsearch, indexed: Path, arguments: list[str], said: str) -> None:
    done = mmsearch("search", *arguments, library=indexed)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_there_is_no_other_group(indexed: Path) -> None:
    with Library(indexed) as library, refused("Nothing is grouped by 'size'"):
        library.list_files(group="size")  # type: ignore[arg-type]
