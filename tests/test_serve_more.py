"""`mmsearch serve`: what files have in common, duplicates, archives, runs of index, and what changes meanwhile."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zipfile import ZipFile

import pytest
from conftest import run_mmsearch
from serving import Server, running

from mmsearch import Library
from mmsearch.cli.remedies import in_words

pytest.importorskip("starlette", reason="the serve extra is not installed")
jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Server]:
    """Photographs and notes, some of them twice. Tests do not change them."""
    folder = tmp_path_factory.mktemp("served")
    home = Path(shutil.copytree(photos, folder / "home"))
    (home / "more").mkdir()
    shutil.copy(home / "photos" / "cat.png", home / "more" / "cat again.png")
    (home / "more" / "tax.txt").write_text("Another text of the same name, about lighthouses.\n")
    with Library(folder / "library") as library:
        library.index([home])
    with running(folder / "library") as one:
        yield one


@pytest.fixture
def own(tmp_path: Path, photos: Path) -> Path:
    """A folder with one photo, and beside it its library."""
    (tmp_path / "home").mkdir()
    shutil.copy(photos / "photos" / "cat.png", tmp_path / "home")
    with Library(tmp_path / "library") as library:
        library.index(tmp_path / "home")
    return tmp_path


def check(server: Server, answer: Any, name: str) -> Any:
    described = server.get("openapi.json").json
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer)
    return answer


def test_what_files_have_in_common_is_counted(server: Server) -> None:
    all_files = check(server, server.get("facets").json, "Facets")
    listed = server.get("search", limit=500).json
    assert all_files["total"] == listed["total"] == len(listed["hits"])
    months = [one["value"] for one in all_files["months"]]
    assert months == sorted(months, reverse=True)
    wanted = {(hit["taken"] or hit["modified"])[:7] for hit in listed["hits"]}
    assert set(months) == wanted
    types = {one["value"]: one["count"] for one in all_files["types"]}
    assert types == {"image": 14, "text": 5}
    assert {one["value"] for one in all_files["cameras"]} == {hit["camera"] for hit in listed["hits"]} - {None}
    assert [one["count"] for one in all_files["folders"]] == sorted(
        (one["count"] for one in all_files["folders"]), reverse=True
    )
    for one in all_files["folders"]:
        assert server.get("search", in_=one["value"], limit=500).json["total"] >= one["count"]
    some = server.get("facets", type="text")
    assert [one["value"] for one in some.json["extensions"]] == [".txt", ".md", ".py"]
    assert server.get("facets", {"If-None-Match": some.headers["etag"]}, type="text").status == 304
    found = server.get("search", q="a cat", limit=500).json
    assert check(server, server.get("facets", q="a cat").json, "Facets")["total"] == found["total"]
    assert server.get("facets", colour="red").status == 400


def test_duplicates_come_in_pages(server: Server) -> None:
    first = check(server, server.get("duplicates", limit=1).json, "Duplicates")
    assert first["groups"][0]["class"] == "bytes"
    assert [file["keep"] for file in first["groups"][0]["files"]] == [True, False]
    assert first["groups"][0]["files"][0]["thumb"].startswith("/api/v1/files/")
    seen, cursor = 1, first["cursor"]
    while cursor:
        page = server.get("duplicates", limit=1, cursor=cursor).json
        seen, cursor = seen + len(page["groups"]), page["cursor"]
    assert seen == first["total"]
    assert server.get("duplicates", class_="bytes").json["total"] == 1
    assert server.get("duplicates", class_="names").status == 400


def test_some_files_come_in_one_archive(server: Server, photos: Path) -> None:
    texts = [hit["id"] for hit in server.get("search", type="text", limit=500).json["hits"]]
    reply = server.send("zip", {"ids": [*texts, server.id_of("coffee.png")]})
    assert reply.headers["content-type"] == "application/zip"
    with ZipFile(io.BytesIO(reply.body)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"tax.txt", "tax (2).txt", "coffee.md"} <= set(names)
        assert len(names) == len(set(names)) == len(texts) + 1
        assert archive.read("coffee.md") == (photos / "notes" / "coffee.md").read_bytes()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = server.ask("POST", "/api/v1/zip", urlencode([("ids", one) for one in texts[:2]]).encode(), form)
    assert len(ZipFile(io.BytesIO(sent.body)).namelist()) == 2
    assert server.send("zip", {"ids": ["0" * 32]}).status == 404
    assert server.send("zip", {"ids": ["/etc/passwd"]}).status == 400
    assert server.send("zip", {"ids": []}).status == 400


def test_an_archive_says_what_it_has_left_out(own: Path) -> None:
    (own / "home" / "note.txt").write_text("A note about lighthouses")
    with Library(own / "library") as library:
        library.index()
    with running(own / "library") as server:
        ids = [hit["id"] for hit in server.get("search").json["hits"]]
        (own / "home" / "note.txt").write_text("A secret of other people")
        with ZipFile(io.BytesIO(server.send("zip", {"ids": ids}).body)) as archive:
            assert set(archive.namelist()) == {"cat.png", "LEFT OUT.txt"}
            assert b"changed since it was indexed" in archive.read("LEFT OUT.txt")


def test_a_run_of_index_is_started_only_where_that_is_allowed(server: Server) -> None:
    assert (server.send("index", {}).status, server.send("index", {}).code) == (403, "refused")
    assert server.get("jobs/1").status == 404


def events_of(server: Server) -> Iterator[tuple[str, Any]]:
    """The events that the server sends, one after the other, once it has greeted who listens."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {server.token}"})
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    assert answer.readline() == b": mmsearch\n"

    def events() -> Iterator[tuple[str, Any]]:
        name = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                yield name, json.loads(line[6:])

    return events()


