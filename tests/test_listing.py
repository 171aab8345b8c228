"""A person looks through files by filters alone, and orders what a search finds."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch, make_home, refused
from library_places import Places

from mmsearch import Filters, Library, Query, Term
from mmsearch.indexing.walking import WalkRules
from mmsearch.records import Listing
from mmsearch.searching import DEFAULT_LIMIT
from mmsearch.searching.query import Sort
from mmsearch.store.sqlite.store import SqliteStore

# The day of each file of `album`, in local time.
DAYS = {"cat.png": "2021-05-06", "again.png": "2019-01-02", "coffee.png": "2020-03-04", "coffee.md": "2022-07-08"}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures and notes of known days; `again.png` is a copy of the coffee. Tests do not change it."""
    folder = tmp_path_factory.mktemp("album") / "home"
    make_home(folder)
    (folder / "tax.txt").unlink()
    (folder / "again.png").write_bytes((folder / "coffee.png").read_bytes())
    for name in ("cat.png", "coffee.png", "again.png"):
        strip_dates(folder / name)
    for name, day in DAYS.items():
        year, month, number = (int(part) for part in day.split("-"))
        moment = local_noon(year, month, number)
        os.utime(folder / name, (moment, moment))
    return folder


def strip_dates(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        pixels = picture.convert("RGB")
    pixels.save(path)


def local_noon(year: int, month: int, day: int) -> float:
    from datetime import datetime

    return datetime(year, month, day, 12).timestamp()


@pytest.fixture(scope="module")
def listed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library folder of `album`. Tests do not change it."""
    folder = tmp_path_factory.mktemp("library")
    with Library(folder) as library:
        library.index(album)
    return folder


def names(paths: list[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


def test_filters_alone_list_files_the_newest_first(mmsearch: Mmsearch, listed: Path, album: Path) -> None:
    done = mmsearch("search", "--in", album, library=listed)
    assert done.code == 0
    assert [line.split("\t") for line in done.out.splitlines()] == [
        ["2022-07-08", "text", str(album / "coffee.md")],
        ["2021-05-06", "image", str(album / "cat.png")],
        ["2020-03-04", "image", str(album / "coffee.png")],
    ]


def test_files_are_listed_by_name_and_each_copy_where_that_is_asked(
    mmsearch: Mmsearch, listed: Path, album: Path
) -> None:
    done = mmsearch("search", "--sort", "name", "--type", "image", "--copies", "--paths", library=listed)
    assert names(done.out.splitlines()) == ["again.png", "cat.png", "coffee.png"]
    done = mmsearch("search", "--sort", "name", "--json", library=listed)
    first = done.json["hits"][0]
    assert names([first["path"]]) == ["again.png"]
    assert names(first["copies"]) == ["coffee.png"]
    assert done.json["total"] == 3


def test_a_list_as_json_has_just_these_fields(mmsearch: Mmsearch, listed: Path, album: Path) -> None:
    done = mmsearch("search", "--before", "2021", "--limit", "1", "--json", library=listed)
    assert set(done.json) == {
        "schema_version", "filters", "sort", "library", "elapsed_ms", "total", "offset", "hits", "random",
    }  # fmt: skip
    assert done.json["filters"] == {"before": "2021-01-01T00:00:00"}
    (hit,) = done.json["hits"]
    assert set(hit) == {
        "rank", "id", "path", "type", "width", "height", "bytes", "modified", "taken", "available", "copies",
        "camera", "lens", "focal_length", "iso", "latitude", "longitude", "place", "rating", "title", "keywords",
        "description", "companions", "archive", "member", "group",
    }  # fmt: skip
    assert (hit["rank"], hit["type"], hit["available"]) == (1, "image", True)


def test_pages_of_a_list_fit_together(listed: Path) -> None:
    with Library(listed) as library:
        pages = [library.list_files(limit=1, offset=offset, copies=True) for offset in range(4)]
    assert [os.path.basename(page.hits[0].path) for page in pages] == sorted(DAYS, key=lambda name: DAYS[name])[::-1]
    assert [(page.total, page.offset, page.hits[0].rank) for page in pages] == [(4, n, n + 1) for n in range(4)]


def test_who_pages_through_a_list_has_it_put_in_order_twice_and_not_for_each_page(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[Listing] = []
    in_order = SqliteStore.list_files

    def counted(store: SqliteStore, models: Sequence[int], filters: Filters, listing: Listing) -> Any:
        orders.append(listing)
        return in_order(store, models, filters, listing)

    monkeypatch.setattr(SqliteStore, "list_files", counted)
    monkeypatch.setattr("mmsearch.searching.listing.BLOCK", 2)
    library.index([home])
    with library.session() as session:
        whole = session.list_files(copies=True).hits
        for offset in range(4):
            for limit in (1, 2):
                page = session.list_files(limit=limit, offset=offset, copies=True)
                assert (page.hits, page.total) == (whole[offset : offset + limit], 4)
        assert [listing.limit for listing in orders] == [DEFAULT_LIMIT, 2, 2]
        (home / "newest.txt").write_text("A note about the sea.")
        library.index()
        newest = session.list_files(limit=1, copies=True)
        assert (os.path.basename(newest.hits[0].path), newest.total) == ("newest.txt", 5)


def test_what_was_taken_long_ago_is_old_whenever_it_was_copied(tmp_path: Path) -> None:
    from PIL import Image

    home = make_home(tmp_path / "home")
    exif = Image.Exif()
    exif[0x0132] = "2001:02:03 04:05:06"
    Image.new("RGB", (300, 300), "teal").save(home / "old.jpg", exif=exif)
    with Library(tmp_path / "library") as library:
        library.index(home)
        last = library.list_files().hits[-1]
        assert (os.path.basename(last.path), last.moment) == ("old.jpg", "2001-02-03T04:05:06")


def test_a_copy_that_is_there_stands_for_one_that_is_gone(album: Path, listed: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home / "zebra.png").write_bytes((home / "cat.png").read_bytes())
    with Library(tmp_path / "library") as library:
        library.index(home)
        (home / "cat.png").unlink()
        found = {os.path.basename(one.path): one for one in library.list_files(sort="name").hits}
        assert found["zebra.png"].available
        assert names(list(found["zebra.png"].copies)) == ["cat.png"]
        (home / "tax.txt").unlink()
        gone = next(one for one in library.list_files().hits if one.path.endswith("tax.txt"))
        assert not gone.available


def dated(path: Path, text: str, day: int) -> None:
    """A note of the day of May 2020, at noon."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (local_noon(2020, 5, day),) * 2)


def in_list(library: Library, by: Sort = "date", page: int = 100) -> list[tuple[str, int]]:
    """The names and days of a list, whose pages are asked for by sessions that know of no other one."""
    total = library.list_files(sort=by).total
    pages = [library.list_files(sort=by, limit=page, offset=at).hits for at in range(0, total, page)]
    return [(os.path.basename(one.path), int(one.moment[8:10])) for hits in pages for one in hits]


def test_a_list_is_in_the_order_of_the_copies_that_are_there(places: Places, tmp_path: Path) -> None:
    home, drive = tmp_path / "home", tmp_path / "drive"
    for day in range(10, 16):
        dated(home / f"own {day}.txt", f"A note about the sea, number {day}.", day)
    for number, text in enumerate(("The first of two copies.", "The second of two copies.")):
        dated(home / f"copied {number}.txt", text, 12 - number)
        dated(drive / "notes" / f"a copy {number}.txt", text, 20 + number)
    with Library(places.new()) as library:
        library.index([home, drive])
        with_drive = in_list(library)
        assert with_drive[:3] == [("a copy 1.txt", 21), ("a copy 0.txt", 20), ("own 15.txt", 15)]
        with library.session() as session:
            assert session.list_files(limit=1).hits[0].moment[:10] == "2020-05-21"
            (drive / "notes").rename(tmp_path / "unmounted")
            days = [int(session.list_files(limit=1, offset=at).hits[0].moment[8:10]) for at in range(8)]
            assert days == [15, 14, 13, 12, 12, 11, 11, 10]
            (tmp_path / "unmounted").rename(drive / "notes")
            assert session.list_files(limit=1, offset=1).hits[0].moment[:10] == "2020-05-20"
        (drive / "notes").rename(tmp_path / "unmounted")
        without = in_list(library)
        assert [day for _, day in without] == [15, 14, 13, 12, 12, 11, 11, 10]
        assert in_list(library, page=3) == in_list(library, page=1) == without
        by_name = in_list(library, "name", page=2)
        assert [name for name, _ in by_name] == [
            "copied 0.txt",
            "copied 1.txt",
            *(f"own {n}.txt" for n in range(10, 16)),
        ]


def test_a_list_is_in_order_when_most_copies_were_removed_one_by_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    count = 500
    for number in range(count):
        text, moment = f"Note {number:03d} of many, and of no other.", local_noon(2020, 5, 1) + 60 * number
        (home / "newer").mkdir(parents=True, exist_ok=True)
        (home / f"{number:03d}.txt").write_text(text)
        (home / "newer" / f"{number:03d}.txt").write_text(text)
        os.utime(home / f"{number:03d}.txt", (moment, moment))
        # Of the copies the order is the other way round.
        later = local_noon(2021, 5, 1) - 60 * number
        os.utime(home / "newer" / f"{number:03d}.txt", (later, later))
    with Library(tmp_path / "library") as library:
        library.index(home)
        for number in range(1, count):
            (home / "newer" / f"{number:03d}.txt").unlink()
        with library.session() as session:
            pages = [session.list_files(limit=20, offset=at).hits for at in range(0, count, 20)]
    found = [os.path.basename(one.path)[:3] for hits in pages for one in hits]
    assert found == ["000", *(f"{number:03d}" for number in range(count - 1, 0, -1))]


def test_a_file_has_its_place_in_a_list_and_not_that_of_its_copy_in_an_archive(tmp_path: Path) -> None:
    home = tmp_path / "home"
    dated(home / "own.txt", "A note about the sea.", 15)
    dated(home / "packed.txt", "A note about mountains.", 10)
    with zipfile.ZipFile(home / "old.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("packed.txt", (2020, 5, 20, 12, 0, 0)), "A note about mountains.")
    with Library(tmp_path / "library") as library:
        library.index(home, rules=WalkRules(archives=True))
        assert in_list(library) == [("own.txt", 15), ("packed.txt", 10)]
        (home / "packed.txt").unlink()
        assert in_list(library) == [("old.zip!packed.txt", 20), ("own.txt", 15)]


def test_the_hits_of_a_page_are_the_best_ones_in_another_order(listed: Path) -> None:
    query = Query((Term("text", "a cup of coffee"),), min_score=0, limit=2)
    with Library(listed) as library:
        best = library.search(query).hits
        by_date = library.search(Query(query.terms, min_score=0, limit=2, sort="date")).hits
        by_name = library.search(Query(query.terms, min_score=0, limit=2, sort="name")).hits
    assert names([hit.path for hit in by_date]) == ["coffee.md", "again.png"]  # of copies the first path
    assert [hit.path for hit in by_name] == sorted(hit.path for hit in best)
    assert {hit.rank for hit in by_date} == {hit.rank for hit in best} == {1, 2}


def test_a_list_on_a_terminal_has_a_date_and_no_score(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mmsearch.output.hits import Form, print_result

    with Library(listed) as library:
        print_result(library.list_files(), Form.TABLE)
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["#", "date", "file"]
    assert first.split()[:2] == ["1", "2022-07-08"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sort", "score"], "sort by date or name"),
        (["--type", "image", "--min-score", "0.1"], "leave out --min-score"),
        (
            ["--type", "image", "--model", "mmsearch-mini"],
            "leave out --min-score, --lang, --adapter, --model and --scan",
        ),
        (["--type", "image", "--limit", "0"], "must be 1 or more"),
        (["--type", "image", "--offset", str(2**63)], "no more than 1,000,000,000"),
        (["--in", ""], "An empty path names no folder"),
    ],
)
def test_what_a_list_cannot_have_is_said(mmsearch: Mmsearch, listed: Path, arguments: list[str], said: str) -> None:
    done = mmsearch("search", *arguments, library=listed)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_list_that_is_cut_off_says_so(mmsearch: Mmsearch, listed: Path) -> None:
    done = mmsearch("search", "--sort", "date", "--limit", "2", "--paths", library=listed)
    assert len(done.out.splitlines()) == 2
    assert done.err == "mmsearch: 2 of 3 files; -n N lists more, and --offset N goes on.\n"
    assert mmsearch("search", "--sort", "date", "--offset", "1", library=listed).err == ""
    done = mmsearch("search", "--sort", "date", "--offset", "5", library=listed)
    assert (done.code, done.err) == (1, "mmsearch: nothing found from there on; there are only 3.\n")


def test_files_of_one_second_are_in_order_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for number, name in enumerate(("b.txt", "a.txt", "c.txt")):
        (home / name).write_text(f"Note {number}.")
        os.utime(home / name, ns=(10**18 + number, 10**18 + number))
    with Library(tmp_path / "library") as library:
        library.index(home)
        assert names([one.path for one in library.list_files().hits]) == ["c.txt", "a.txt", "b.txt"]


def test_there_is_no_other_order(listed: Path) -> None:
    with Library(listed) as library, refused("Nothing is sorted by 'size'"):
        library.list_files(sort="size")  # type: ignore[arg-type]


def test_nothing_passes(mmsearch: Mmsearch, listed: Path) -> None:
    done = mmsearch("search", "--before", "1990", library=listed)
    assert (done.code, done.err) == (1, "mmsearch: nothing found: no file passes the filters.\n")


def test_there_is_no_list_of_an_empty_library(tmp_path: Path) -> None:
    with refused("no library"):
        Library(tmp_path / "none").list_files(Filters(medium="image"))
