"""Photos of last summer are asked for as people say it: by a filter; and a query that says so is told of that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NOTES, Answer, Mmsearch, run_mmsearch
from library_places import Places
from mcp_talk import talk
from PIL import Image, ImageOps
from serving import Server, running

from mmsearch import Filters, Library, Query, Term, connect, parse_period

SUMMER = parse_period("last summer")
assert SUMMER.after is not None and SUMMER.before is not None
BOUNDS = {"after": SUMMER.after.isoformat(), "before": SUMMER.before.isoformat()}
# When each file was made.
DAYS = {
    "cat.jpg": SUMMER.after.date() + timedelta(days=40),
    "old cat.jpg": date(2020, 1, 15),
    "coffee.md": date(2019, 7, 14),
    "kitten.txt": date(1995, 5, 6),
    "tax.txt": date.today() - timedelta(days=1),
}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos of a cat and three notes, each of its day. Tests do not change it."""
    import skimage

    folder = tmp_path_factory.mktemp("when") / "album"
    folder.mkdir()
    with Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png") as picture:
        cat = picture.convert("RGB")
        cat.info.clear()  # and the day on which it was taken
    cat.save(folder / "cat.jpg")
    ImageOps.mirror(cat).save(folder / "old cat.jpg")
    for name, day in DAYS.items():
        if name in NOTES:
            (folder / name).write_text(NOTES[name], encoding="utf-8")
        moment = datetime.combine(day, time(12)).timestamp()
        os.utime(folder / name, (moment, moment))
    return folder


