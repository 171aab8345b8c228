"""The command at work, in processes of its own: what it prints, where, and how it exits."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Mmsearch
from pdf_writer import text_page, written
from terminal import ended

HOSTILE = "evil\x1b[31m\x1b]0;owned\x07 [bold]x[red]\nnext\u202egpj.txt"


@pytest.mark.slow
def test_the_four_lines_of_the_readme(mmsearch: Mmsearch, photos: Path) -> None:
    done = mmsearch("index", photos)
    assert done.code == 0
    assert done.out.startswith("18 files searchable: 18 added in ")
    assert done.err == ""
    assert str(photos / "photos" / "cat.png") in mmsearch("search", "a cat", "--paths").out.splitlines()[:2]
    like = mmsearch("search", "--image", photos / "photos" / "cat.png", "--json")
    assert like.code == 0
    assert len(like.json["hits"]) == 10


def test_plain_lines_in_a_pipe(mmsearch: Mmsearch, indexed: Path, photos: Path) -> None:
    done = mmsearch("search", "income tax", "-n", "1", library=indexed)
    score, kind, place, snippet = done.out.rstrip("\n").split("\t")
    assert 0 <= float(score) <= 1
    assert (kind, place) == ("text", f"{photos / 'notes' / 'tax.txt'}:1")
    assert snippet.startswith("The income tax return is due in July.")


@pytest.mark.slow
def test_paths_ended_by_nul_are_the_systems_own_bytes(mmsearch: Mmsearch, home: Path) -> None:
    name = os.path.join(os.fsencode(home), b"caf\xe9\n.txt")
    with open(name, "w") as file:
        file.write("A cafe with good coffee.")
    mmsearch("index", home)
    done = mmsearch("search", "a cafe", "-0", "--ext", "txt")
    assert name in done.raw.split(b"\0")
    as_json = mmsearch("search", "a cafe", "--json", "--ext", "txt").json
    assert name in [os.fsencode(hit["path"]) for hit in as_json["hits"]]


def test_a_query_from_stdin(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "-", "--paths", "-n1", "--type", "image", library=indexed, stdin="a motorcycle\n")
    assert done.out.endswith("motorcycle.png\n")


@pytest.mark.slow
def test_hostile_names_and_texts_reach_a_pipe_as_plain_text(mmsearch: Mmsearch, home: Path) -> None:
    (home / HOSTILE).write_text("A cat \x1b[2J\x1b]8;;http://x\x07 on [red]fire[/red]. " + "It was a hot day. " * 20)
    mmsearch("index", home)
    done = mmsearch("search", "a cat on fire", "--ext", "txt")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "[bold]x[red]" in done.out
    assert "\\x1b[31m" in done.out
    assert "[red]fire[/red]" in done.out


def on_a_terminal(*arguments: str, library: Path) -> tuple[int, str]:
    """The command with a terminal as its stdout and stderr."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(library), "COLUMNS": "100", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", *arguments], env=environment, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    return ended(running, controller)


def test_a_table_with_links_on_a_terminal(indexed: Path, photos: Path) -> None:
    code, printed = on_a_terminal("search", "a cat", "-n", "2", "-v", library=indexed)
    assert code == 0
    assert "score" in printed
    assert f"file://{photos}/photos/cat.png" in printed
    assert "451×300" in printed


