"""An assistant searches the photos of the person that it works for, by the Model Context Protocol."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import json_page
import numpy as np
import pytest
from conftest import make_home, place_photographs, run_mmsearch
from mcp_talk import NEWEST, Talk, command, talk
from PIL import Image

from mmsearch import Library, __version__
from mmsearch.cli.remedies import in_words
from mmsearch.server.mcp import progress, serving
from mmsearch.server.mcp.answers import Call
from mmsearch.server.mcp.fitting import fitted
from mmsearch.server.mcp.messages import MOST_LINE_BYTES, lines_of, parsed, written
from mmsearch.server.mcp.tool import Tool
from mmsearch.server.opened_library import OpenedLibrary

MEGABYTE = 1_000_000
REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
TOOLS = {"search", "similar", "duplicates", "explain", "view", "status"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and notes, one of them twice, and beside it their library. Tests do not change them."""
    folder = tmp_path_factory.mktemp("asked")
    home = make_home(folder / "home")
    shutil.copy(home / "cat.png", home / "cat again.png")
    with Image.open(home / "coffee.png") as coffee:
        coffee.convert("RGB").resize((300, 200)).save(home / "small coffee.jpg", quality=90)
    with Library(folder / "library") as library:
        library.index(home)
    return folder


@pytest.fixture(scope="module")
def assistant(kept: Path) -> Iterator[Talk]:
    with talk(kept / "library") as spoken:
        yield spoken


