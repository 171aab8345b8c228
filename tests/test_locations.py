"""A library lies in a folder: a URL of what is not built is told as that, and never becomes a folder of its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library, MmsearchError
from mmsearch.errors import Invalid, Unsupported
from mmsearch.store.locations import is_url, shown

COMMANDS = (
    ["index", "photos"],
    ["search", "dog"],
    ["status"],
    ["serve", "--no-open"],
    ["mcp"],
    ["watch"],
    ["doctor"],
    ["models"],
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_url_of_what_is_not_built_is_refused_in_a_sentence(
    arguments: list[str], photos: Path, tmp_path: Path, mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody tries a team's database, as if it were there: nothing is made, and the password is not shown."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "photos").symlink_to(photos)
    url = "milvus://me:pa55word@db.example:19530/photos?token=abc123"
    monkeypatch.chdir(here)
    done = mmsearch(*arguments, "--library", url)
    assert done.code == 2
    assert "No library can be kept at milvus://me@db.example:19530/photos" in done.err
    assert "choose another folder with --library" in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert "pa55word" not in done.err and "abc123" not in done.err
    assert os.listdir(here) == ["photos"]


def test_the_variable_is_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEARCH_LIBRARY", "redis://cache/1")
    done = subprocess.run([sys.executable, "-m", "mmsearch", "status"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "redis://cache/1" in done.stderr
    with pytest.raises(Unsupported, match="redis://cache/1"):
        Library()
    assert os.listdir(tmp_path) == []


def test_a_library_that_is_served_is_asked_by_its_server(
    tmp_path: Path, mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mmsearch("search", "dog", "--library", "http://nas.example:8080/")
    assert done.code == 2
    assert "http://nas.example:8080/ is no folder" in done.err and "mmsearch search --server URL" in done.err
    assert os.listdir(tmp_path) == []


def test_a_script_learns_the_kind_of_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MmsearchError) as refused:
        Library("redis://db/photos")
    assert refused.value.code == "unsupported"
    # A path object has made one slash of the two.
    with pytest.raises(Invalid, match="lost a slash"):
        Library(Path("redis://db/photos"))
    assert os.listdir(tmp_path) == []


def test_a_folder_may_have_any_other_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b", "C:/photos", "./redis://db", "photos: 2019/of us"):
        assert not is_url(name)
        assert Library(name).folder == os.path.abspath(name)


@pytest.mark.parametrize(
    "url, without",
    [
        ("postgresql://db/photos", "postgresql://db/photos"),
        ("postgresql:///photos", "postgresql:///photos"),
        ("postgresql://me@db/photos", "postgresql://me@db/photos"),
        ("postgresql://me:secret@db:5432/photos", "postgresql://me@db:5432/photos"),
        ("postgresql://:secret@db/photos", "postgresql://@db/photos"),
        ("postgresql://me:secret@[::1]:5432,[::2]/photos", "postgresql://me@[::1]:5432,[::2]/photos"),
        ("postgresql://a:1,b:2/photos?application_name=a@b", "postgresql://a:1,b:2/photos?application_name=a@b"),
        ("postgresql:///photos?host=/run/db&password=secret", "postgresql:///photos?host=/run/db"),
        ("postgresql://db/photos?p%61ssword=secret&sslmode=require", "postgresql://db/photos?sslmode=require"),
        ("postgresql://db/photos?sslpassword=secret", "postgresql://db/photos"),
        # What ought to have been escaped and was not.
        ("postgresql://me:sec@ret@db/photos", "postgresql://me@db/photos"),
        ("postgresql://me:sec/ret@db/photos", "postgresql://me@db/photos"),
        ("postgresql://me:sec?ret@db/photos", "postgresql://me@db/photos"),
        ("postgresql://me:sec#ret@db/photos", "postgresql://me@db/photos"),
        ("/home/me/a:b@c", "/home/me/a:b@c"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, without: str) -> None:
    assert shown(url) == without
