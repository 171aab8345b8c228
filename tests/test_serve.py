"""`mmsearch serve`: search over HTTP, by a real server that is a process of its own."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch
from made_videos import write_film
from pdf_writer import text_page, written
from PIL import Image
from serving import Reply, Server, running

from mmsearch import Library
from mmsearch.server.rest.pages import Pages

pytest.importorskip("starlette", reason="the serve extra is not installed")
jsonschema = pytest.importorskip("jsonschema")

RED, BLUE = (210, 30, 30), (20, 40, 200)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A library of photographs, notes, a paper and a film. Tests do not change it."""
    folder = tmp_path_factory.mktemp("served")
    home = Path(shutil.copytree(photos, folder / "home"))
    (home / "paper.pdf").write_bytes(written([text_page("The first page", "of a paper"), text_page("Ships sail")]))
    write_film(home / "film.mp4", [(Image.new("RGB", (192, 128), RED), 4.0), (Image.new("RGB", (192, 128), BLUE), 4.0)])
    (home / "page.html").write_text("<html><script>alert(1)</script><p>A web page about lighthouses</p></html>")
    with Library(folder / "library") as opened:
        opened.index([home])
    return folder / "library"


@pytest.fixture(scope="module")
def server(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(library, "--root-path", "/photos", cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


@pytest.fixture(scope="module")
def schemas(server: Server) -> Any:
    return server.get("openapi.json").json


def check(schemas: Any, reply: Reply, name: str) -> Any:
    """The answer, which is as the API's description says."""
    assert reply.status == 200, reply.body
    schema = {"$ref": f"#/components/schemas/{name}", "components": schemas["components"]}
    jsonschema.Draft202012Validator(schema).validate(reply.json)
    return reply.json


def size_of(jpeg: bytes) -> tuple[int, int]:
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.format == "JPEG"
    return picture.size


def test_a_search_answers_as_the_command_does(server: Server, schemas: Any, library: Path, mmsearch: Mmsearch) -> None:
    answer = check(schemas, server.get("search", q="a cup of coffee", limit=3), "SearchResult")
    printed = mmsearch("search", "a cup of coffee", "--limit", "3", "--json", library=library).json
    hits = [{name: value for name, value in hit.items() if name != "thumb"} for hit in answer["hits"]]
    assert hits == printed["hits"]
    assert {**answer, "hits": [], "elapsed_ms": 0, "cursor": None} == {
        **printed, "hits": [], "elapsed_ms": 0, "cursor": None
    }  # fmt: skip
    sent = check(schemas, server.send("search", {"q": "a cup of coffee", "limit": 3}), "SearchResult")
    assert sent["hits"] == answer["hits"]


def test_without_a_query_files_are_listed(server: Server, schemas: Any, library: Path, mmsearch: Mmsearch) -> None:
    answer = check(schemas, server.get("search", type="image", ext="png", sort="name"), "FileList")
    printed = mmsearch("search", "--type", "image", "--ext", "png", "--sort", "name", "--json", library=library).json
    assert [hit["path"] for hit in answer["hits"]][:10] == [hit["path"] for hit in printed["hits"]][:10]
    assert answer["total"] == printed["total"]
    everything = check(schemas, server.get("search"), "FileList")
    assert everything["total"] == 21
    assert check(schemas, server.get("search", in_="/nowhere"), "FileList")["total"] == 0


def test_terms_are_those_of_the_command(server: Server, schemas: Any) -> None:
    answer = check(schemas, server.get("search", q=["2:red car + at night", "rain"], not_="snow"), "SearchResult")
    assert answer["query"]["terms"] == [
        {"text": "red car", "weight": 2.0},
        {"text": "at night", "weight": 1.0},
        {"text": "rain", "weight": 1.0},
        {"text": "snow", "weight": -0.5},
    ]
    nothing = check(schemas, server.get("search", q="wqjv bnkz"), "SearchResult")
    assert nothing["hits"] == []
    assert nothing["nearest"]["thumb"]


@pytest.mark.parametrize("parameters", [{"q": "photo of something", "min_score": 0}, {"sort": "name"}])
def test_pages_are_turned_by_the_cursor(server: Server, schemas: Any, parameters: dict[str, Any]) -> None:
    name = "SearchResult" if "q" in parameters else "FileList"
    whole = check(schemas, server.get("search", limit=500, **parameters), name)
    assert whole["cursor"] is None
    seen, cursor = [], None
    while True:
        page = {**parameters, **({"cursor": cursor} if cursor else {})}
        answer = check(schemas, server.get("search", limit=7, **page), name)
        seen += [hit["path"] for hit in answer["hits"]]
        cursor = answer["cursor"]
        if cursor is None:
            break
    assert seen == [hit["path"] for hit in whole["hits"]]
    other = server.get("search", limit=7, q="something else", cursor=server.get("search", limit=1).json["cursor"])
    assert (other.status, other.code) == (400, "invalid")
    assert server.get("search", cursor="MS4").status == 400


def test_a_tag_saves_the_same_answer(server: Server) -> None:
    first = server.get("search", q="a cat")
    again = server.get("search", {"If-None-Match": first.headers["etag"]}, q="a cat")
    assert (again.status, again.body) == (304, b"")
    assert server.get("search", {"If-None-Match": first.headers["etag"]}, q="a dog").status == 200


def test_hits_are_shown_at_their_place(server: Server) -> None:
    hits = server.get("search", q="ships sail", type="document").json["hits"]
    assert hits[0]["page"] == 2
    assert hits[0]["thumb"].startswith("/photos/api/v1/files/")
    first = server.get(hits[0]["thumb"].removeprefix("/photos"))
    assert max(size_of(first.body)) == 320
    assert "immutable" in first.headers["cache-control"]
    film = server.get("search", q="a blue wall", type="video", min_score=0).json["hits"][0]
    picture = Image.open(io.BytesIO(server.get(film["thumb"]).body)).convert("RGB")
    from_to = film["time"]
    red, _, blue = picture.getpixel((20, 20))  # type: ignore[misc]
    assert (blue > red) == (from_to[0] >= 4)
    assert server.get("search", type="text").json["hits"][0]["thumb"] is None


def test_a_file_is_had_by_its_id(server: Server, schemas: Any) -> None:
    cat, paper = server.id_of("cat.png"), server.id_of("paper.pdf")
    facts = check(schemas, server.get(f"files/{cat}"), "StoredFile")
    assert (facts["width"], facts["type"]) == (451, "image")
    alike = check(schemas, server.get(f"files/{cat}/similar", limit=4), "SearchResult")
    assert len(alike["hits"]) == 4
    assert cat not in [hit["id"] for hit in alike["hits"]]
    assert server.get("files/%20/similar").status == 400
    assert server.get(f"files/{'0' * 32}/similar").status == 404
    passages = check(schemas, server.get(f"files/{paper}/passages", page=2), "Passages")
    assert "Ships" in passages["passages"][0]["text"]
    assert max(size_of(server.get(f"files/{paper}/page/2", side=600).body)) == 600
    assert max(size_of(server.get(f"files/{cat}/thumb", side=64).body)) == 64
    film = server.id_of("film.mp4")
    assert size_of(server.get(f"files/{film}/frame", time=5).body) == (192, 128)
    assert server.get(f"files/{film}/frame").status == 400
    assert server.get(f"files/{paper}/page/9").status == 400
    assert server.get(f"files/{server.id_of('tax.txt')}/thumb").status == 422
    assert server.get(f"files/{'0' * 32}").status == 404
    assert server.get("files/..%2f..%2fetc%2fpasswd").status == 404
    assert server.get("files/cat.png").status == 400
    tag = server.get(f"files/{cat}/thumb").headers["etag"]
    assert server.get(f"files/{cat}/thumb", {"If-None-Match": tag}).status == 304


def test_why_a_file_answers_is_told_and_drawn(server: Server, schemas: Any) -> None:
    called = server.id_of("coffee.png")
    told = check(schemas, server.get(f"files/{called}/explain", q="a cup of coffee"), "Explained")
    assert "image" in {one["channel"] for one in told["channels"]}
    assert "coffee" in [one["word"] for one in told["words"]]
    assert told["heat"]["maps"][0]["term"] == "a cup of coffee"
    drawn = server.get(f"files/{called}/explain", q="a cup of coffee", form="png")
    assert Image.open(io.BytesIO(drawn.body)).format == "PNG"
    assert server.get(f"files/{called}/explain").status == 400
    assert server.get("files/3/explain", q="a cup of coffee").status == 400


def test_an_original_comes_whole_or_in_ranges(server: Server, photos: Path) -> None:
    content = (photos / "photos" / "cat.png").read_bytes()
    path = f"files/{server.id_of('cat.png')}/original"
    whole = server.get(path)
    assert whole.body == content
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"] == "inline; filename*=UTF-8''cat.png"
    for asked, start, end in [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, None),
        ("bytes=-10", len(content) - 10, None),
    ]:
        part = server.get(path, {"Range": asked})
        assert part.status == 206
        assert part.body == content[start:end]
        last = (end or len(content)) - 1
        assert part.headers["content-range"] == f"bytes {start}-{last}/{len(content)}"
    assert server.get(path, {"Range": f"bytes={len(content)}-"}).status == 416
    assert server.get(path, {"Range": "bytes=0-9", "If-Range": '"another"'}).body == content
    assert server.get(path, {"Range": "bytes=0-1,5-6"}).body == content
    assert server.ask("HEAD", f"/api/v1/{path}").body == b""


def test_what_a_browser_could_run_is_handed_over_as_a_file(server: Server) -> None:
    for name in ("page.html", "paper.pdf"):
        reply = server.get(f"files/{server.id_of(name)}/original")
        assert reply.headers["content-disposition"].startswith("attachment;")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in reply.headers["content-security-policy"]
        assert "html" not in reply.headers["content-type"]


def test_a_picture_is_uploaded_and_searched_with_again(server: Server, schemas: Any, photos: Path) -> None:
    picture = (photos / "photos" / "rocket.jpg").read_bytes()
    reply = server.upload(picture, limit="2")
    answer = check(schemas, reply, "SearchResult")
    assert answer["hits"][0]["path"].endswith("rocket.jpg")
    assert answer["query"]["terms"] == [{"image": answer["upload"], "weight": 1.0}]
    again = check(schemas, server.get("search", image=f"0.5:{answer['upload']}", q="a cat", limit=2), "SearchResult")
    assert again["query"]["terms"][1] == {"image": answer["upload"], "weight": 0.5}
    assert server.get("search", image="u" + "0" * 32).status == 404
    by_id = check(schemas, server.get("search", image=server.id_of("rocket.jpg"), limit=2), "SearchResult")
    assert by_id["query"]["like"] == [server.id_of("rocket.jpg")]


def test_what_makes_no_sense_is_said(server: Server, schemas: Any) -> None:
    for parameters in (
        {"quarry": "x"}, {"limit": 501}, {"limit": "many"}, {"limit": [1, 2]}, {"sort": "size"}, {"type": "film"},
        {"after": "2020", "before": "2019"}, {"in": "photos"}, {"min_score": 2, "q": "x"}, {"min_score": 0.5},
        {"like": "nobody"}, {"not": "a cat"}, {"q": "a\0b"}, {"lang": "xx", "q": "x"}, {"limit": "nan"},
    ):  # fmt: skip
        reply = server.get("search", **parameters)
        assert (reply.status, reply.code) == (400, "invalid"), parameters
        schema = {"$ref": "#/components/schemas/Error", "components": schemas["components"]}
        jsonschema.Draft202012Validator(schema).validate(reply.json)
        error = reply.json["error"]
        code = error["link"].rpartition("/")[2]
        assert schemas["x-errors"][code]["status"] == reply.status
    assert server.send("search", ["q"]).status == 400
    assert server.send("search", {"q": {"a": 1}}).status == 400
    assert server.ask("POST", "/api/v1/search", b"{", {"Content-Type": "application/json"}).status == 400
    assert server.ask("POST", "/api/v1/search", b"q=x").status == 400
    assert server.get("nothing").code == "not_found"
    assert server.ask("DELETE", "/api/v1/search").status == 405


def test_it_says_what_it_holds_and_that_it_runs(server: Server, schemas: Any) -> None:
    held = check(schemas, server.get("status"), "Status")
    assert held["may_index"] is False
    assert server.get("/health", {"Authorization": None}).json == {"status": "ok"}
    assert server.get("/photos/health", {"Authorization": None}).json == {"status": "ok"}


def test_the_description_tells_of_every_path(schemas: Any) -> None:
    from mmsearch.server.rest.application import API, routes

    served = {
        (route.path.removeprefix(API), method)
        for route in routes()
        for method in route.methods or ()
        if route.path.startswith(API) and method != "HEAD"
    }
    described = {(path, method.upper()) for path, methods in schemas["paths"].items() for method in methods}
    assert served == described


def test_the_page_is_files_of_one_folder(tmp_path: Path) -> None:
    from starlette.requests import Request

    from mmsearch.server.rest.problems import Problem

    (tmp_path / "index.html").write_text("<!doctype html>" + " " * 5_000)
    (tmp_path / "app.js").write_text("export {}")
    (tmp_path / "notes.md").write_text("not for the page")
    (tmp_path / ".hidden.js").write_text("")
    (tmp_path / "more").mkdir()
    pages = Pages(str(tmp_path))

    def asked(name: str, **headers: str) -> Any:
        raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        return pages.response(Request({"type": "http", "headers": raw}), name)

    script = asked("app.js")
    assert script.body == b"export {}"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert asked("app.js", if_none_match=script.headers["etag"]).status_code == 304
    packed = asked("index.html", accept_encoding="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < 500
    for name in ("notes.md", ".hidden.js", "more", "../serving.py", "nothing.js"):
        with pytest.raises(Problem):
            asked(name)


def test_it_answers_at_the_state_that_another_process_has_made(tmp_path: Path, photos: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(photos / "photos" / "cat.png", home)
    with Library(tmp_path / "library") as opened:
        opened.index(home)
    with running(tmp_path / "library") as server:
        first = server.get("search", limit=1, q="coffee", min_score=0)
        shutil.copy(photos / "photos" / "coffee.png", home)
        shutil.copy(photos / "photos" / "moon.png", home)
        with Library(tmp_path / "library") as opened:
            opened.index()
        changed = server.get("search", {"If-None-Match": first.headers["etag"]}, limit=1, q="coffee", min_score=0)
        assert changed.json["hits"][0]["path"].endswith("coffee.png")
        assert changed.json["total"] == 3
        assert server.get("search", limit=1).json["cursor"]
        cursor = changed.json["cursor"]
        with Library(tmp_path / "library") as opened:
            opened.forget(home / "moon.png")
        gone = server.get("search", limit=1, q="coffee", min_score=0, cursor=cursor)
        assert (gone.status, gone.code) == (410, "gone")


@pytest.mark.parametrize(
    "number", [number for name in ("SIGTERM", "SIGINT", "SIGHUP") if (number := getattr(signal, name, None))]
)
def test_a_signal_ends_it_in_good_order(library: Path, number: int) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("who started the tests has it ignored, as nohup does, and the server leaves it so")
    with running(library) as server:
        server.get("search", q="a cat")
        assert server.end(number) == (0, "")


def test_answers_are_not_held_back_on_their_way() -> None:
    """The delay of small packets, 40 ms an answer, is turned off by asyncio where a connection says its protocol."""
    import socket

    from mmsearch.server.rest.running import listening

    with listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


@pytest.mark.slow
def test_what_cannot_be_served_is_said(mmsearch: Mmsearch, library: Path, tmp_path: Path) -> None:
    none = mmsearch("serve", "--no-open", library=tmp_path / "none")
    assert none.code == 2
    assert "mmsearch index" in none.err
    with running(library) as server:
        taken = mmsearch("serve", "--no-open", "--port", str(server.port), library=library)
    assert taken.code == 2
    assert "choose another one with --port" in taken.err
    for options, words in [
        (("--host", "0.0.0.0"), "--token-file"),
        (("--root-path", "photos"), "/photos"),
        (("--cors", "*"), "origin"),
        (("--token-file", str(tmp_path / "no")), "does not exist"),
    ]:
        done = mmsearch("serve", "--no-open", *options, library=library)
        assert (done.code, done.out) == (2, "")
        assert words in done.err


def test_a_plain_installation_is_told_of_the_extra(library: Path, tmp_path: Path) -> None:
    import os
    import sys

    (tmp_path / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "serve", "--no-open", "--library", str(library)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[serve]" in done.stderr
    assert json.dumps(done.stdout) == '""'