@pytest.fixture
def own(kept: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A library and a folder of one's own, to be changed."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy2(kept / "home" / "cat.png", home / "cat.png")
    with Library(tmp_path / "library") as library:
        library.index(home)
    return tmp_path / "library", home


def picture_of(data: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    picture.load()
    assert picture.format == "JPEG"
    return picture


# In the first the client asks which versions there are, in the second it greets.
@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", NEWEST)])
def test_a_real_client_has_a_whole_session(kept: Path, mode: str, version: str) -> None:
    anyio = pytest.importorskip("anyio")
    mcp = pytest.importorskip("mcp", reason="the SDK of the protocol is not installed")

    async def session() -> None:
        server = mcp.StdioServerParameters(
            command=sys.executable,
            args=["-m", "mmsearch", "mcp", "--library", str(kept / "library")],
            env={**os.environ},
        )
        async with mcp.Client(server, mode=mode) as client:
            assert client.protocol_version == version
            assert client.server_info.name == "mmsearch"
            listed = (await client.list_tools()).tools
            assert {tool.name for tool in listed} == TOOLS
            assert all(tool.annotations.read_only_hint and tool.output_schema for tool in listed)

            found = await client.call_tool("search", {"query": "a cup of coffee", "type": "image", "thumbnails": True})
            hits = found.structured_content["hits"]
            assert json.loads(found.content[0].text) == found.structured_content
            assert os.path.basename(hits[0]["path"]) in ("coffee.png", "small coffee.jpg")
            shown = [picture_of(block.data) for block in found.content if block.type == "image"]
            assert [max(one.size) for one in shown] == [320 if hit["width"] > 320 else 300 for hit in hits]

            found = await client.call_tool("search", {"query": "a cat", "type": "image"})
            (cat,) = [hit for hit in found.structured_content["hits"] if "cat" in os.path.basename(hit["path"])]
            viewed = await client.call_tool("view", {"id": cat["id"], "side": 200})
            assert viewed.structured_content["path"] == cat["path"]
            assert picture_of(viewed.content[1].data).size == (200, 133)
            with Image.open(cat["path"]) as original:
                expected = np.asarray(original.convert("RGB").resize((200, 133)), float)
            assert np.abs(np.asarray(picture_of(viewed.content[1].data), float) - expected).mean() < 8

            coffee = next(hit for hit in hits if hit["path"].endswith("/coffee.png"))
            similar = (await client.call_tool("similar", {"id": coffee["id"]})).structured_content["hits"]
            assert os.path.basename(similar[0]["path"]) == "small coffee.jpg"

            why = await client.call_tool("explain", {"id": coffee["id"], "query": "a cup of coffee"})
            assert "coffee" in [one["word"] for one in why.structured_content["words"]]
            assert why.structured_content["heat"]["terms"][0] == "a cup of coffee"
            assert picture_of(next(block for block in why.content if block.type == "image").data).width > 300

            groups = (await client.call_tool("duplicates", {"class": ["bytes"]})).structured_content["groups"]
            assert [sorted(os.path.basename(file["path"]) for file in group["files"]) for group in groups] == [
                ["cat again.png", "cat.png"]
            ]
            status = (await client.call_tool("status")).structured_content
            assert status["files"] == {"image": 4, "text": 2}

            assert [str(one.uri) for one in (await client.list_resources()).resources] == ["mmsearch://status"]
            templates = (await client.list_resource_templates()).resource_templates
            assert [one.uri_template for one in templates] == ["mmsearch://file/{id}"]
            (told,) = (await client.read_resource("mmsearch://status")).contents
            assert json.loads(told.text)["files"] == status["files"]
            facts, picture = (await client.read_resource(f"mmsearch://file/{cat['id']}")).contents
            assert json.loads(facts.text)["path"] == cat["path"]
            assert picture_of(picture.blob).size == (451, 300)

            fault = await client.call_tool("view", {"id": "/etc/passwd"})
            assert fault.is_error
            with pytest.raises(mcp.MCPError, match="no such tool"):
                await client.call_tool("delete", {})
            with pytest.raises(mcp.MCPError, match="Nothing in the library has the id"):
                await client.read_resource(f"mmsearch://file/{'0' * 32}")

    anyio.run(session)


def test_hits_are_those_of_the_command_line(assistant: Talk, kept: Path) -> None:
    arguments = ("search", "a cup of coffee", "--not", "tea", "--ext", "png,md", "--json")
    printed = run_mmsearch(*arguments, library=kept / "library").json
    told = assistant.call("search", query="a cup of coffee", ext=["png", "md"], **{"not": "tea"})["structuredContent"]
    assert told["hits"] == printed["hits"]
    assert set(told) == {*printed, "next_offset"}


def test_what_view_and_pages_tell_is_documented(assistant: Talk) -> None:
    hit_fields = set(json_page.sections()["search"].inner)
    section = json_page.sections()["mcp"]
    documented = set(section.rows) | set(section.inner) | json_page.names_in(section.prose)
    listed = assistant.call("search", sort="name", limit=1)["structuredContent"]
    told = assistant.call("view", id=listed["hits"][0]["id"])["structuredContent"]
    assert set(told) <= documented | hit_fields
    assert {"next_offset", "passages", "first", "total_passages", "duration", "pages"} <= documented


def test_pages_fit_together_and_filters_alone_list_files(assistant: Talk, kept: Path) -> None:
    whole = assistant.call("search", sort="name")["structuredContent"]
    paths, offset = [], 0
    while offset is not None:
        page = assistant.call("search", sort="name", limit=2, offset=offset)["structuredContent"]
        paths += [hit["path"] for hit in page["hits"]]
        offset = page["next_offset"]
    assert paths == [hit["path"] for hit in whole["hits"]]
    assert whole["total"] == 5
    assert (
        assistant.call("search", type="text", after="1990", **{"in": str(kept / "home")})["structuredContent"]["total"]
        == 2
    )
    assert assistant.call("search", not_in=[str(kept / "home")])["structuredContent"]["hits"] == []


def test_a_text_is_viewed_from_its_line_on(assistant: Talk) -> None:
    (hit,) = assistant.call("search", query="income tax", type="text", limit=1)["structuredContent"]["hits"]
    told = assistant.call("view", id=hit["id"], line=1)
    assert [block["type"] for block in told["content"]] == ["text"]
    assert "rental contract" in told["structuredContent"]["passages"][0]["text"]
    assert told["structuredContent"]["total_passages"] == 1
    liked = assistant.call("search", like=[hit["id"]])["structuredContent"]
    assert hit["id"] not in [one["id"] for one in liked["hits"]]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("view", {"id": "/etc/passwd"}, "a path names none"),
        ("view", {"id": "../../../etc/passwd"}, "a path names none"),
        ("view", {"id": "mmsearch://file/../etc/passwd"}, "a path names none"),
        ("view", {"id": "0" * 32}, "Nothing in the library has the id"),
        ("view", {"id": 5}, "`id` is a text"),
        ("view", {"id": "\ud800" * 32}, "plain text"),
        ("view", {"id": "a\0b"}, "plain text"),
        ("view", {}, "`id` is to be given"),
        ("view", {"id": "0" * 32, "side": 100_000}, "`side` must be 64 to 1,568"),
        ("view", {"id": "0" * 32, "side": -1}, "`side` must be 64 to 1,568"),
        ("view", {"id": "0" * 32, "side": 99.5}, "`side` is a whole number"),
        ("view", {"id": "0" * 32, "side": True}, "`side` is a whole number"),
        ("view", {"id": "0" * 32, "side": "99"}, "`side` is a whole number"),
        ("view", {"id": "0" * 32, "path": "/etc/passwd"}, "There is no argument 'path'"),
        ("similar", {"id": "/etc/passwd"}, "a path names none"),
        ("search", {"like": ["/etc/passwd"]}, "a path names none"),
        ("search", {"query": ["a"]}, "`query` is a text"),
        ("search", {"query": "  "}, "The query is empty; give `query`"),
        ("search", {"not": ["dogs"]}, "only says what to avoid; add `query`"),
        ("search", {"query": "x" * 20_000}, "give a shorter text"),
        ("search", {"query": "a cat", "limit": 21}, "`limit` must be 1 to 20"),
        ("search", {"query": "a cat", "limit": 0}, "`limit` must be 1 to 20"),
        ("search", {"query": "a cat", "offset": -1}, "`offset` must be 0 to"),
        ("search", {"query": "a cat", "in": "home"}, "no absolute path"),
        ("search", {"query": "a cat", "in": ["/x"] * 101}, "no more than 100"),
        ("search", {"query": "a cat", "type": "photo"}, "`type` is one of image"),
        ("search", {"query": "a cat", "after": "soon"}, "is not a date"),
        ("search", {"query": "a cat", "after": "2020", "before": "2019"}, "No time lies between"),
        ("search", {"query": "a cat", "near": "Nowhereville"}, "The table of cities has none"),
        ("search", {"query": "a cat", "thumbnails": 1}, "`thumbnails` is true or false"),
        ("duplicates", {"class": ["all"]}, "`class` is one of bytes"),
        ("status", {"path": "/"}, "there are none"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_so_that_it_can_be_put_right(
    assistant: Talk, tool: str, arguments: dict[str, Any], words: str
) -> None:
    assert words in assistant.fault(tool, **arguments)


def test_a_number_without_end_is_none(assistant: Talk) -> None:
    line = json.dumps({**CALL, "params": {"name": "view", "arguments": {"id": "0" * 32, "side": 7}}})
    assistant.send(line.replace("7}", "1e400}").encode())
    assert "`side` is a whole number" in assistant.receive()["result"]["content"][0]["text"]


def test_a_picture_without_words_and_the_end_of_a_text_are_said(assistant: Talk) -> None:
    (cat,) = assistant.call("search", query="a cat", type="image", limit=1)["structuredContent"]["hits"]
    shown = assistant.call("view", id=cat["id"], line=3)
    assert [block["type"] for block in shown["content"]] == ["text", "image"]
    assert (shown["structuredContent"]["passages"], shown["structuredContent"]["total_passages"]) == ([], 0)
    (tax,) = assistant.call("search", query="income tax", type="text", limit=1)["structuredContent"]["hits"]
    assert "There is no passage 5" in assistant.fault("view", id=tax["id"], first=5)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe{}", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "\xe9"}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}', -32700),
        (b'{"a": "' + b"x" * (2 * MOST_LINE_BYTES) + b'"}', -32600),
        (5, -32600),
        (None, -32600),
        ("ping", -32600),
        ([REQUEST], -32600),
        ([], -32600),
        ({**REQUEST, "jsonrpc": "1.0"}, -32600),
        ({**REQUEST, "id": None}, -32600),
        ({**REQUEST, "id": {}}, -32600),
        ({**REQUEST, "id": True}, -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({**REQUEST, "method": 5}, -32600),
        ({**REQUEST, "params": []}, -32602),
        ({**REQUEST, "method": "server/discover"}, -32601),
        ({**REQUEST, "method": "tools/delete"}, -32601),
        (CALL, -32602),
        ({**CALL, "params": {"name": "delete"}}, -32602),
        ({**CALL, "params": {"name": ["search"]}}, -32602),
        ({**CALL, "params": {"name": "search", "arguments": [1]}}, -32602),
        ({**CALL, "method": "resources/read"}, -32602),
        ({**CALL, "method": "resources/read", "params": {"uri": "file:///etc/passwd"}}, -32002),
        ({**CALL, "method": "resources/read", "params": {"uri": "mmsearch://file//etc/passwd"}}, -32002),
        ({**CALL, "method": "resources/read", "params": {"uri": "mmsearch://file/../status"}}, -32002),
    ],
    ids=lambda one: str(one)[:60],
)
def test_what_is_no_request_is_told_and_the_talk_goes_on(assistant: Talk, message: Any, code: int) -> None:
    assistant.send(message)
    answer = assistant.receive()
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert assistant.ask("ping")["result"] == {}


def test_what_needs_no_answer_gets_none(assistant: Talk) -> None:
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/unheard_of"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": 5},
        {"jsonrpc": "2.0", "id": 12, "result": {}},
        b"  ",
    ):
        assistant.send(message)
    assert assistant.ask("ping")["result"] == {}


