"""Drives are unplugged, folders vanish, and a person says what is really gone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Mmsearch
from library_state import everything

from mmsearch import Library, MmsearchError, WalkRules
from mmsearch.indexing.run import IndexSettings
from mmsearch.indexing.walking import Found, walk
from mmsearch.records import Progress
from mmsearch.store.sqlite.store import SqliteStore


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of sixty short notes, half of them in a folder of its own."""
    folder = tmp_path / "many"
    (folder / "old").mkdir(parents=True)
    for number in range(60):
        place = folder / "old" if number % 2 else folder
        (place / f"{number}.txt").write_text(f"Note number {number} about boats.")
    return folder


def take_away(folder: Path, count: int) -> list[Path]:
    gone = [folder / "old" / f"{number}.txt" if number % 2 else folder / f"{number}.txt" for number in range(count)]
    for path in gone:
        path.unlink()
    return gone


@pytest.mark.slow
def test_a_folder_that_loses_most_of_its_files_at_once_keeps_them_until_a_person_agrees(
    library: Library, many: Path, mmsearch: Mmsearch
) -> None:
    library.index([many])
    take_away(many, 40)
    here = Path(library.folder)
    for _ in range(2):
        done = mmsearch("index", many, "--json", library=here)
        assert (done.json["removed"], done.json["unchanged"]) == (0, 20)
        assert done.json["absent"] == [{"path": str(many), "files": 40}]
        assert "40 files of" in done.err and "mmsearch prune" in done.err
    assert "40 of them are gone" in mmsearch("status", library=here).out
    found = everything(library)
    assert len(found) == 60
    assert sum(found.values()) == 20
    # More files arrive, so that the lost ones are few: they stay all the same.
    for number in range(60, 160):
        (many / f"{number}.txt").write_text(f"Note number {number} about boats.")
    assert mmsearch("index", many, "--json", library=here).json["removed"] == 0
    refused = mmsearch("prune", library=here)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert len(everything(library)) == 160
    only_said = mmsearch("prune", "--dry-run", library=here)
    assert only_said.code == 0
    assert "40  in all are gone" in only_said.out
    assert mmsearch("prune", "--yes", "--json", library=here).json["dropped"] == 40
    assert all(everything(library).values())
    assert library.status().roots[0].absent == 0
    assert mmsearch("prune", library=here).code == 0


def test_files_that_come_back_are_not_lost_any_more(library: Library, many: Path) -> None:
    library.index([many])
    kept = many.with_name("elsewhere")
    shutil.copytree(many, kept)
    take_away(many, 40)
    assert library.index([many]).absent[0].files == 40
    shutil.copytree(kept, many, dirs_exist_ok=True)
    report = library.index([many])
    assert (report.absent, report.removed, report.added) == ([], 0, 0)
    assert library.status().roots[0].absent == 0


def test_a_few_lost_files_and_files_that_were_moved_need_no_question(library: Library, many: Path) -> None:
    library.index([many])
    take_away(many, 20)
    assert library.index([many]).removed == 20
    (many / "new").mkdir()
    for path in [*many.glob("*.txt"), *(many / "old").glob("*.txt")]:
        path.rename(many / "new" / path.name)
    report = library.index([many])
    assert (report.removed, report.moved, report.added, report.absent) == (0, 40, 0, [])


def test_a_tree_that_moves_from_one_root_to_another_is_not_encoded_again(library: Library, many: Path) -> None:
    other = many.with_name("other")
    other.mkdir()
    (other / "own.txt").write_text("A note of its own.")
    library.index([many])
    library.index([other])
    (many / "old").rename(other / "old")
    # One root at a time, and the one that has lost them first.
    assert library.index([many]).removed == 30
    report = library.index([other])
    assert (report.moved, report.added) == (30, 0)
    (other / "old" / "1.txt").unlink()
    library.index([other])
    assert library.status().counts.contents == 60
    library.index([other])
    with closing(SqliteStore.read(library.folder)) as store:
        assert store.connection.execute("SELECT count(*) FROM contents").fetchone()[0] == 60


@pytest.mark.slow
def test_hits_on_a_drive_that_is_away_are_marked_and_left_out_of_paths(home: Path, mmsearch: Mmsearch) -> None:
    mmsearch("index", home)
    home.rename(home.with_name("unplugged"))
    said = mmsearch("index")
    assert f"{home} is missing or empty" in said.err
    assert "offline" in mmsearch("status").out
    shown = mmsearch("search", "a cat", "-n", "1")
    assert "(not there now)" in shown.out
    assert mmsearch("search", "a cat", "--json").json["hits"][0]["available"] is False
    paths = mmsearch("search", "a cat", "--paths")
    assert (paths.code, paths.out) == (1, "")
    assert "not there now" in paths.err and "left out" in paths.err
    assert mmsearch("search", "a cat", "-0").out == ""