@pytest.fixture(scope="module")
def indexed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library folder of `album`. Tests do not change it."""
    folder = tmp_path_factory.mktemp("when_library") / "library"
    with Library(folder) as library:
        library.index(album)
    return folder


def names(answer: Any) -> list[str]:
    return sorted(os.path.basename(hit["path"]) for hit in answer["hits"])


@pytest.mark.parametrize(
    ("period", "found"),
    [
        ("last summer", ["cat.jpg"]),
        ("july 2019", ["coffee.md"]),
        ("winter 2019", ["old cat.jpg"]),
        ("2019..2020", ["coffee.md", "old cat.jpg"]),
        ("1990s", ["kitten.txt"]),
        ("yesterday", ["tax.txt"]),
        ("last 2 days", ["tax.txt"]),
        ("Juli 2019", ["coffee.md"]),
        ("before 2000", ["kitten.txt"]),
        ("after july 2019", ["cat.jpg", "old cat.jpg", "tax.txt"]),
        ("until winter 2019", ["coffee.md", "kitten.txt", "old cat.jpg"]),
        ("seit 2020", ["cat.jpg", "old cat.jpg", "tax.txt"]),
        ("next week", []),
    ],
)
def test_a_person_says_when(mmsearch: Mmsearch, indexed: Path, period: str, found: list[str]) -> None:
    listed = mmsearch("search", "--when", period, "--json", library=indexed)
    assert names(listed.json) == found
    meant = parse_period(period)
    bounds = {name: one.isoformat() for name, one in (("after", meant.after), ("before", meant.before)) if one}
    assert listed.json["filters"] == bounds
    searched = mmsearch("search", "a cat", "--when", period, "--min-score", "0", "--json", library=indexed)
    assert names(searched.json) == found
    assert searched.json["query"]["filters"] == bounds
    assert searched.json["period"] is None


def test_words_are_told_as_dates_and_numbers_are_not(mmsearch: Mmsearch, indexed: Path) -> None:
    asked = ("search", "--paths", "--when")
    assert mmsearch(*asked, "winter 2019", library=indexed).err == "mmsearch: winter 2019 is 2019-12 to 2020-02.\n"
    assert mmsearch(*asked, "2019-07", library=indexed).err == ""
    assert mmsearch("-q", *asked, "winter 2019", library=indexed).err == ""


def test_other_dates_narrow_a_period(mmsearch: Mmsearch, indexed: Path) -> None:
    both = mmsearch(
        "search", "--when", "2019..2020", "--after", "july 2019", "--before", "2020", "--json", library=indexed
    )
    assert names(both.json) == ["coffee.md"]
    assert both.json["filters"] == {"after": "2019-07-01T00:00:00", "before": "2020-01-01T00:00:00"}
    none = mmsearch("search", "--when", "2019", "--after", "2020", library=indexed)
    assert (none.code, none.out) == (2, "")
    assert none.err == "mmsearch: No time of --when, which is 2019, passes --after; leave one of them out.\n"


@pytest.mark.parametrize("command", [["search", "a cat"], ["search"], ["duplicates"], ["clusters"], ["label", "cat"]])
def test_what_is_no_period_is_refused_everywhere(mmsearch: Mmsearch, indexed: Path, command: list[str]) -> None:
    done = mmsearch(*command, "--when", "soon", library=indexed)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mmsearch: 'soon' is no period; write it as 2019, 2019-07, july 2019, ")
    assert done.err.count("\n") == 1


def test_all_commands_that_choose_files_take_it(mmsearch: Mmsearch, indexed: Path) -> None:
    label = mmsearch("label", "cat", "dog", "--when", "last summer", "--json", library=indexed).json
    assert [os.path.basename(photo["path"]) for photo in label["photos"]] == ["cat.jpg"]
    clusters = mmsearch("clusters", "--when", "last summer", "--json", library=indexed).json
    duplicates = mmsearch("duplicates", "--when", "last summer", "--json", library=indexed)
    assert duplicates.code == 1
    assert label["filters"] == clusters["filters"] == duplicates.json["filters"] == BOUNDS


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("a cat last summer", f'--when "last summer" chooses by date (1 file of {SUMMER.dates})'),
        ("a cat in 2019..2020", '--when "2019..2020" chooses by date (2 files of 2019 to 2020)'),
        ("yesterday", f'--when "yesterday" chooses by date (1 file of {DAYS["tax.txt"]})'),
        ("eine Katze im Juli 2019", '--when "Juli 2019" chooses by date (1 file of 2019-07)'),
    ],
)
def test_a_query_that_says_when_is_told_how_to_choose_by_it(
    mmsearch: Mmsearch, indexed: Path, query: str, note: str
) -> None:
    asked = ("search", query, "--min-score", "0")
    done = mmsearch(*asked, library=indexed)
    assert f"mmsearch: {note}\n" in done.err
    assert len(done.out.splitlines()) == len(DAYS)  # nothing was left out
    assert "chooses by date" not in mmsearch("-q", *asked, library=indexed).err
    assert "chooses by date" not in mmsearch(*asked, "--json", library=indexed).err
    assert "chooses by date" not in mmsearch(*asked, "--paths", library=indexed).err


@pytest.mark.parametrize(
    "options",
    [
        ["a cat in summer"],  # which is no date
        ["a cat in 1987"],  # of which there is nothing
        ["a cat last summer", "--type", "text"],
        ["a cat last summer", "--after", "2001"],  # who knows of dates
        ['"cat last summer"'],  # what stands in quotation marks is meant so
        ["a cat", "--not", "last summer"],
    ],
)
def test_where_no_date_is_to_be_had_nothing_is_said(mmsearch: Mmsearch, indexed: Path, options: list[str]) -> None:
    done = mmsearch("search", *options, "--min-score", "0", "--json", library=indexed)
    assert done.json["period"] is None


def test_json_tells_of_the_period_that_a_query_names(mmsearch: Mmsearch, indexed: Path) -> None:
    named = mmsearch("search", "a cat last summer", "--json", library=indexed).json["period"]
    assert named == {
        "when": "last summer",
        **BOUNDS,
        "files": 1,
        "typed": "a cat last summer",
        "text": "a cat",
    }


def test_who_types_on_has_files_counted_once_a_state(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes through all files for that."""
    from mmsearch.store.sqlite.store import SqliteStore

    counted: list[Filters] = []
    list_files = SqliteStore.list_files

    def counting(store: SqliteStore, model_ids: Any, filters: Filters, listing: Any) -> Any:
        counted.append(filters)
        return list_files(store, model_ids, filters, listing)

    monkeypatch.setattr(SqliteStore, "list_files", counting)
    with Library(tmp_path / "library") as library:
        library.index(album)
        with library.session() as session:
            for text in ("a cat", "a c last summer", "a ca last summer", "a cat last summer"):
                session.search(text)
            assert len(counted) == 1
            (tmp_path / "more.txt").write_text("A note about cats.")
            library.index(tmp_path / "more.txt")
            assert session.search("a cat last summer").period is not None
            assert len(counted) == 2


def test_any_library_chooses_by_it(places: Places, album: Path) -> None:
    location = places.new()

    def run(*arguments: str) -> Answer:
        return run_mmsearch(*arguments, library=location)

    with Library(location) as library:
        library.index(album)
        summer = Filters(after=SUMMER.after, before=SUMMER.before)
        assert [os.path.basename(one.path) for one in library.list_files(summer).hits] == ["cat.jpg"]
        found = library.search(Query((Term("text", "a cat without a dog last summer"),), min_score=0))
        assert found.total == len(DAYS) and found.period is not None
        assert (found.period.when, found.period.files, found.period.text) == ("last summer", 1, "a cat without a dog")
    assert names(run("search", "a cat", "--when", "winter 2019", "--json").json) == ["old cat.jpg"]
    assert names(run("search", "--when", "july 2019", "--json").json) == ["coffee.md"]
    assert "(1 file of 2019-07)" in run("search", "coffee july 2019").err