@pytest.mark.slow
def test_hostile_names_on_a_terminal(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    (home / HOSTILE).write_text("A cat on fire \x1b[2J.")
    code, printed = on_a_terminal("index", str(home), library=tmp_path / "library")
    assert code == 0
    code, printed = on_a_terminal("search", "a cat on fire", "--ext", "txt", library=tmp_path / "library")
    assert code == 0
    assert "\x1b]0;" not in printed
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed
    assert "[bold]x[red]" in printed.replace("\r\n", "")


def test_index_draws_a_bar_on_a_terminal_and_nothing_in_a_pipe(home: Path, tmp_path: Path) -> None:
    code, printed = on_a_terminal("index", str(home), library=tmp_path / "drawn")
    assert code == 0
    assert "encoding" in printed
    assert "4 files searchable" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["index", "/no/such/folder"], "/no/such/folder does not exist"),
        (["index"], "Nothing to index"),
        (["search"], "Nothing to search for"),
        (["search", ""], "The query is empty"),
        (["index", ""], "An empty path names no folder"),
        (["find", "a", "dog"], "did you mean `mmsearch search`?"),
        (["delete", "photos"], "did you mean `mmsearch forget`?"),
        (["search", "cat", "--limit"], "`mmsearch search --help` lists what there is"),
        (["search", "   "], "The query is empty"),
        (["search", "--not", "a dog"], "only says what to avoid"),
        (["search", "--image", "/no/such.jpg"], "/no/such.jpg does not exist"),
        (["search", "--image", "/"], "is a folder"),
        (["search", "0:cat"], "weight in '0:cat' is 0"),
        (["search", f"{'9' * 400}:cat"], "is too large"),
        (["search", "cat", "--type", "film"], "no type 'film'"),
        (["search", "cat", "--ext", ","], "not a file extension"),
        (["search", "cat", "--after", "soon"], "'soon' is not a date"),
        (["search", "cat", "--before", "2024-13"], "'2024-13' is not a date"),
        (["search", "cat", "--when", "soon"], "'soon' is no period; write it as 2019, 2019-07, july 2019"),
        (["search", "cat", "--date", "2019"], "did you mean --when?"),
        (["search", "cat", "--limit", "0"], "limit is 0"),
        (["search", "cat", "--min-score", "7"], "lowest score is 7"),
        (["search", "cat", "--json", "--paths"], "Only one of --json, --jsonl, --paths and --null can be had"),
        (["duplicates", "-0", "--json"], "Only one of --json, --paths and --null can be had"),
        (["label", "cat", "--csv", "--jsonl"], "Only one of --json, --jsonl and --csv can be had"),
        (["search", "cat", "--batch", "x"], "--batch takes its queries from the file"),
        (["search", "--batch", "/no/such/file"], "/no/such/file cannot be read"),
        (["search", "a cat", "--not", "1:a cat"], "cancel each other out"),
        (["forget", "/no/such/folder"], "Nothing in the library lies at"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    mmsearch: Mmsearch, indexed: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    library = tmp_path / "new" if arguments == ["index"] else indexed
    done = mmsearch(*arguments, library=library)
    assert done.code == 2
    assert done.out == ""
    assert sentence in done.err
    assert done.err.startswith("mmsearch: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "cat", "--scan", "fast"],
        ["search", "cat", "--limit", "many"],
        ["index", "--speed"],
        ["x"],
        ["index", "/tmp", "--max-text-mb", "inf"],
    ],
)
def test_unknown_options_and_values_are_code_2(mmsearch: Mmsearch, indexed: Path, arguments: list[str]) -> None:
    done = mmsearch(*arguments, library=indexed)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("mmsearch: ")
    assert done.err.count("\n") == 1


def test_searching_before_indexing(mmsearch: Mmsearch) -> None:
    for command in (["search", "a cat"], ["status"], ["forget", "/tmp"]):
        done = mmsearch(*command)
        assert (done.code, done.out) == (2, "")
        assert "There is no library in" in done.err
        assert "mmsearch index" in done.err


