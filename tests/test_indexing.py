"""A person indexes folders, changes them, and indexes them again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import xxhash
from conftest import Mmsearch, refused
from interrupting import signal_at
from library_state import everything

from mmsearch import Library, MmsearchError, WalkRules
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.errors import Invalid
from mmsearch.files.crash_points import VARIABLE
from mmsearch.indexing.encoding import FileEncoder
from mmsearch.indexing.report import FailedFile
from mmsearch.indexing.run import IndexSettings
from mmsearch.output.reports import summary
from mmsearch.reading import ReadLimits
from mmsearch.store.sqlite.signing import add_functions, sign


def files(library: Library) -> set[str]:
    """The names of all files in the library."""
    return set(everything(library))


def test_pictures_and_texts_of_a_folder_are_added(library: Library, home: Path) -> None:
    report = library.index([home])
    assert (report.added, report.failed, report.files) == (4, 0, 4)
    assert files(library) == {"cat.png", "coffee.png", "coffee.md", "tax.txt"}


def test_a_second_run_changes_nothing(library: Library, home: Path) -> None:
    library.index([home])
    database = Path(library.folder) / "library.db"
    before = database.read_bytes()
    report = library.index([home])
    assert (report.unchanged, report.added, report.updated) == (4, 0, 0)
    library.close()
    assert database.read_bytes() == before


def test_files_that_exchange_their_names_are_noticed_though_size_and_time_are_equal(
    library: Library, home: Path
) -> None:
    one, other = home / "one.txt", home / "other.txt"
    one.write_text("A ship is in the harbour.")
    other.write_text("A train is at the station")
    for path in (one, other):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    library.index([home])
    one.rename(home / "between")
    other.rename(one)
    (home / "between").rename(other)
    report = library.index([home])
    assert (report.added, report.updated, report.encoded, report.unchanged) == (0, 2, 0, 4)
    assert library.search("a ship in the harbour").hits[0].path == str(other)


def test_a_file_of_which_only_the_rights_changed_is_not_encoded_again(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])
    changed = library.status().roots[0].changed
    for path in home.iterdir():
        path.chmod(0o600)

    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(BuiltinEncoder, "encode", refuse)
    report = library.index([home])
    assert (report.updated, report.encoded, report.unchanged) == (0, 0, 4)
    assert library.status().roots[0].changed == changed
    monkeypatch.setattr(FileEncoder, "encode", refuse)  # nothing is read any more
    assert library.index([home]).unchanged == 4


def test_contents_with_digests_of_an_older_mmsearch_get_new_ones_and_are_not_encoded_again(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])
    library.close()
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection, connection:
        new = set(connection.execute("SELECT digest FROM contents"))
        for content_id, path in connection.execute("SELECT content_id, CAST(path AS TEXT) FROM files").fetchall():
            older = xxhash.xxh3_128_digest(Path(path).read_bytes())
            connection.execute("UPDATE contents SET digest = ?, hash = 'xxh3' WHERE id = ?", (older, content_id))
        add_functions(connection)
        sign(connection, "contents")

    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(BuiltinEncoder, "encode", refuse)
    moved, *touched = sorted(home.iterdir())
    moved.rename(home / f"moved{moved.suffix}")
    for path in touched:
        path.chmod(0o600)
    report = library.index([home])
    assert (report.moved, report.unchanged, report.removed) == (1, 3, 0)
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection:
        assert set(connection.execute("SELECT digest FROM contents")) == new
    assert library.care.examine().sound


def test_without_a_path_all_roots_are_brought_up_to_date(library: Library, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("The first text.")
    library.index([home])
    library.index([other])
    (other / "b.txt").write_text("The second text.")
    (home / "c.txt").write_text("The third text.")
    assert library.index().added == 2


def test_a_changed_file_is_encoded_again_and_a_deleted_one_leaves_the_results(library: Library, home: Path) -> None:
    library.index([home])
    (home / "tax.txt").write_text("Bread is baked from flour, water, salt and yeast.")
    (home / "coffee.png").unlink()
    report = library.index([home])
    assert (report.updated, report.removed, report.unchanged) == (1, 1, 2)
    assert files(library) == {"cat.png", "coffee.md", "tax.txt"}
    assert library.search("baking bread").hits[0].path == str(home / "tax.txt")


def test_moved_renamed_and_copied_files_are_not_encoded_again(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.encoding.builtin import BuiltinEncoder

    library.index([home])
    moved = home / "deeper" / "pet.png"
    moved.parent.mkdir()
    (home / "cat.png").rename(moved)
    shutil.copy(home / "tax.txt", home / "copy of tax.txt")

    def refuse(*_: object) -> None:
        raise AssertionError("a known content was encoded again")

    monkeypatch.setattr(BuiltinEncoder, "_encode_images", refuse)
    monkeypatch.setattr(BuiltinEncoder, "_encode_texts", refuse)
    report = library.index([home])
    assert (report.moved, report.removed, report.failed) == (2, 0, 0)
    monkeypatch.undo()
    assert files(library) == {"pet.png", "coffee.png", "coffee.md", "tax.txt", "copy of tax.txt"}


def test_a_moved_folder_is_moved_and_not_removed_too(library: Library, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "trip").mkdir(parents=True)
    for name in ("cat.png", "coffee.png"):
        shutil.copy(home / name, other / "trip" / name)
    library.index([home, other])
    (other / "trip").rename(home / "a trip")
    report = library.index()
    assert summary(report).startswith("6 files searchable: 2 moved or copied, 4 unchanged in")
    # Of three copies two go, and one gets another name: two are lost, for good.
    shutil.copy(home / "tax.txt", home / "tax too.txt")
    shutil.copy(home / "tax.txt", other / "tax.txt")
    library.index()
    (home / "tax.txt").rename(home / "a tax.txt")
    (home / "tax too.txt").unlink()
    (other / "tax.txt").unlink()
    (other / "own.txt").write_text("A note on ships.")
    report = library.index()
    assert summary(report).startswith("7 files searchable: 1 added, 1 moved or copied, 5 unchanged, 2 removed in")


@pytest.mark.parametrize(("seconds", "commits"), [(1000.0, 2), (0.0, 75)], ids=["by number", "by time"])
def test_known_contents_are_committed_together(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, commits: int
) -> None:
    from mmsearch.indexing import pipeline, results

    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("It was a dark and stormy night.")
    library.index([tree])
    for number in range(600):
        (tree / f"{number}.txt").write_text("It was a dark and stormy night.")
    points: list[str] = []
    done: list[int] = []
    monkeypatch.setattr(pipeline, "crash_point", points.append)
    monkeypatch.setattr(results, "GATHER_SECONDS", seconds)
    report = library.index(
        [tree], settings=IndexSettings(workers=1), on_progress=lambda progress: done.append(progress.done)
    )
    assert (report.moved, report.added, report.unchanged) == (600, 0, 1)
    assert points.count("batch committed") == commits
    assert done[-1] == 600
    report.seconds = 2.0
    assert summary(report).endswith("(300 files/s)")


def test_what_took_encoding_is_committed_at_once(library: Library, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.indexing import pipeline, results

    for number in range(60):
        (home / f"{number}.txt").write_text(f"Chapter {number}.")
    points: list[str] = []
    monkeypatch.setattr(pipeline, "crash_point", points.append)
    monkeypatch.setattr(results, "GATHER_SECONDS", 1000.0)
    assert library.index([home]).added == 64
    assert points.count("batch committed") == 8


def test_include_and_exclude_choose_and_are_remembered(library: Library, home: Path) -> None:
    (home / "raw").mkdir()
    shutil.copy(home / "cat.png", home / "raw" / "cat2.png")
    library.index([home], rules=WalkRules(include=("*.png",), exclude=("raw/",)))
    assert files(library) == {"cat.png", "coffee.png"}
    (home / "new.txt").write_text("Something new.")
    library.index([home])
    assert files(library) == {"cat.png", "coffee.png"}
    library.index([home], rules=WalkRules())
    assert files(library) == {"cat.png", "coffee.png", "cat2.png", "coffee.md", "tax.txt", "new.txt"}


@pytest.mark.parametrize("rules", [WalkRules(exclude=("[]",)), WalkRules(include=("*.txt", "x["))])
def test_a_pattern_that_is_none_is_refused_before_anything_is_stored(
    library: Library, home: Path, rules: WalkRules
) -> None:
    with pytest.raises(Invalid, match="is not one"):
        library.index([home], rules=rules)
    assert not library.exists()
    library.index([home])
    before = (Path(library.folder) / "library.db").read_bytes()
    with pytest.raises(Invalid, match="is not one"):
        library.index(rules=rules)
    library.close()
    assert (Path(library.folder) / "library.db").read_bytes() == before
    assert library.index().unchanged == 4


def test_a_stored_pattern_that_is_none_is_told_and_can_be_replaced(
    library: Library, home: Path, mmsearch: Mmsearch
) -> None:
    library.index([home])
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection, connection:
        rules = {"include": [], "exclude": ["a;b", "x[]"], "hidden": False, "ignore_files": True}
        connection.execute("UPDATE roots SET rules = ?", (json.dumps(rules),))
    refused = mmsearch("index", "--library", library.folder)
    assert refused.code == 2
    assert f"The rules remembered for {home} cannot be followed (" in refused.err
    assert "'x[]' is not one: a [ is never closed); index it with new rules, which replace them" in refused.err
    assert library.status().roots[0].rules.exclude == ("a;b", "x[]")
    library.close()
    done = mmsearch("index", "--library", library.folder, "--exclude", "*.png")
    assert done.code == 0, done.err
    assert files(library) == {"coffee.md", "tax.txt"}
    assert library.index().unchanged == 2


def test_hidden_and_ignored_files_stay_out_unless_asked_for(library: Library, home: Path) -> None:
    (home / ".secret.txt").write_text("A secret.")
    (home / ".mmsearchignore").write_text("tax*\n")
    library.index([home])
    assert files(library) == {"cat.png", "coffee.png", "coffee.md"}
    library.index([home], rules=WalkRules(hidden=True, ignore_files=False))
    assert files(library) >= {".secret.txt", "tax.txt"}


def test_unreadable_files_are_noted_and_not_read_again_until_they_change(library: Library, home: Path) -> None:
    broken = home / "broken.png"
    broken.write_bytes((home / "cat.png").read_bytes()[:5000])
    (home / "empty.txt").write_bytes(b"")
    report = library.index([home])
    assert (report.added, report.failed) == (4, 2)
    assert {os.path.basename(failure.path) for failure in report.failures} == {b"broken.png", b"empty.txt"}
    again = library.index([home])
    assert (again.failed, again.failing, again.unchanged) == (0, 2, 4)
    assert {failure.path for failure in library.status().failures} == {
        os.fsencode(broken), os.fsencode(home / "empty.txt"),
    }  # fmt: skip
    shutil.copy(home / "cat.png", broken)
    mended = library.index([home])
    assert (mended.moved, mended.failing) == (1, 1)
    (home / "empty.txt").unlink()
    library.index([home])
    assert library.status().failures == ()


def test_what_failed_is_read_again_when_asked(library: Library, home: Path) -> None:
    (home / "long.txt").write_text("A long story. " * 1000)
    report = library.index([home], settings=IndexSettings(ReadLimits({"text": 5000})))
    assert report.failed == 1
    assert library.index([home]).failing == 1
    assert library.index([home], retry=True).added == 1
    assert "long.txt" in files(library)


def test_a_file_that_breaks_leaves_the_results(library: Library, home: Path) -> None:
    library.index([home])
    (home / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    assert library.index([home]).failed == 1
    assert files(library) == {"coffee.png", "coffee.md", "tax.txt"}


def test_a_root_that_is_suddenly_empty_is_offline_and_keeps_its_files(library: Library, home: Path) -> None:
    library.index([home])
    home.rename(home.with_name("unplugged"))
    home.mkdir()
    report = library.index([home])
    assert report.offline == [os.fsencode(home)]
    assert report.removed == 0
    home.rmdir()
    assert library.index().offline == [os.fsencode(home)]
    assert library.status().roots[0].offline
    assert len(files(library)) == 4
    home.with_name("unplugged").rename(home)
    assert library.index().unchanged == 4


@pytest.mark.slow
def test_an_unreadable_folder_is_told_and_keeps_its_files(mmsearch: Mmsearch, home: Path, locked: Path) -> None:
    mmsearch("index", home)
    locked.chmod(0)
    try:
        for _ in range(2):
            report = mmsearch("index", home, "--json", as_anybody=True).json
            assert (report["unchanged"], report["removed"], report["offline"]) == (4, 0, [])
            assert report["problems"] == [{"path": str(locked), "reason": "permission denied"}]
            assert str(locked) in mmsearch("status", "--failed").out
        assert "a.txt" in mmsearch("search", "a text about ships", "--paths").out
    finally:
        locked.chmod(0o755)
    assert mmsearch("index", home, "--json").json["unchanged"] == 5
    assert mmsearch("status", "--failed").out == ""


@pytest.mark.slow
def test_an_unreadable_file_is_noted(mmsearch: Mmsearch, home: Path) -> None:
    (home / "tax.txt").chmod(0)
    report = mmsearch("index", home, "--json", as_anybody=True).json
    assert (report["added"], report["failed"]) == (3, 1)
    assert report["failures"] == [{"path": str(home / "tax.txt"), "reason": "permission denied"}]
    # Nothing is known of its content, so it is tried again by every run.
    assert mmsearch("index", home, "--json", as_anybody=True).json["failed"] == 1
    (home / "tax.txt").chmod(0o644)
    assert mmsearch("index", home, "--json").json["added"] == 1
    assert mmsearch("status", "--failed").out == ""


def test_a_root_within_a_root_keeps_its_own_rules(library: Library, home: Path) -> None:
    private = home / "private"
    private.mkdir()
    (private / "letter.txt").write_text("Dear friend, a long letter.")
    (private / "draft.txt").write_text("Dear friend, a draft of a letter.")
    library.index([home], rules=WalkRules(exclude=("private/",)))
    library.index([private], rules=WalkRules(exclude=("draft*",)))
    assert "letter.txt" in files(library)
    library.index([home])
    assert "letter.txt" in files(library)
    library.index([home], rules=WalkRules())
    assert "draft.txt" not in files(library)
    assert library.index().unchanged == 5
    assert [root.files for root in library.status().roots] == [4, 1]


def test_what_is_gone_from_a_folder_within_a_root_is_dropped_with_it(library: Library, home: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    for number in range(3):
        (inner / f"{number}.txt").write_text(f"Note {number} about trains.")
    library.index([home])
    (inner / "1.txt").unlink()
    assert library.preview([inner]).removed == 1
    report = library.index([inner])
    assert (report.unchanged, report.removed) == (2, 1)
    assert [os.path.basename(hit.path) for hit in library.search("Note 1 about trains").hits].count("1.txt") == 0
    assert library.index([home]).removed == 0


@pytest.mark.slow
def test_rules_of_before_are_named_where_they_leave_nothing(home: Path, mmsearch: Mmsearch) -> None:
    mmsearch("index", home, "--include", "*.xyz")
    for arguments in (("index", home), ("index", home, "--dry-run")):
        done = mmsearch(*arguments)
        assert done.code == 1
        assert "but for what the rules of before leave out (--include '*.xyz')" in done.err
    assert "--include '*.xyz'" in mmsearch("status").out
    assert mmsearch("index", home, "--no-hidden").code == 0
    assert "--include" not in mmsearch("status").out


def test_a_drive_within_a_root_is_unplugged(library: Library, home: Path) -> None:
    drive = home / "mnt" / "usb"
    drive.mkdir(parents=True)
    (drive / "far.txt").write_text("A text on a drive.")
    library.index([home])
    assert library.index([drive]).unchanged == 1
    assert [root.files for root in library.status().roots] == [4, 1]
    drive.rename(home.with_name("unplugged"))
    report = library.index()
    assert (report.removed, report.offline) == (0, [os.fsencode(drive)])
    drive.mkdir()
    report = library.index([home])
    assert (report.removed, report.offline) == (0, [os.fsencode(drive)])
    assert "far.txt" in files(library)


def test_overlapping_paths_are_counted_once(library: Library, home: Path) -> None:
    (home / "deeper").mkdir()
    (home / "deeper" / "a.txt").write_text("A text.")
    assert library.index([home, home / "deeper"]).added == 5
    assert library.index([home / "deeper", home]).unchanged == 5


def test_rules_that_leave_out_everything_are_no_unplugged_drive(library: Library, home: Path) -> None:
    library.index([home])
    report = library.index([home], rules=WalkRules(exclude=("*",)))
    assert (report.removed, report.offline) == (4, [])
    assert files(library) == set()


def test_a_text_that_becomes_something_else_leaves_the_results(library: Library, home: Path) -> None:
    readme = home / "README"
    readme.write_text("A boat on a lake.")
    library.index([home])
    assert "README" in files(library)
    readme.write_bytes(bytes(range(256)) * 20)
    report = library.index([home])
    assert (report.removed, report.others, report.unchanged) == (1, 1, 4)
    assert "README" not in files(library)


@pytest.mark.parametrize("moment", [9_223_372_041, 253_402_300_800, -9_223_372_041])
def test_a_file_of_an_absurd_time_is_found_as_well(library: Library, home: Path, moment: int) -> None:
    os.utime(home / "tax.txt", (moment, moment))
    if (home / "tax.txt").stat().st_mtime != moment:
        pytest.skip("this file system keeps no such times")
    assert library.index([home]).added == 4
    assert library.index([home]).unchanged == 4
    assert library.search("income tax").hits[0].modified[4] == "-"


def test_the_same_bytes_are_another_text_as_a_web_page(library: Library, home: Path) -> None:
    page = "<html><head><script>zebra()</script></head><body>A recipe for apple cake with cinnamon.</body></html>"
    (home / "page.txt").write_text(page)
    (home / "page.html").write_text(page)
    library.index([home])
    snippets = {os.path.basename(hit.path): hit.snippet or "" for hit in library.search("apple cake").hits}
    assert "zebra" in snippets["page.txt"]
    assert "zebra" not in snippets["page.html"]
    assert "apple cake" in snippets["page.html"]


def test_everything_is_encoded_again_when_asked(library: Library, home: Path) -> None:
    library.index([home])
    report = library.index(rebuild=True)
    assert (report.encoded, report.unchanged) == (4, 0)
    assert files(library) == {"cat.png", "coffee.png", "coffee.md", "tax.txt"}


def test_nothing_is_encoded_again_while_a_drive_is_away(library: Library, home: Path) -> None:
    library.index([home])
    home.rename(home.with_name("unplugged"))
    with pytest.raises(MmsearchError, match="is not there, so its files cannot be encoded again"):
        library.index(rebuild=True)
    assert len(files(library)) == 4


def test_one_path_need_not_be_a_list(library: Library, home: Path) -> None:
    assert library.index(str(home)).added == 4
    assert library.index(home).unchanged == 4


def test_a_model_that_is_not_there_makes_no_library(library: Library, home: Path) -> None:
    with pytest.raises(MmsearchError, match=r"cannot be loaded|need torch"):
        library.index(home, model=str(home))
    assert not os.path.exists(library.folder)


def test_names_that_are_no_utf8_and_names_with_newlines_are_kept_apart(library: Library, home: Path) -> None:
    odd = [b"caf\xe9.txt", b"line\nbreak.txt", b"quote\"'.txt", "émoji 🐈.txt".encode(), b"-0.txt"]
    for number, name in enumerate(odd):
        with open(os.path.join(os.fsencode(home), name), "w") as file:
            file.write(f"Text number {number}.")
    library.index([home])
    assert {os.fsencode(name) for name in files(library)} >= set(odd)


def test_a_library_in_a_folder_of_an_odd_name(home: Path, tmp_path: Path) -> None:
    folder = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"we ird#?%20 caf\xe9"))
    with Library(folder) as library:
        assert library.index([home]).added == 4
        found = [library.search("income tax", scan="exact"), library.search("income tax", scan="graph")]
        assert [one.hits[0].path for one in found] == [str(home / "tax.txt")] * 2


def test_symbolic_links_are_followed_once(library: Library, home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.txt").write_text("A text far away.")
    (home / "link").symlink_to(elsewhere)
    (home / "loop").symlink_to(home)
    library.index([home])
    assert files(library) == {"cat.png", "coffee.png", "coffee.md", "tax.txt", "far.txt"}
    assert library.status().counts.texts == 3


def test_forget_takes_a_folder_or_file_out(library: Library, home: Path) -> None:
    library.index([home])
    forgotten = library.forget(home / "cat.png")
    assert (forgotten.files, forgotten.roots) == (1, (os.fsencode(home),))
    assert files(library) == {"coffee.png", "coffee.md", "tax.txt"}
    assert library.forget(home).files == 3
    assert library.status().roots == ()
    assert library.status().counts.items == 0
    with pytest.raises(MmsearchError, match="Nothing in the library"):
        library.forget(home)
    assert (home / "cat.png").exists()


def test_a_failing_batch_is_taken_item_by_item(library: Library, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.encoding.builtin import BuiltinEncoder

    encode = BuiltinEncoder._encode_images

    def fails_for_batches_and_wide_pictures(self: BuiltinEncoder, pictures: list[object]) -> object:
        if len(pictures) > 1 or pictures[0].width > 550:  # type: ignore[attr-defined]
            raise RuntimeError("out of something")
        return encode(self, pictures)  # type: ignore[arg-type]

    monkeypatch.setattr(BuiltinEncoder, "_encode_images", fails_for_batches_and_wide_pictures)
    report = library.index([home])
    assert report.added == 3
    assert report.failures == [
        FailedFile(os.fsencode(home / "coffee.png"), "the model could not encode it: out of something")
    ]


def test_a_second_writer_is_told_who_writes(library: Library, home: Path) -> None:
    from mmsearch.files.locking import WriterLock

    library.index([home])
    with WriterLock(library.folder):
        with pytest.raises(MmsearchError, match=f"is being written by process {os.getpid()}"):
            library.index([home])
        assert len(files(library)) == 4


@pytest.mark.slow
def test_a_killed_run_loses_nothing_that_was_committed(library: Library, home: Path, mmsearch: Mmsearch) -> None:
    for number in range(100):
        (home / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    environment = {**os.environ, "MMSEARCH_LIBRARY": library.folder, VARIABLE: "batch committed:3"}
    command = [sys.executable, "-m", "mmsearch", "index", str(home)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    kept = Library(library.folder).status()
    assert kept.counts.texts + kept.counts.images == 3 * 8
    assert kept.interrupted
    finished = mmsearch("index", home, library=Path(library.folder))
    assert "resumed: 24 already done" in finished.err
    assert "104 files searchable" in finished.out
    after = Library(library.folder).status()
    assert (after.counts.images, after.counts.texts, after.interrupted) == (2, 102, False)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_in_good_order(
    library: Library, home: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    for number in range(100):
        (home / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    environment = {**os.environ, "MMSEARCH_LIBRARY": library.folder, **signal_at(tmp_path, "batch committed", 1, sent)}
    command = [sys.executable, "-m", "mmsearch", "index", str(home), "--workers", "1"]
    stopped = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert stopped.returncode == code
    assert "goes on from there" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert 8 <= len(files(library)) <= 3 * 8


def test_a_library_of_other_weights_is_refused(library: Library, home: Path) -> None:
    import sqlite3

    library.index([home])
    library.close()
    with sqlite3.connect(Path(library.folder) / "library.db") as connection:
        connection.execute("UPDATE models SET fingerprint = 'another', revision = '0'")
    with refused("index --model mmsearch-mini --rebuild"):
        library.search("a cat")
    with refused("index --model mmsearch-mini --rebuild"):
        library.index([home])
    library.close()
    assert library.index([home], rebuild=True).encoded == 4
    assert library.search("a cat").hits[0].path.endswith("cat.png")