@pytest.fixture(scope="module")
def server(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("starlette", reason="the serve extra is not installed")
    with running(indexed, cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


def test_programs_ask_a_server_so(server: Server) -> None:
    assert names(server.get("search", when="last summer").json) == ["cat.jpg"]
    found = server.get("search", q="a cat", min_score=0, when="2019..2020", before="2020").json
    assert names(found) == ["coffee.md"]
    assert found["query"]["filters"] == {"after": "2019-01-01T00:00:00", "before": "2020-01-01T00:00:00"}
    assert server.get("facets", when="winter 2019").json["total"] == 1
    assert server.get("duplicates", when="winter 2019").json["total"] == 0
    assert server.get("search", q="a cat last summer").json["period"]["text"] == "a cat"
    reply = server.get("search", when="soon")
    assert (reply.status, reply.code) == (400, "invalid")
    assert "'soon' is no period" in reply.json["error"]["message"]
    reply = server.get("search", when="2019", after="2020")
    assert (reply.status, reply.code) == (400, "invalid")
    assert reply.json["error"]["message"].startswith("No time of `when`, which is 2019, passes `after`")


def test_a_page_goes_on_however_its_period_is_said(server: Server) -> None:
    first = server.get("search", when="2019..2020", limit=1).json
    rest = server.get("search", after="2019", before="2021", limit=1, cursor=first["cursor"]).json
    assert names(first) + names(rest) == ["old cat.jpg", "coffee.md"]
    reply = server.get("search", when="2019", limit=1, cursor=first["cursor"])
    assert "`cursor` is of another search" in reply.json["error"]["message"]


def test_yesterday_is_another_answer_tomorrow(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kept an answer is not told that it is still the same."""
    pytest.importorskip("starlette", reason="the serve extra is not installed")
    from mmsearch.searching import periods
    from mmsearch.server.rest import asking, searching
    from mmsearch.server.rest.uploads import Uploads

    class Tomorrow(date):
        @classmethod
        def today(cls) -> Tomorrow:
            return cls(2031, 5, 6)

    def tag(**given: str) -> str:
        with Library(indexed) as library, library.session() as session, closing(Uploads()) as uploads:
            asked = asking.asked_of({name: (value,) for name, value in given.items()}, uploads)
            return searching._tag(session.mark(), asked)

    asked = ({"when": "yesterday"}, {"when": "2019"}, {"q": "a cat yesterday"})
    today = [tag(**one) for one in asked]
    monkeypatch.setattr(periods, "date", Tomorrow)
    monkeypatch.setattr(searching, "date", Tomorrow)
    later = [tag(**one) for one in asked]
    assert [one == other for one, other in zip(today, later, strict=True)] == [False, True, False]


def test_a_client_has_it_from_the_server(server: Server, indexed: Path) -> None:
    with connect(server.address) as client, Library(indexed) as library:
        found = client.search("a cat last summer")
        assert found.period == library.search("a cat last summer").period
        assert found.period is not None and found.period.after == SUMMER.after
        chosen = client.list_files(Filters(after=found.period.after, before=found.period.before))
        assert [os.path.basename(one.path) for one in chosen.hits] == ["cat.jpg"]
    done = run_mmsearch("search", "--when", "winter 2019", "--server", server.address, "--json", library=indexed)
    assert names(done.json) == ["old cat.jpg"]
    done = run_mmsearch("search", "a cat last summer", "--server", server.address, library=indexed)
    assert '--when "last summer" chooses by date (1 file of ' in done.err


def test_an_assistant_says_when(indexed: Path) -> None:
    with talk(indexed) as assistant:
        found = assistant.call("search", query="a cat", when="last summer", min_score=0)["structuredContent"]
        assert names(found) == ["cat.jpg"]
        assert found["query"]["filters"]["after"] == BOUNDS["after"]
        assert names(assistant.call("search", when="2019..2020")["structuredContent"]) == ["coffee.md", "old cat.jpg"]
        assert assistant.call("duplicates", when="last week")["structuredContent"]["total"] == 0
        named = assistant.call("search", query="a cat last summer")["structuredContent"]["period"]
        assert (named["when"], named["files"]) == ("last summer", 1)
        assert "'soon' is no period; write it as 2019" in assistant.fault("search", when="soon")