def test_a_run_of_index_is_followed_and_what_is_new_is_found(own: Path, photos: Path) -> None:
    with ThreadPoolExecutor(1) as threads, running(own / "library", "--allow-index") as server:
        events = events_of(server)
        heard = threads.submit(lambda: until(events, "library"))
        shutil.copy(photos / "photos" / "coffee.png", own / "home")
        begun = server.send("index", {})
        assert begun.status == 202
        check(server, begun.json, "Job")
        told = heard.result(timeout=120)
        assert ("job", begun.json["job"]) in [(name, data.get("job")) for name, data in told]
        assert told[-1][1]["state"] > 0
        job = ended(server, begun.json["job"])
        assert (job["state"], job["report"]["added"]) == ("done", 1)
        assert server.get("search").json["total"] == 2
        assert server.send("index", {"paths": [str(own / "home")]}).status == 202
        (own / "home" / "link").symlink_to("/etc")
        for path in ("/etc", str(own / "home" / "link")):
            elsewhere = server.send("index", {"paths": [path]})
            assert (elsewhere.status, elsewhere.code) == (403, "refused")
        assert server.end() == (0, "")


def test_who_listens_is_told_of_what_changes_as_soon_as_it_was_greeted(own: Path, photos: Path) -> None:
    from mmsearch.server.rest.served import Served
    from mmsearch.server.rest.settings import ServeSettings, new_token

    with Library(own / "library") as library, library.session() as session:

        async def listen() -> None:
            served = Served(library, session, ServeSettings(new_token()), in_words)
            events = served.events.listened(())
            assert await anext(events) == ": mmsearch\n\n"
            shutil.copy(photos / "photos" / "coffee.png", own / "home")
            library.index()
            assert "event: library" in await asyncio.wait_for(anext(events), 60)
            served.close()

        asyncio.run(listen())


def test_who_looks_at_an_empty_library_is_told_of_its_first_photos(tmp_path: Path, photos: Path) -> None:
    library = tmp_path / "library"
    with ThreadPoolExecutor(1) as threads, running(library, "--allow-index") as server:
        events = events_of(server)
        heard = threads.submit(lambda: until(events, "library"))
        assert server.get("search").code == "not_found"
        assert run_mmsearch("index", photos / "photos", library=library).code == 0
        told = heard.result(timeout=120)
        assert told[-1][1]["state"] >= 0
        assert server.get("search").json["total"] > 0


@pytest.mark.parametrize("breaks_off", [False, True])
def test_a_server_ends_without_a_word_whoever_is_still_sending(own: Path, breaks_off: bool) -> None:
    with running(own / "library") as server, socket.create_connection(("127.0.0.1", server.port)) as slow:
        lines = [
            "POST /api/v1/search HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            f"Authorization: Bearer {server.token}",
            "Content-Type: application/json",
            "Content-Length: 100",
            "Expect: 100-continue",
        ]
        slow.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b"100 Continue" in slow.recv(1_000)  # the server waits for the rest
        if breaks_off:
            slow.close()
            assert server.get("status").status == 200
        assert server.end() == (0, "")