def test_an_empty_folder_is_code_1_and_a_sentence(mmsearch: Mmsearch, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = mmsearch("index", empty)
    assert done.code == 1
    assert "no pictures or text files" in done.err


def test_nothing_found_is_code_1(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "a cat", "--ext", "xyz", library=indexed)
    assert (done.code, done.out) == (1, "")
    assert done.err == "mmsearch: nothing found: no file passes the filters.\n"
    phrase = mmsearch("search", '"no such words"', "--ext", "md", library=indexed)
    assert (phrase.code, phrase.err) == (1, "mmsearch: nothing found.\n")


def test_a_query_image_that_is_broken(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    done = mmsearch("search", "--image", broken, library=indexed)
    assert done.code == 2
    assert f"The query image {broken} cannot be read" in done.err


def test_a_query_image_that_is_no_file(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "around.jpg").symlink_to("around.jpg")
    for image, what in (
        (tmp_path / "pipe.jpg", "is a named pipe"),
        (tmp_path / "around.jpg", "cannot be read (Too many levels of symbolic links)"),
        (tmp_path, "is a folder"),
        ("/dev/null", "is a device"),
        (tmp_path / "none.jpg", "does not exist"),
        (indexed / "library.db" / "none.jpg", "does not exist"),
    ):
        done = mmsearch("search", "--image", image, library=indexed)
        assert done.code == 2
        assert done.err == f"mmsearch: The query image {image} {what}; give the path of a picture.\n"


@pytest.mark.slow
def test_skipped_files_are_told_on_stderr(mmsearch: Mmsearch, home: Path) -> None:
    for number in range(8):
        (home / f"broken{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]))
    done = mmsearch("index", home)
    assert done.code == 0
    assert "8 failed" in done.out
    assert len(done.err.splitlines()) == 6
    assert "mmsearch status --failed" in done.err
    listed = mmsearch("status", "--failed").out.splitlines()
    assert len(listed) == 8
    assert all(line.split("\t")[1] for line in listed)


def test_status_for_a_person(mmsearch: Mmsearch, indexed: Path, photos: Path) -> None:
    done = mmsearch("status", library=indexed)
    assert done.code == 0
    assert "14 pictures, 4 texts" in done.out
    assert f"{photos}: 18 files" in done.out


def test_one_of_a_kind_is_told_as_one(mmsearch: Mmsearch, tmp_path: Path) -> None:
    tree = tmp_path / "papers"
    tree.mkdir()
    (tree / "policy.pdf").write_bytes(written([text_page("Insurance policy")]))
    (tree / "empty.txt").write_bytes(b"")
    mmsearch("index", tree)
    told = mmsearch("status").out
    assert "files     0 pictures, 0 texts, 1 document (" in told
    assert "failed    1 file could not be read" in told


def test_what_failed_is_counted_alike_by_index_and_status(mmsearch: Mmsearch, home: Path) -> None:
    (home / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (home / "round").symlink_to(home)
    os.mkfifo(home / "pipe.jpg")
    for _ in range(2):  # what is new, and what has not changed since
        assert "3 failed in" in mmsearch("index", home).out
        assert "failed    3 files could not be read" in mmsearch("status").out
    assert len(mmsearch("status", "--failed").out.splitlines()) == 3


@pytest.mark.slow
def test_forget_says_how_many(mmsearch: Mmsearch, home: Path) -> None:
    mmsearch("index", home)
    done = mmsearch("forget", home / "cat.png")
    assert done.out == "1 file forgotten\n"
    assert f"since it lies in {home}" in done.err
    said = {"schema_version": 1, "path": str(home), "removed": 3, "queued": 0}
    assert mmsearch("forget", home, "--json").json == said


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["garbage", "cut", "zeros"])
def test_a_damaged_library_is_one_sentence(mmsearch: Mmsearch, home: Path, tmp_path: Path, damage: str) -> None:
    mmsearch("index", home)
    database = tmp_path / "library" / "library.db"
    content = database.read_bytes()
    damaged = {
        "garbage": b"this is no database " * 500,
        "cut": content[: len(content) // 2],
        "zeros": content[:4096] + b"\0" * (len(content) - 4096),
    }[damage]
    database.write_bytes(damaged)
    for command in (["search", "a cat"], ["index", str(home)]):
        done = mmsearch(*command)
        assert done.code == 2, done
        assert "Traceback" not in done.err
        assert "library" in done.err
        assert done.err.count("\n") == 1


@pytest.mark.slow
def test_a_library_of_a_newer_version_and_a_strangers_database(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    import sqlite3

    mmsearch("index", home)
    database = tmp_path / "library" / "library.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE settings SET value = '99' WHERE key = 'schema'")
    done = mmsearch("search", "a cat")
    assert done.code == 2
    assert "newer mmsearch" in done.err
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with sqlite3.connect(stranger / "library.db") as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    for command in (["search", "a cat"], ["index", str(home)]):
        done = mmsearch(*command, library=stranger)
        assert done.code == 2
        assert "not an mmsearch library" in done.err


def test_a_library_folder_that_cannot_be_made(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = mmsearch("index", home, library=tmp_path / "file" / "library")
    assert done.code == 2
    assert "cannot be made" in done.err


def test_the_library_option_comes_before_the_variable(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    mmsearch("index", home, "--library", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "library.db").exists()
    assert not (tmp_path / "library").exists()


def test_version_and_help(mmsearch: Mmsearch) -> None:
    from mmsearch import __version__

    assert mmsearch("--version").out == f"mmsearch {__version__}\n"
    assert "--image" in mmsearch("search", "--help").out


@pytest.mark.parametrize("options", [["--batch", "-"], ["-"]])
def test_a_reader_that_has_seen_enough_is_no_error(indexed: Path, options: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "search", *options], stdout=write, stderr=subprocess.PIPE, check=False,
        env={**os.environ, "MMSEARCH_LIBRARY": str(indexed)}, input="a cat\n", text=True,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence(indexed: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmsearch", "search", "a cat"], stdout=full, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "MMSEARCH_LIBRARY": str(indexed)}, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("mmsearch: The output cannot be written")


def test_queries_that_are_no_utf8_are_searched_all_the_same(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "queries").write_bytes(b"\xff a cat\na cat\n")
    for arguments in ([b"search", b"\xff a cat"], ["search", "--batch", str(tmp_path / "queries")]):
        done = mmsearch(*arguments, library=indexed)
        assert (done.code, done.err) == (0, "")


def test_a_terminal_that_cannot_show_a_character(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    (home / "中文.txt").write_text("A cat in China: 一只猫.", encoding="utf-8")
    mmsearch("index", home)
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "search", "a cat in China"], capture_output=True, check=False,
        env={**os.environ, "MMSEARCH_LIBRARY": str(tmp_path / "library"), "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u4e2d" in done.stdout


def test_a_bad_line_of_a_batch_is_named(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "--batch", "-", library=indexed, stdin="a cat\n0:zero\n")
    assert done.code == 2
    assert "Line 2 of the batch: The weight in '0:zero' is 0" in done.err


def test_a_folder_can_be_named_through_a_link(mmsearch: Mmsearch, indexed: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos / "notes")
    done = mmsearch("search", "a cat", "--in", tmp_path / "link", "--paths", "--min-score", "0", library=indexed)
    assert len(done.out.splitlines()) == 4


def test_special_files_are_noted_in_the_status(mmsearch: Mmsearch, home: Path) -> None:
    for number in range(7):
        os.mkfifo(home / f"pipe{number}.jpg")
    done = mmsearch("index", home)
    assert done.code == 0
    assert "skipped 2 more" in done.err
    assert len(mmsearch("status", "--failed").out.splitlines()) == 7
    assert "named pipe" in mmsearch("status", "--failed").out


def test_a_bug_keeps_its_traceback_and_is_no_answer(indexed: Path) -> None:
    script = (
        "import mmsearch.library, mmsearch.cli, sys; mmsearch.library.Library.search_many = None; "
        "sys.argv = ['mmsearch', 'search', 'a cat']; mmsearch.cli.main()"
    )
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(indexed)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_help_that_cannot_be_written_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmsearch", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