def test_versions_are_agreed_on_and_each_gets_its_form(kept: Path) -> None:
    with talk(kept / "library", version=None) as spoken:
        refused = spoken.ask("tools/call", name="status")
        assert "initialize" in refused["error"]["message"]
        assert spoken.greet("1999-01-01")["protocolVersion"] == NEWEST
        assert spoken.greet(NEWEST)["serverInfo"]["version"] == __version__
        assert spoken.greet("2024-11-05")["protocolVersion"] == "2024-11-05"
        assert all("outputSchema" not in tool for tool in spoken.ask("tools/list")["result"]["tools"])
        assert "structuredContent" not in spoken.call("status")
        spoken.greet("2025-03-26")
        spoken.send([REQUEST, {**REQUEST, "method": "notifications/x"}, {"jsonrpc": "2.0", "method": "y"}, 5, CALL])
        answers = spoken.receive()
        assert sorted(str(one.get("error", {}).get("code")) for one in answers) == [
            "-32600", "-32601", "-32602", "None"
        ]  # fmt: skip
        spoken.send([{**CALL, "id": number, "params": {"name": "status"}} for number in range(20)])
        assert sorted(one["id"] for one in spoken.receive()) == list(range(20))
        spoken.send([REQUEST] * 21)
        assert spoken.receive()["error"]["code"] == -32600
        spoken.send([{"jsonrpc": "2.0", "method": "notifications/x"}])
        assert spoken.ask("ping")["result"] == {}
        assert spoken.end() == 0