def test_pruning_a_lost_root_takes_it_out(home: Path, many: Path, library: Library, mmsearch: Mmsearch) -> None:
    library.index([home, many])
    shutil.rmtree(home)
    (many / "0.txt").unlink()
    here = Path(library.folder)
    limited = mmsearch("prune", many, "--dry-run", "--json", library=here).json
    assert limited["losses"] == [{"path": str(many / "0.txt"), "files": 1}]
    said = mmsearch("prune", "--yes", library=here).out
    assert f"4  {home}" in said
    assert "5 files dropped" in said
    assert [root.path for root in library.status().roots] == [os.fsencode(many)]
    assert library.index().unchanged == 59


def test_what_came_back_between_question_and_answer_stays(home: Path, library: Library) -> None:
    library.index([home])
    away = home.with_name("unplugged")
    home.rename(away)
    losses = library.care.losses()
    assert losses.files == 4
    away.rename(home)
    assert library.care.prune(losses).dropped == 0
    assert len(everything(library)) == 4


def test_what_cannot_be_looked_at_is_not_gone(home: Path, locked: Path, mmsearch: Mmsearch) -> None:
    mmsearch("index", home)
    locked.chmod(0)
    try:
        done = mmsearch("prune", "--yes", as_anybody=True)
    finally:
        locked.chmod(0o755)
    assert done.code == 0
    assert "nothing is gone" in done.out


MOUNTED = """
import json, subprocess, sys
from pathlib import Path
from mmsearch import Library
home, library = Path(sys.argv[1]), Library(sys.argv[2])
drive = home / "drive"
linked = home.with_name("media")
said = []
for place in (drive, linked):
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    for number in range(3):
        (place / f"{place.name} {number}.txt").write_text(f"Text {number} on {place.name}.")
(home / "link").symlink_to(linked)
said.append(library.index([home]).added)
for place in (drive, linked):
    subprocess.run(["umount", place], check=True)
(drive / "stray.txt").write_text("A stray note.")
library.index([home])
report = library.index([home])
(drive / "stray.txt").unlink()
library.index([home])
said.append([report.removed, sorted(path.decode().rsplit("/", 1)[1] for path in report.offline)])
said.append([path.decode().rsplit("/", 1)[1] for path in library.status().roots[0].unmounted])
said.append(library.care.prune(library.care.losses()).dropped)
report = library.index([home])
said.append([report.removed, report.offline])
print(json.dumps(said))
"""


