"""A library that is served elsewhere, asked by `mmsearch.connect`: it answers as the library itself does."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import refused
from serving import Server, running

from mmsearch import (
    Client,
    Filters,
    Library,
    Near,
    PassagePlace,
    Query,
    Refused,
    Term,
    Unavailable,
    Unsupported,
    connect,
)
from mmsearch.client import connection
from mmsearch.output.json import document
from mmsearch.searching.details import parse_places
from mmsearch.searching.query import image_term, text_term, text_terms

pytest.importorskip("starlette", reason="the serve extra is not installed")


@pytest.fixture(scope="module")
def server(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(indexed, "--root-path", "/photos", cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with connect(server.address) as one:
        yield one


@pytest.fixture(scope="module")
def own(indexed: Path) -> Iterator[Library]:
    """The same library, opened here."""
    with Library(indexed) as one:
        yield one


def told(result: Any) -> dict[str, Any]:
    """What is printed of a result, but for the time that it took."""
    return {name: value for name, value in document(result).items() if name != "elapsed_ms"}


def query(*texts: str, **more: Any) -> Query:
    return Query(tuple(term for text in texts for term in text_terms(text)), **more)


QUERIES = {
    "a text": query("a cup of coffee"),
    "three hits": query("a cat", limit=3),
    "the next page": query("a cat", limit=2, offset=2, min_score=0.0),
    "all of it": query("an animal", limit=100, min_score=0.0),
    "two terms": query("a cat", "2.5:milk"),
    "without": query("a drink without coffee"),
    "not": Query((*text_terms("a drink"), text_term("coffee", -1), text_term("0.3:tea", -1))),
    "a phrase": query('"income tax"'),
    "a phrase with +": query('"quick + slow" numbers'),
    "no such thing": query("xqzzv kkwq"),
    "a word nearly": query("kittens basket mlik"),
    "German": query("eine Katze", language="de"),
    "German by its words": query("eine Tasse Kaffee und ein Kuchen"),
    "a day that it names": query("a cat today"),
    "a day in German": query("eine Katze gestern"),
    "a time of day": query("1:10:30 train"),
    "letters of all kinds": query("naïve 猫 \U0001f408 & ? % = # ;"),
    "a line break": query("a cat\nwith milk"),
    "a tiny weight": Query((*text_terms("a cat"), Term("text", "a dog", 1e-7))),
    "by date": query("a cat", sort="date", min_score=0.0),
    "by name": query("a cat", sort="name", min_score=0.0),
    "by similarity": query("a cat", sort="similarity"),
    "in folders": query("a cat", group="folder", min_score=0.0),
    "drawn": query("a cat", random=2**64 - 1, limit=4, min_score=0.0),
    "photos": query("a cat", filters=Filters(medium="image")),
    "extensions": query("a cat", filters=Filters(extensions=(".md", ".txt"))),
    "times": query("a cat", filters=Filters(after=datetime(1990, 1, 1), before=datetime(2090, 5, 31, 18, 0, 0, 5))),
    "near": query("a cat", filters=Filters(near=Near(38.7, -9.1, 5.5, "Lisbon, Portugal"))),
    "a place": query("a cat", filters=Filters(places=parse_places("Munich"))),
    "what photos say": query("a cat", filters=Filters(camera="eos", lens="50mm", rating=3, keywords=("a", "b c"))),
    "lengths": query("a cat", filters=Filters(longer=1.5, shorter=90.25)),
    "no such folder": query("a cat", filters=Filters(folders=(b"/no/such/f\xffolder",), not_folders=(b"/x",))),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_server_answers_a_query_as_the_library_does(client: Client, own: Library, name: str) -> None:
    answer, expected = client.search(QUERIES[name]), own.search(QUERIES[name])
    assert told(answer) == told(expected)
    assert answer.query == expected.query
    assert type(answer.hits) is tuple


def test_there_is_something_to_compare(own: Library) -> None:
    found = {name: len(own.search(one).hits) for name, one in QUERIES.items()}
    assert sum(count > 0 for count in found.values()) > 20
    read = own.search(QUERIES["German"]).query.terms[0].read_as
    assert read is not None
    assert read.language == "de"


def test_a_text_that_may_be_a_name_is_read_alike(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "Doctors without Borders.txt").write_text("A list of numbers.")
    with Library(tmp_path / "library") as own:
        own.index([tmp_path / "notes"])
        with running(tmp_path / "library", cache=tmp_path / "cache") as server, connect(server.address) as client:
            for asked in (query("2:Doctors without Borders", "a street, no cars"), query("doctors without bears")):
                answer, expected = client.search(asked), own.search(asked)
                assert (told(answer), answer.query) == (told(expected), expected.query)
                assert client.search(answer.query).query == answer.query


def test_a_text_is_a_query(client: Client, own: Library) -> None:
    assert told(client.search("2:a street without cars")) == told(own.search("2:a street without cars"))


def test_more_and_less_like_hits(client: Client, own: Library) -> None:
    first, second, *_ = own.search("a cat").hits
    for asked in (Query((), like=(first.id,)), query("a photo", like=(first.id,), unlike=(second.id,))):
        assert told(client.search(asked)) == told(own.search(asked))


@pytest.mark.parametrize(
    "page", [{}, {"sort": "name"}, {"limit": 2, "offset": 3}, {"random": 7}, {"group": "folder", "limit": 50}]
)
def test_files_are_listed_alike(client: Client, own: Library, photos: Path, page: dict[str, Any]) -> None:
    for filters in (None, Filters(medium="text"), Filters(folders=(os.fsencode(photos / "photos"),))):
        assert told(client.list_files(filters, **page)) == told(own.list_files(filters, **page))


def test_a_file_its_text_and_its_picture(client: Client, own: Library) -> None:
    cat = next(hit for hit in own.search("a cat").hits if hit.path.endswith("cat.png"))
    tax = next(hit for hit in own.search("income tax").hits if hit.path.endswith("tax.txt"))
    assert client.file(cat.id) == own.file(cat.id)
    assert client.passages(tax.id) == own.passages(tax.id)
    assert client.passages(tax.id, PassagePlace(line=2)) == own.passages(tax.id, PassagePlace(line=2))
    assert client.thumbnail(cat.id, 64) == own.thumbnail(cat.id, 64)
    with refused("no text on page 9"):
        client.passages(tax.id, PassagePlace(page=9))
    with refused("Nothing in the library has the id"):
        client.file("0" * 32)


def test_what_the_library_holds(client: Client, own: Library) -> None:
    assert replace(client.status(), bytes=0) == replace(own.status(), bytes=0)


def test_duplicates_are_those_of_the_library(server: Server, client: Client, own: Library) -> None:
    if b'/duplicates"' not in server.get("openapi.json").body:
        pytest.skip("this server has no path for duplicates")
    for filters in (Filters(), Filters(medium="image")):
        assert told(client.duplicates(filters)) == told(own.duplicates(filters))
        assert told(client.duplicates(filters, classes=["bytes"])) == told(own.duplicates(filters, classes=["bytes"]))


def test_duplicates_come_in_several_answers() -> None:
    asked: list[str] = []

    def page(one: Stand) -> None:
        asked.append(one.path)
        file = {
            "path": "/a.jpg", "keep": True, "id": "0" * 32, "type": "image", "similarity": 1, "width": 1, "height": 1,
            "bytes": 9, "modified": "2024-01-01T00:00:00+00:00", "taken": None, "available": True, "thumb": "/t",
        }  # fmt: skip
        answer = {
            "schema_version": 1, "library": "/l", "model": "m", "filters": {}, "classes": ["bytes"], "elapsed_ms": 2.5,
            "total": 2, "not_compared": 0, "groups": [{"class": "bytes", "why": "older", "bytes": 9, "files": [file]}],
            "cursor": None if "cursor=next" in one.path else "next",
        }  # fmt: skip
        whole(200, json.dumps(answer).encode())(one)

    with standing(page) as client:
        found = client.duplicates(Filters(folders=(b"/f\xff",)), classes=["bytes"])
        assert [group.kind for group in found.groups] == ["bytes", "bytes"]
        assert found.groups[0].files[0].keep
        assert len(client.duplicates(limit=1).groups) == 1
    assert "class=bytes&in=%2Ff%FF&limit=500" in asked[0]
    assert len(asked) == 3


def test_a_server_that_finds_no_duplicates_says_so() -> None:
    def older(one: Stand) -> None:
        is_page = one.path.endswith("openapi.json")
        whole(200 if is_page else 404, b'{"paths": {"/search": {}}}' if is_page else error("not_found"))(one)

    with standing(older) as client, pytest.raises(Unsupported, match="install a newer mmsearch there"):
        client.duplicates()


def test_pictures_that_are_files_here_are_uploaded(client: Client, own: Library, photos: Path) -> None:
    """The server makes them small first, so that scores differ a little."""
    cat, coffee = (str(photos / "photos" / name) for name in ("cat.png", "coffee.png"))
    for terms in (
        (image_term(cat),),
        (*text_terms("a drink"), image_term(f"0.5:{cat}"), image_term(coffee)),
        (image_term(cat), image_term(f"2:{coffee}"), text_term("milk", -1)),
    ):
        asked = Query(terms, min_score=0.0, limit=100)
        answer, expected = client.search(asked), own.search(asked)
        similarities = {hit.path: hit.similarity for hit in expected.hits}
        found = {hit.path: hit.similarity for hit in answer.hits if hit.path in similarities}
        assert len(found) > 14
        assert found == pytest.approx({path: similarities[path] for path in found}, abs=0.05)
        assert answer.query == expected.query


def test_hits_are_called_by_rank_path_and_id(client: Client, photos: Path, server: Server) -> None:
    result = client.search("a cat")
    client.keep_result(result)
    for called in (str(result.hits[1].rank), result.hits[1].path, result.hits[1].id):
        assert client.id_called(called) == result.hits[1].id
        with connect(f"{client.address}/?token={server.token}") as another:
            assert another.id_called(called) == result.hits[1].id
    with refused("The last search has no hit 4000"):
        client.id_called("4000")
    with refused("The library has no file"):
        client.id_called(photos)
    assert client.holds(photos / "photos")
    assert not client.holds("/no/such/folder")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (query("a cat", copies=True), "leave copies out"),
        (Query((Term("text", "a street without cars"),)), "as something else"),
        (Query((Term("text", "red car + night"),)), "as something else"),
        (Query((Term("text", "red car +"),)), "as something else"),
        (Query((*text_terms("a cat"), Term("image", "/a.png", -1.0))), "keeps away from no picture"),
        (query("a cat", filters=Filters(places=("Rome", "Oslo"))), "takes one place"),
    ],
)
def test_what_a_server_cannot_be_asked_is_refused(client: Client, asked: Query, sentence: str) -> None:
    with pytest.raises(Unsupported, match=sentence):
        client.search(asked)


def test_the_errors_of_the_server_are_those_of_the_library(client: Client, tmp_path: Path) -> None:
    with refused("`limit` is 5000; it must be 1 to 500"):
        client.search(query("a cat", limit=5000))
    (tmp_path / "x.png").write_text("no picture")
    with refused("The picture cannot be read"):
        client.search(Query((Term("image", str(tmp_path / "x.png")),)))
    (tmp_path / "y.png").write_bytes(bytes(30_000_001))
    with refused("more than the 30,000,000 bytes"):
        client.search(Query((Term("image", str(tmp_path / "y.png")),)))


def test_only_who_has_the_token_is_answered(server: Server, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(client.address, "a-wrong-token-of-many-letters") as wrong:
        with pytest.raises(Refused, match="does not take that token") as raised:
            wrong.status()
        assert "a-wrong-token" not in f"{raised.value!r} {vars(wrong)}"
    with refused("has no token in it"):
        connect(client.address)
    monkeypatch.setenv("MMSEARCH_TOKEN", server.token)
    with connect(client.address) as one:
        assert one.list_files(limit=1).total > 0
    with connect(f"{client.address}/?token={server.token}", "a-wrong-token-of-many-letters") as wrong, refused("token"):
        wrong.list_files()


@pytest.mark.parametrize(
    "written",
    ["", "127.0.0.1:8000", "ftp://x/?token=secret", "http://", "http://x:port/?token=secret",
     "http://me:secret@x/?token=a", "http://x y/?token=secret", "http://[x/?token=secret"],
)  # fmt: skip
def test_what_is_no_address_is_said_without_its_token(written: str) -> None:
    with refused("^(?!.*secret).*is written as http://127.0.0.1:8000"):
        connect(written)


class Stand(BaseHTTPRequestHandler):
    """Answers all requests with what `reply` writes."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.reply(self)  # type: ignore[attr-defined]

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