def test_a_request_may_say_its_version_without_a_greeting(kept: Path) -> None:
    named = "io.modelcontextprotocol/protocolVersion"
    modern = {"_meta": {named: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}
    with talk(kept / "library", version=None) as spoken:
        assert spoken.ask("server/discover")["error"]["code"] == -32601
        assert spoken.ask("server/discover", **modern)["result"]["supportedVersions"] == ["2026-07-28"]
        told = spoken.ask("tools/call", name="status", **modern)["result"]
        assert (told["resultType"], told["structuredContent"]["files"]["image"]) == ("complete", 4)
        assert spoken.ask("resources/read", uri="mmsearch://x", **modern)["error"]["code"] == -32602
        assert spoken.ask("tools/list", _meta={named: 5})["error"]["code"] == -32602
        refused = spoken.ask("tools/list", _meta={named: "2030-01-01"})["error"]
        assert (refused["code"], refused["data"]["supported"]) == (-32022, ["2026-07-28"])
        assert spoken.ask("tools/call", name="status", _meta=[1])["error"]["code"] == -32600


def test_nothing_is_given_of_a_file_that_was_swapped_or_is_gone(own: tuple[Path, Path]) -> None:
    library, home = own
    cat = home / "cat.png"
    with talk(library, home.parent / "cache") as spoken:
        (hit,) = spoken.call("search", sort="name")["structuredContent"]["hits"]
        original = cat.rename(home.parent / "original.png")
        cat.symlink_to("/etc/passwd")
        assert "has changed since it was indexed; run `mmsearch index`" in spoken.fault("view", id=hit["id"])
        uri = f"mmsearch://file/{hit['id']}"
        assert "has changed" in spoken.ask("resources/read", uri=uri)["error"]["message"]
        assert len(spoken.call("search", sort="name", thumbnails=True)["content"]) == 1
        cat.unlink()
        assert "not there now; the drive" in spoken.fault("view", id=hit["id"])
        original.rename(cat)
        assert [block["type"] for block in spoken.call("view", id=hit["id"])["content"]] == ["text", "image"]
        shutil.move(home, home.parent / "away")  # the whole root is offline
        assert "not there now" in spoken.fault("view", id=hit["id"])
        (away,) = spoken.call("search", sort="name")["structuredContent"]["hits"]
        assert away["available"] is False
        assert spoken.call("status")["structuredContent"]["roots"][0]["offline"] is True


@pytest.mark.slow
def test_it_answers_while_another_process_indexes_and_then_of_what_is_new(own: tuple[Path, Path]) -> None:
    library, home = own
    with talk(library) as spoken:
        assert spoken.call("search", query="a rocket")["structuredContent"]["hits"] == []
        place_photographs(home / "more")
        indexing = subprocess.Popen(
            [sys.executable, "-m", "mmsearch", "index"], env={**os.environ, "MMSEARCH_LIBRARY": str(library)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with indexing:
            while indexing.poll() is None:
                told = spoken.call("search", query="a cat", type="image")
                assert told["isError"] is False
                assert os.path.basename(told["structuredContent"]["hits"][0]["path"]) == "cat.png"
        assert indexing.returncode == 0
        (best, *_) = spoken.call("search", query="a rocket")["structuredContent"]["hits"]
        assert os.path.basename(best["path"]) == "rocket.jpg"


def test_without_a_library_it_says_what_to_run_and_goes_on_once_there_is_one(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with talk(tmp_path / "library") as spoken:
        for tool, arguments in (("search", {"query": "a cat"}), ("status", {}), ("duplicates", {}), ("search", {})):
            assert "mmsearch index" in spoken.fault(tool, **arguments)
        assert run_mmsearch("index", home, library=tmp_path / "library").code == 0
        (best, *_) = spoken.call("search", query="a cat")["structuredContent"]["hits"]
        assert os.path.basename(best["path"]) == "cat.png"


def test_without_its_model_it_says_what_to_do(own: tuple[Path, Path]) -> None:
    import sqlite3

    library, _ = own
    with sqlite3.connect(library / "library.db") as database:
        database.execute("UPDATE models SET fingerprint = 'of another one'")
    with talk(library) as spoken:
        assert "model" in spoken.fault("search", query="a cat at night")


@pytest.mark.slow
def test_answers_have_less_than_a_megabyte(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    pixels = np.random.default_rng(0)
    for number in range(20):
        noise = pixels.integers(0, 256, (400, 400, 3), np.uint8)
        Image.fromarray(noise).save(home / f"{number}.png")
    Image.fromarray(pixels.integers(0, 256, (1_600, 1_600, 3), np.uint8)).save(home / "large.jpg", quality=95)
    for number in range(60):
        shutil.copy(home / "19.png", home / f"{'a long name ' * 15}{number}.png")
    os.rename(home / "0.png", os.fsencode(home) + b"/0\xff\xe2\x80\xa8.png")
    with Library(tmp_path / "library") as library:
        library.index(home)
    with talk(tmp_path / "library") as spoken:
        told = spoken.call("search", sort="name", limit=20, thumbnails=True)
        assert spoken.size < MEGABYTE
        shown = [picture_of(block["data"]) for block in told["content"] if block["type"] == "image"]
        assert len(shown) == 20
        assert {max(one.size) for one in shown} == {128}
        hits = told["structuredContent"]["hits"]
        assert any("\ufffd\u2028.png" in hit["path"] for hit in hits)
        copied = next(hit for hit in hits if hit["copies"])
        assert len(copied["copies"]) == 20
        assert copied["left_out"] == {"copies": 40}
        large = spoken.call("search", sort="name", limit=1, offset=20)["structuredContent"]["hits"][0]
        viewed = spoken.call("view", id=large["id"], side=1_568)
        assert MEGABYTE / 4 < spoken.size < MEGABYTE
        assert 300 < max(picture_of(viewed["content"][1]["data"]).size) < 1_568
        assert spoken.call("view", id=large["id"], side=400)["content"][1]["type"] == "image"


def test_whatever_is_answered_is_cut_until_it_fits() -> None:
    hits = [{"id": "0" * 32, "copies": ["x" * 4_000] * 30, "snippet": "word " * 9_000} for _ in range(20)]
    document = {"hits": hits, "total": 20, "unread": {f".{number}": number for number in range(1_000)}}
    for most in (900_000, 300_000, 30_000):
        cut = fitted(document, most)
        assert len(written(cut)) <= most
        assert len(cut["hits"]) == 20
        assert cut["hits"][0]["id"] == "0" * 32
        left = len(cut["hits"][0]["copies"])
        assert cut["hits"][0]["left_out"] == {"copies": 30 - left}
    assert fitted(document, 10**9)["hits"][0]["snippet"].endswith("…")
    small = {"hits": [{"copies": ["a"] * 20}], "total": 1}
    assert fitted(small, MEGABYTE) == small


def test_a_line_is_a_message_for_every_client() -> None:
    told = {"path": "/home/a\udcff\u2028b\x85.jpg", "smile": "\U0001f600"}
    line = written(told)
    assert line.count(b"\n") == 1 and len(line.decode("utf-8").splitlines()) == 1
    assert json.loads(line) == {"path": "/home/a\ufffd\u2028b\x85.jpg", "smile": "\U0001f600"}
    assert list(map(parsed, lines_of(io.BytesIO(b'{"a": 1}\r\n\n[2]')))) == [{"a": 1}, [2]]


def test_it_ends_with_its_stdin_and_nothing_else_is_on_stdout(kept: Path) -> None:
    said = "\n".join(
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for number, (method, params) in enumerate([
            ("initialize", {"protocolVersion": NEWEST}),
            ("tools/call", {"name": "search", "arguments": {"query": "a cat"}}),
            ("tools/call", {"name": "duplicates"}), ("tools/list", {}),
        ])
    )  # fmt: skip
    # What a library does that prints, by Python and past it.
    script = (
        "import os, sys; sys.argv = ['mmsearch', 'mcp']\n"
        "import mmsearch.searching.session as session\n"
        "search = session.Session.search\n"
        "def loud(*given):\n    print('printed'); os.system('echo echoed'); return search(*given)\n"
        "session.Session.search = loud\n"
        "from mmsearch.__main__ import run\nrun()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=said.encode(), capture_output=True, timeout=120,
        env={**os.environ, "MMSEARCH_LIBRARY": str(kept / "library")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(line)["id"] for line in done.stdout.splitlines()) == [0, 1, 2, 3]
    assert b"printed" in done.stderr and b"echoed" in done.stderr


def test_sigterm_ends_it_in_good_order(kept: Path) -> None:
    with talk(kept / "library") as spoken:
        spoken.call("search", sort="name", thumbnails=True)
        spoken.process.send_signal(signal.SIGTERM)
        assert spoken.process.wait(60) == 143
        assert spoken.process.stderr is not None
        assert b"Traceback" not in spoken.process.stderr.read()


def test_a_person_who_starts_it_closed_gets_no_traceback(kept: Path) -> None:
    done = subprocess.run(
        [*command(), "--library", str(kept / "library")], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


class Answers(io.BytesIO):
    """Lines that a server has written, as messages."""

    @property
    def messages(self) -> list[Any]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def test_a_request_that_is_cancelled_is_not_answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def wait(call: Call, given: Any) -> dict[str, Any]:
        begun.set()
        assert call.cancelled.wait(60)
        cancelled.set()
        call.check()
        raise AssertionError("it went on")

    monkeypatch.setitem(serving.TOOLS, "wait", Tool("wait", "Wait", "Waits.", (), wait, {}))
    answers = Answers()

    def lines() -> Iterator[bytes]:
        yield written({**REQUEST, "method": "initialize", "params": {}})
        yield written({**CALL, "id": "long", "params": {"name": "wait"}})
        assert begun.wait(60)
        yield written({**CALL, "id": "long", "params": {"name": "wait"}})
        yield written({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "long"}})
        assert cancelled.wait(60)
        yield written({**REQUEST, "id": "last"})

    serving.Server(answers, Call(OpenedLibrary(str(tmp_path)), in_words), "1").serve(lines())
    assert [(one["id"], "error" in one) for one in answers.messages] == [(1, False), ("long", True), ("last", False)]


@pytest.mark.parametrize("token", ["mine", 7, None])
def test_a_client_that_asks_is_told_how_far_a_long_request_is(
    monkeypatch: pytest.MonkeyPatch, kept: Path, token: str | int | None
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    answers = Answers()
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    asked = {**CALL, "id": "long", "params": {"name": "duplicates", "arguments": {}, **meta}}
    lines = [{**REQUEST, "method": "initialize", "params": {}}, asked]
    opened = OpenedLibrary(str(kept / "library"))
    serving.Server(answers, Call(opened, in_words), "1").serve(map(written, lines))
    _, *told, answer = answers.messages
    assert answer["id"] == "long"
    assert answer["result"]["structuredContent"]["groups"]
    assert bool(told) is (token is not None)
    assert {one["method"] for one in told} <= {"notifications/progress"}
    assert {one["params"]["progressToken"] for one in told} <= {token}
    assert [one["params"]["progress"] for one in told] == [*range(1, len(told) + 1)]
    assert all(re.fullmatch(r"(comparing|looking at) .*(photos|texts)", one["params"]["message"]) for one in told)


def test_a_fault_of_its_own_is_told_and_the_talk_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(call: Call, given: Any) -> dict[str, Any]:
        raise ZeroDivisionError("in a tool")

    monkeypatch.setitem(serving.TOOLS, "fail", Tool("fail", "Fail", "Fails.", (), fail, {}))
    answers = Answers()
    lines = [{**REQUEST, "method": "initialize"}, {**CALL, "params": {"name": "fail"}}, {**REQUEST, "id": 2}]
    serving.Server(answers, Call(OpenedLibrary(str(tmp_path)), in_words), "1").serve(map(written, lines))
    assert sorted(one.get("error", {}).get("code", 0) for one in answers.messages) == [-32603, 0, 0]
    assert "ZeroDivisionError: in a tool" in capsys.readouterr().err


def test_no_more_than_some_requests_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go_on = threading.Event()

    def wait(call: Call, given: Any) -> dict[str, Any]:
        assert go_on.wait(60)
        return {"content": []}

    monkeypatch.setitem(serving.TOOLS, "wait", Tool("wait", "Wait", "Waits.", (), wait, {}))
    answers = Answers()

    def lines() -> Iterator[bytes]:
        yield written({**REQUEST, "method": "initialize", "params": {}})
        for number in range(2, 67):
            yield written({**CALL, "id": number, "params": {"name": "wait"}})
        assert answers.messages[-1]["error"]["code"] == -32000
        yield written({**REQUEST, "id": "ping"})
        assert answers.messages[-1] == {"jsonrpc": "2.0", "id": "ping", "result": {}}
        go_on.set()

    serving.Server(answers, Call(OpenedLibrary(str(tmp_path)), in_words), "1").serve(lines())
    assert sum("result" in one for one in answers.messages) == 66


def test_what_is_not_used_for_long_is_let_go_of_and_opened_again(kept: Path) -> None:
    opened = OpenedLibrary(str(kept / "library"), idle_seconds=0.0)
    with opened.used() as first, opened.used() as same:
        assert first is same
        assert opened.is_open
        assert first.session.list_files().total == 5
    for _ in range(10_000):
        if not opened.is_open:
            break
        threading.Event().wait(0.01)
    assert not opened.is_open
    with opened.used() as again:
        assert again.session is not first.session
        assert again.session.list_files().total == 5