@pytest.mark.parametrize(
    ("request_line", "head", "body"),
    [
        ("POST /api/v1/search", "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 4", b"{{{{"),
        ("POST /api/v1/search", "Content-Type: application/json\r\nTransfer-Encoding: chunked", b"ZZZ\r\n"),
        ("POST /nothing", "Transfer-Encoding: chunked", b"ZZZ\r\n"),
        ("GET /api/v1/events", "Transfer-Encoding: chunked", b"ZZZ\r\n"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_no_request_ends_without_a_word(
    own: Path, request_line: str, head: str, body: bytes, at_once: bool
) -> None:
    with running(own / "library") as server, socket.create_connection(("127.0.0.1", server.port)) as sender:
        sent = f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        if at_once:
            sender.sendall(f"{sent}{head}\r\n\r\n".encode() + body)
        else:
            sender.sendall(f"{sent}{head}\r\n\r\n".encode())
            assert server.get("status").status == 200
            sender.sendall(body)
        assert sender.recv(1_000).startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
        assert server.get("status").status == 200
        assert server.end() == (0, "")


def until(events: Iterator[tuple[str, Any]], wanted: str) -> list[tuple[str, Any]]:
    found = []
    for name, data in events:
        found.append((name, data))
        if name == wanted:
            break
    return found


def ended(server: Server, called: str) -> Any:
    """The job, once it has ended."""
    while True:
        job = check(server, server.get(f"jobs/{called}").json, "Job")
        if job["state"] != "running":
            return job
        time.sleep(0.2)


def test_a_run_of_index_is_stopped(own: Path, photos: Path) -> None:
    for number in range(300):
        shutil.copy(photos / "notes" / "tax.txt", own / "home" / f"{number}.txt")
        with open(own / "home" / f"{number}.txt", "a") as file:
            file.write(f"number {number}")
    with running(own / "library", "--allow-index") as server:
        called = server.send("index", {}).json["job"]
        assert server.send("index", {}).code == "busy"
        stopped = server.ask("DELETE", f"/api/v1/jobs/{called}")
        assert stopped.json["state"] == "stopped"
        assert server.get(f"jobs/{called}").json["state"] == "stopped"
        assert server.send("index", {}).status == 202
        assert server.end() == (0, "")
    with Library(own / "library") as library:
        assert library.care.examine().sound


def test_monitors_are_told_what_goes_on(server: Server) -> None:
    asked: dict[str, Any] = {"q": "lighthouses", "min_score": 0, "type": "image"}
    found = server.get("search", **asked)
    server.get("search", {"If-None-Match": found.headers["etag"]}, **asked)
    server.get("search", limit="x")
    server.get("search", after="1990", before="1991")
    for _ in range(2):
        server.get("facets", q="lighthouses")
        server.ask("GET", found.json["hits"][0]["thumb"])
    text = server.get("metrics").body.decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    values = {name: float(value) for name, _, value in lines}
    for name in (
        *(f'mmsearch_searches_total{{outcome="{one}"}}' for one in ("hits", "none", "unchanged", "refused")),
        *(f'mmsearch_cache_total{{cache="{one}",outcome="hit"}}' for one in ("facets", "thumbnails")),
        'mmsearch_turns_total{queue="search"}',
        'mmsearch_turn_seconds_total{queue="search",stage="working"}',
    ):
        assert values[name] > 0, name
    assert 'mmsearch_requests_total{endpoint="/search",status="400"}' in text
    assert 'mmsearch_request_seconds_bucket{endpoint="/search",le="+Inf"}' in text
    assert 'mmsearch_files{type="image"} 15' in text
    assert "mmsearch_roots_offline 0" in text
    assert "lighthouses" not in text
    assert server.get("metrics", {"Authorization": None}).status == 401


def test_answers_are_right_while_the_library_is_written(own: Path, photos: Path) -> None:
    """Sixteen who ask, all the while files come and go: every answer is one of a state that the library was at."""
    names = ["coffee.png", "moon.png", "coins.png"]
    with running(own / "library") as server, ThreadPoolExecutor(17) as threads:

        def change() -> None:
            with Library(own / "library") as library:
                for name in names:
                    shutil.copy(photos / "photos" / name, own / "home")
                    library.index()
                for name in names:
                    library.forget(own / "home" / name)
                library.care.compact()

        changing = threads.submit(change)

        def ask(number: int) -> set[int]:
            seen: set[int] = set()
            while not changing.done() or not seen:
                reply = server.get("search", q="a photo", min_score=0)
                assert reply.status == 200, reply.body
                found = [Path(hit["path"]).name for hit in reply.json["hits"]]
                assert "cat.png" in found
                assert len(found) == len(set(found)) == reply.json["total"]
                seen.add(len(found))
                assert server.get("facets").status == 200
            return seen

        asking = [threads.submit(ask, number) for number in range(16)]
        changing.result()
        seen = set.union(*(one.result() for one in asking))
        assert len(seen) > 1
        assert server.get("search", q="a photo", min_score=0).json["total"] == 1
        assert server.end() == (0, "")


def test_with_watch_new_files_are_found_by_themselves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "boats.txt").write_text("A note about boats.")
    with Library(tmp_path / "library") as opened:
        opened.index([home])
    with running(tmp_path / "library", "--watch", cache=tmp_path / "cache") as server:
        (home / "whales.txt").write_text("A note about whales.")
        deadline = time.monotonic() + 90
        while not server.get("search", q='"whales"').json["hits"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        code, said = server.end()
    assert code == 0
    assert "watching 1 folder" in said