def can_mount() -> bool:
    """Whether this test may have a file system table of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "sh", "-c", "mkdir -p /tmp/mmsearch-probe && mount -t tmpfs t /tmp/mmsearch-probe"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only root can mount")
def test_a_drive_below_a_root_is_unmounted(home: Path, tmp_path: Path) -> None:
    command = ["unshare", "--mount", sys.executable, "-c", MOUNTED, str(home), str(tmp_path / "library")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    added, unplugged, unmounted, pruned, after = json.loads(done.stdout)
    assert added == 10
    assert unplugged == [0, ["drive", "link"]]
    assert unmounted == ["drive", "link"]
    assert pruned == 7
    assert after == [0, []]


def test_a_drive_that_is_pulled_out_while_it_is_read_comes_back_whole(many: Path, library: Library) -> None:
    away = many.with_name("unplugged")
    (many / "0.txt").write_text("A note that is there before.")
    library.index([many], rules=WalkRules(include=("0.txt",)))
    (many / "0.txt").write_text("A note that was changed.")

    def pull(progress: Progress) -> None:
        if progress.total and progress.done >= 8 and many.exists():
            many.rename(away)

    report = library.index([many], rules=WalkRules(), settings=IndexSettings(workers=1), on_progress=pull)
    assert report.offline == [os.fsencode(many)] or report.added < 60
    assert library.status().failures == ()
    away.rename(many)
    library.index([many])
    assert len(everything(library)) == 60
    assert all(everything(library).values())


def test_a_drive_that_vanishes_during_the_walk_loses_nothing(
    many: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([many])
    away = many.with_name("unplugged")

    def walk_and_pull(root: bytes, rules: WalkRules, *more: object) -> Iterator[Found]:
        for number, found in enumerate(walk(root, rules)):
            if number == 45:
                many.rename(away)
                return
            yield found

    monkeypatch.setattr("mmsearch.indexing.reconciling.walk", walk_and_pull)
    report = library.index([many])
    assert (report.removed, report.offline) == (0, [os.fsencode(many)])
    monkeypatch.undo()
    away.rename(many)
    assert library.index([many]).unchanged == 60


def test_a_small_folder_that_loses_everything_keeps_it(home: Path, library: Library) -> None:
    library.index([home])
    for path in home.iterdir():
        path.unlink()
    (home / "desktop.ini").write_text("[.ShellClassInfo]")
    report = library.index([home])
    assert (report.removed, report.absent[0].files) == (0, 4)


def test_pruning_one_folder_says_nothing_of_the_others(many: Path, library: Library) -> None:
    library.index([many])
    take_away(many, 45)
    assert library.index([many]).absent[0].files == 45
    losses = library.care.losses([many / "old"])
    assert library.care.prune(losses).dropped == losses.files == 22
    report = library.index([many])
    assert (report.removed, report.absent[0].files) == (0, 23)


def test_nothing_is_encoded_anew_while_files_are_away(many: Path, library: Library) -> None:
    library.index([many])
    away = many.with_name("unplugged")
    many.rename(away)
    many.mkdir()
    with pytest.raises(MmsearchError, match="cannot be encoded again"):
        library.index(rebuild=True)
    many.rmdir()
    away.rename(many)
    take_away(many, 40)
    library.index([many])
    with pytest.raises(MmsearchError, match="has lost files, so"):
        library.index(rebuild=True)
    assert library.status().counts.items == 60


def test_links_to_files_of_a_drive_that_is_away_stay(many: Path, home: Path, library: Library) -> None:
    for number in range(10):
        (home / f"link {number}.txt").symlink_to(many / f"{2 * number}.txt")
    library.index([home])
    away = many.with_name("unplugged")
    many.rename(away)
    for _ in range(3):
        report = library.index([home])
        assert (report.removed, len(report.problems)) == (0, 10)
    assert len(everything(library)) == 14
    away.rename(many)
    report = library.index([home])
    assert (report.added, report.moved, report.unchanged, report.problems) == (0, 0, 14, [])
    assert library.status().failures == ()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
def test_a_file_is_gone_where_something_that_is_no_file_has_taken_its_place(home: Path, library: Library) -> None:
    for name in ("piped", "device", "around"):
        (home / f"{name}.txt").write_text(f"A note about the {name}.")
    with zipfile.ZipFile(home / "old.zip", "w") as archive:
        archive.writestr("inside.txt", "A note that was packed.")
    assert library.index([home], rules=WalkRules(archives=True)).added == 8
    for name in ("piped.txt", "device.txt", "around.txt", "old.zip"):
        (home / name).unlink()
    os.mkfifo(home / "piped.txt")
    os.mkfifo(home / "old.zip")
    (home / "device.txt").symlink_to("/dev/null")
    (home / "around.txt").symlink_to(home)
    report = library.index()
    assert (report.removed, report.unchanged, len(report.problems)) == (4, 4, 4)
    assert set(everything(library)) == {"cat.png", "coffee.png", "coffee.md", "tax.txt"}
    assert (library.index().removed, len(library.status().failures)) == (0, 4)


def test_pruning_drops_links_that_lead_nowhere(many: Path, home: Path, library: Library, mmsearch: Mmsearch) -> None:
    (home / "link.txt").symlink_to(many / "2.txt")
    library.index([home])
    (many / "2.txt").unlink()
    assert (library.index().removed, everything(library)["link.txt"]) == (0, False)
    found = mmsearch("search", '"note"', "--min-score", "0", library=library.folder)
    assert "`mmsearch prune` drops what is gone" in found.err
    done = mmsearch("prune", "-y", library=library.folder)
    assert (done.code, done.out.splitlines()[-1]) == (0, "1 file dropped")
    assert "link.txt" in str(done.out) and "link.txt" not in everything(library)


def test_a_drive_that_drops_for_a_moment_of_the_walk_loses_nothing(
    many: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([many])
    (many / "new.txt").write_text("A new note.")
    walks = []

    def walk_with_a_gap(root: bytes, rules: WalkRules, *more: object) -> Iterator[Found]:
        walks.append(root)
        for number, found in enumerate(walk(root, rules)):
            if len(walks) > 1 or number < 10 or found.path.endswith(b"new.txt"):
                yield found

    monkeypatch.setattr("mmsearch.indexing.reconciling.walk", walk_with_a_gap)
    report = library.index([many])
    assert (report.removed, report.added) == (0, 1)
    assert len(everything(library)) == 61


def test_copies_elsewhere_do_not_make_a_lost_drive_a_moved_one(many: Path, library: Library) -> None:
    copy = many.with_name("copy")
    shutil.copytree(many, copy)
    library.index([many, copy])
    copy.rename(many.with_name("unplugged"))
    copy.mkdir()
    (copy / "stray.txt").write_text("A note that was written to the empty folder.")
    report = library.index()
    assert (report.removed, report.added) == (0, 1)
    assert [(absence.path, absence.files) for absence in report.absent] == [(os.fsencode(copy), 60)]


def test_a_failing_disk_does_not_end_the_asking(many: Path, library: Library, mmsearch: Mmsearch) -> None:
    library.index([many])
    take_away(many, 40)
    library.index([many])
    library.close()
    here = Path(library.folder)
    many.chmod(0)
    try:
        mmsearch("index", library=here, as_anybody=True)
    finally:
        many.chmod(0o755)
    assert library.status().roots[0].absent == 40
    for number in range(30):
        place = many / "old" if number % 2 else many
        (place / f"{number}.txt").write_text(f"Note number {number} about boats.")
    report = library.index([many])
    assert (report.removed, report.absent[0].files) == (0, 10)