def whole(status: int, body: bytes, **headers: str) -> Any:
    def reply(one: Stand) -> None:
        one.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            one.send_header(name, value)
        one.end_headers()
        one.wfile.write(body)

    return reply


@contextmanager
def standing(reply: Any, seconds: float = 30.0) -> Iterator[Client]:
    """A client of a server that answers so."""
    server = HTTPServer(("127.0.0.1", 0), Stand)
    server.reply = reply  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with connect(f"http://127.0.0.1:{server.server_port}/?token=secret", seconds=seconds) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "It is so."}}).encode()


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (whole(200, b'{"schema_version": 2}'), "by version 2 of the JSON, and 1 is known here"),
        (whole(200, b"<html>"), "is no JSON"),
        (whole(200, b"[" * 100_000), "is no JSON"),
        (whole(200, b"[]"), "no `schema_version`"),
        (whole(200, b'{"schema_version": 1}'), "`query.terms` are not those"),
        (whole(200, b'{"schema_version": 1, "query": {"terms": [{}]}, "model": 3}'), "`model` is of another type"),
        (whole(200, b'{"schema_version": 1, "query": {"terms": [{}]}, "model": "m"}'), "`library` is lacking"),
        (whole(200, b"{", **{"Content-Length": "99", "Connection": "close"}), "was cut off"),
        (whole(302, b"", Location="http://127.0.0.1:1/"), "leads to another address"),
        (whole(502, b"Bad Gateway"), "the status 502"),
        (whole(503, error("overloaded")), "It is so"),
        (whole(500, error("a code of later days")), "It is so"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(reply: Any, sentence: str) -> None:
    with standing(reply) as client, refused(sentence):
        client.search("a cat")


def test_a_newer_server_may_say_more_and_an_older_one_less() -> None:
    hit = {
        "rank": 1, "id": "0" * 32, "path": "/a\udcff.jpg", "type": "hologram", "width": None, "height": 3, "bytes": 4,
        "modified": "2024-01-01T00:00:00+00:00", "taken": None, "available": True, "smell": {"of": ["roses"]},
    }  # fmt: skip
    answer = {
        "schema_version": 1, "sort": "mood", "library": "/l", "elapsed_ms": 1, "total": 1, "offset": 0, "hits": [hit],
        "later": 1,
    }  # fmt: skip
    with standing(whole(200, json.dumps(answer).encode())) as client:
        listed = client.list_files()
    assert os.fsencode(listed.hits[0].path) == b"/a\xff.jpg"
    assert (listed.hits[0].type, listed.hits[0].copies, listed.elapsed_ms) == ("hologram", (), 1.0)


def test_a_huge_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_ANSWER_BYTES", 1000)
    with standing(whole(200, b" " * 1001)) as client, refused("more than 1,000 bytes"):
        client.search("a cat")


def test_a_server_that_takes_too_long_is_given_up() -> None:
    over = threading.Event()

    def drop_by_drop(one: Stand) -> None:
        one.send_response(200)
        one.send_header("Content-Length", "1000000")
        one.end_headers()
        with suppress(OSError):  # the client has gone
            while not over.wait(0.01):
                one.wfile.write(b" ")

    for reply in (lambda one: over.wait(), drop_by_drop):
        over.clear()
        with standing(reply, seconds=0.5) as client:
            try:
                with refused("has not answered within 0.5 seconds"):
                    client.search("a cat")
            finally:
                over.set()


def test_a_server_that_is_not_there_or_gone(indexed: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        with connect(nobody, "secret") as client, refused(rf"No server answers at {nobody}.*start it with"):
            client.search("a cat")
    with running(indexed, cache=tmp_path) as server, connect(server.address) as client:
        assert client.search("a cat").hits
        server.end()
        with pytest.raises(Unavailable, match="No server answers"):
            client.search("a cat")


def test_a_connection_that_the_server_has_closed_is_made_anew() -> None:
    asked: list[float] = []

    def once(one: Stand) -> None:
        asked.append(time.monotonic())
        whole(200, b'{"schema_version": 2}')(one)
        one.close_connection = True  # without a word

    with standing(once) as client:
        for _ in range(3):
            with refused("version 2"):
                client.search("a cat")
    assert len(asked) == 3


def test_neither_proxies_nor_redirects_are_followed(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with connect(server.address) as one:
        assert told(one.list_files()) == told(client.list_files())
