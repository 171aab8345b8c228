"""`mmsearch search --server`: a server is asked, and what is printed is what a search of the library prints."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Answer, Mmsearch, run_mmsearch
from PIL import Image
from serving import Server, running

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")

# There is no library: MMSEARCH_LIBRARY says it, which comes after a server.
NOWHERE = Path("/nowhere")
TIME = re.compile(r'"elapsed_ms": [\d.]+')


@pytest.fixture(scope="module")
def server(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(indexed, cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


def by_server(server: Server, *arguments: str | Path) -> Answer:
    """What is said by that server."""
    return run_mmsearch("search", *arguments, "--server", server.address, library=NOWHERE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["a cup of coffee"],
        ["a cat", "+", "2:milk", "--not", "a dog", "--json"],
        ["a drink without coffee", "--jsonl", "-n", "3"],
        ["a cat", "--paths"],
        ["a cat", "-0", "--type", "image"],
        ["--sort", "name", "--ext", "md,txt", "--json"],
        ["--random", "--seed", "5", "-n", "4"],
        ["xqzzv kkwq"],
        ["eine Katze", "--lang", "de"],
        ["a cat", "--group", "folder", "--min-score", "0", "--near", "Paris,5"],
        ["a cat", "--near", "no such city"],
        ["a cat", "--in", "/no/such/folder"],
        ["a cat", "--limit", "0"],
        [],
    ],
)
def test_what_is_printed_is_the_same(server: Server, indexed: Path, arguments: list[str]) -> None:
    expected = run_mmsearch("search", *arguments, library=indexed)
    answer = by_server(server, *arguments)
    assert TIME.sub("", answer.out) == TIME.sub("", expected.out)
    assert (answer.err, answer.code) == (expected.err, expected.code)


def test_a_folder_is_named_as_it_is_there(server: Server, indexed: Path, photos: Path) -> None:
    for folder in (photos / "photos", f"{photos}/no*"):
        expected = run_mmsearch("search", "a cat", "--in", folder, "--paths", library=indexed)
        assert expected.out
        assert by_server(server, "a cat", "--in", folder, "--paths").out == expected.out


def test_more_like_a_hit_of_the_last_search(server: Server, photos: Path) -> None:
    listed = by_server(server, "a cat", "--json", "--min-score", "0").json["hits"]
    like = by_server(server, "--like", "2", "--json").json
    assert like["query"]["like"] == [listed[1]["id"]]
    cat = by_server(server, "--like", photos / "photos" / "cat.png", "--json").json
    assert cat["query"]["like"] == [next(hit["id"] for hit in listed if hit["path"].endswith("cat.png"))]


def test_a_picture_is_uploaded(server: Server, photos: Path) -> None:
    cat = photos / "photos" / "cat.png"
    answer = by_server(server, "--image", cat, "--json").json
    assert answer["hits"][0]["path"] == str(cat)
    assert answer["query"]["terms"] == [{"image": str(cat), "weight": 1.0}]


def test_the_server_comes_from_a_variable_and_the_token_from_another_or_a_file(
    server: Server, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = server.address.partition("?")[0]
    assert f"{bare}?token={server.token}" == server.address
    monkeypatch.setenv("MMSEARCH_SERVER", server.address)
    assert run_mmsearch("search", "a cat", library=NOWHERE).code == 0
    typed = run_mmsearch("search", "a cat", "--library", tmp_path / "none", library=NOWHERE)
    assert typed.code == 2
    assert f"{tmp_path}/none" in typed.err
    monkeypatch.setenv("MMSEARCH_SERVER", bare)
    lacking = run_mmsearch("search", "a cat", library=NOWHERE)
    assert lacking.code == 2
    assert "has no token in it; give the address that `mmsearch serve` has printed" in lacking.err
    file = tmp_path / "token"
    file.write_text(server.token)
    file.chmod(0o600)
    assert run_mmsearch("search", "a cat", "--token-file", file, library=NOWHERE).code == 0
    monkeypatch.setenv("MMSEARCH_TOKEN", server.token)
    assert run_mmsearch("search", "a cat", library=NOWHERE).code == 0
    monkeypatch.setenv("MMSEARCH_SERVER", "")
    assert run_mmsearch("search", "a cat", library=indexed).code == 0


@pytest.mark.parametrize(
    "arguments",
    [["--batch", "-"], ["--adapter", "pets"], ["--model", "clip"], ["--scan", "exact"], ["--device", "cpu"],
     ["--explain"], ["--explain-to", "{folder}"], ["--copies"], ["--not-image", "{photo}"]],
)  # fmt: skip
def test_what_a_server_cannot_do_is_refused(server: Server, photos: Path, tmp_path: Path, arguments: list[str]) -> None:
    filled = [one.format(folder=tmp_path, photo=photos / "photos" / "cat.png") for one in arguments]
    answer = by_server(server, "a cat", *filled)
    assert answer.code == 2
    assert answer.out == ""
    assert f"{arguments[0]} is nothing that a server takes" in answer.err


def test_no_token_is_ever_printed(server: Server) -> None:
    said = []
    for address in (server.address.replace("token=", "token=wrong-"), server.address.replace("http:", "ftp:")):
        answer = by_server(Server(server.process, address), "a cat")
        assert answer.code == 2
        said.append(answer.err)
    assert "does not take that token" in said[0]
    assert server.token not in "".join(said)
    both = by_server(server, "a cat", "--library", "/x")
    assert "--server and --library name two libraries" in both.err
    alone = run_mmsearch("search", "a cat", "--token-file", "/x", library=NOWHERE)
    assert "--token-file has the token of a server" in alone.err


def test_hits_that_lie_elsewhere_are_drawn_by_the_server_and_not_opened(
    photos: Path, tmp_path: Path, mmsearch: Mmsearch
) -> None:
    """The server has made its pictures before the files go, as if they lay on its machine alone."""
    home = Path(shutil.copytree(photos / "photos", tmp_path / "home"))
    with Library(tmp_path / "library") as library:
        library.index([home])
    with running(tmp_path / "library", cache=tmp_path / "cache") as server:
        arguments = ("a cat", "--type", "image", "-n", "2", "--contact-sheet")
        assert by_server(server, *arguments, tmp_path / "here.png").code == 0
        expected = mmsearch("search", *arguments, tmp_path / "own.png", library=tmp_path / "library")
        assert expected.code == 0
        assert (tmp_path / "here.png").read_bytes() == (tmp_path / "own.png").read_bytes()
        for file in home.iterdir():
            os.utime(file, (1, 1))  # what lies here at that path is not what the server has found
        sheet = by_server(server, *arguments, tmp_path / "there.png")
        assert sheet.code == 0, sheet.err
        opened = by_server(server, "a cat", "--type", "image", "--open")
    assert opened.code == 2
    assert "lies on the server's machine" in opened.err
    own, there = (Image.open(tmp_path / name).convert("L").resize((60, 20)) for name in ("own.png", "there.png"))
    assert own.size == there.size
    pairs = list(zip(own.tobytes(), there.tobytes(), strict=True))
    assert sum(abs(one - other) for one, other in pairs) / len(pairs) < 12, "other pictures"
