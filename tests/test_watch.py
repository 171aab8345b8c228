"""`mmsearch watch`: a process of its own on folders that change, as on a person's disk."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import toy_stage
from conftest import Mmsearch
from interrupting import signal_at
from library_state import everything
from PIL import Image

from mmsearch import IndexSettings, Library, Unsupported, WatchEvent, WatchSettings, reading
from mmsearch.cli import services
from mmsearch.files.locking import WriterLock
from mmsearch.indexing import stages
from mmsearch.indexing.watching import inotify, trees
from mmsearch.indexing.watching.changes import Change, OnChange, WatchesExhausted
from mmsearch.indexing.watching.coverage import open_source
from mmsearch.indexing.watching.mounts import MountTable
from mmsearch.indexing.watching.pending import (
    GATHER_SECONDS,
    MOST_PATHS,
    MOST_WAIT_SECONDS,
    OPEN_REST_SECONDS,
    REST_SECONDS,
    Pending,
)
from mmsearch.indexing.watching.watcher import Watcher
from mmsearch.reading import OpenFile
from mmsearch.records import Part

# Generous: what comes at all comes within seconds.
DEADLINE = 90.0


def until(found: Callable[[], object]) -> None:
    """Waits until that is so."""
    end = time.monotonic() + DEADLINE
    while not found():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.1)


class Watching:
    """A process of `mmsearch watch --json` and what it has told so far."""

    def __init__(self, library: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        self.out, self.err = library.with_name("out"), library.with_name("err")
        command = ["env", "--default-signal=INT", sys.executable, "-m", "mmsearch", "watch", "--json"]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*command, *map(str, arguments)],
                env={**os.environ, "MMSEARCH_LIBRARY": str(library), **(environment or {})},
                stdout=out,
                stderr=err,
            )

    def events(self, kind: str) -> list[Any]:
        lines = self.out.read_text().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in told if one["event"] == kind]

    def told(self, kind: str, times: int = 1) -> Any:
        until(lambda: len(self.events(kind)) >= times)
        return self.events(kind)[times - 1]

    def counted(self, what: str) -> int:
        return sum(event["report"][what] for event in self.events("indexed"))

    def end(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(DEADLINE)


@contextmanager
def watching(
    library: Path, *arguments: str | Path, meanwhile: Callable[[Watching], None] = lambda watch: None
) -> Iterator[Watching]:
    """Such a process, once it waits for changes; `meanwhile` is what is done while it starts."""
    watch = Watching(library, *arguments)
    try:
        meanwhile(watch)
        watch.told("watching")
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "old").mkdir(parents=True)
    (folder / "boats.txt").write_text("A note about boats.")
    (folder / "old" / "trains.txt").write_text("A note about trains.")
    return folder


def held(library: Path) -> set[str]:
    """The names of all files that a search finds."""
    with Library(library) as opened:
        return set(everything(opened))


def finds(library: Path, query: str) -> list[str]:
    with Library(library) as opened:
        return [Path(hit.path).name for hit in opened.search(query).hits]


@pytest.mark.slow
def test_what_is_written_moved_and_deleted_is_found_so(notes: Path, tmp_path: Path, mmsearch: Mmsearch) -> None:
    library = tmp_path / "library"
    with watching(library, notes) as watch:
        assert watch.told("indexed")["report"]["added"] == 2
        (notes / "whales.txt").write_text("A note about whales that sing.")
        until(lambda: "whales.txt" in finds(library, '"whales"'))
        (notes / "whales.txt").write_text("A note about dolphins, which was about others.")
        until(lambda: "whales.txt" in finds(library, '"dolphins"'))
        (notes / "boats.txt").unlink()
        until(lambda: "boats.txt" not in held(library))
        # A tree that comes in one piece, is renamed, and leaves again.
        shutil.copytree(notes / "old", tmp_path / "tree" / "deep")
        (tmp_path / "tree" / "deep" / "planes.txt").write_text("A note about planes.")
        (tmp_path / "tree").rename(notes / "tree")
        until(lambda: "planes.txt" in held(library))
        (notes / "tree").rename(notes / "renamed")
        until(lambda: finds(library, '"planes"') and Path(paths(library, '"planes"')[0]).parts[-3] == "renamed")
        (notes / "renamed" / "deep" / "inside.txt").write_text("A note about insects.")
        until(lambda: "inside.txt" in held(library))
        (notes / "renamed").rename(tmp_path / "away")
        until(lambda: held(library) == {"whales.txt", "trains.txt"})
        assert watch.end() == 0
    assert mmsearch("index", "--json", library=library).json["added"] == 0


def paths(library: Path, query: str) -> list[str]:
    with Library(library) as opened:
        return [hit.path for hit in opened.search(query).hits]


def test_a_slow_copy_is_not_read_half(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with watching(library, notes) as watch:
        with (notes / "slow.txt").open("w") as file:
            file.write("The beginning is about whales.\n")
            file.flush()
            (notes / "other.txt").write_text("A note about planes.")

            def grows() -> bool:
                file.write("Next to nothing.\n")
                file.flush()
                return "other.txt" in held(library)

            until(grows)  # however long it takes
            assert "slow.txt" not in held(library)
            file.write("The end is about dolphins.\n")
        until(lambda: watch.counted("added") == 4)
        assert finds(library, '"dolphins"') == ["slow.txt"]
        assert watch.counted("updated") == 0


@pytest.mark.slow
def test_ignore_files_rule_at_once_and_what_they_leave_out_is_not_watched(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    (notes / "node_modules" / "deep").mkdir(parents=True)
    with watching(library, notes) as watch:
        assert watch.told("watching")["folders"] == 2
        (notes / "old" / ".mmsearchignore").write_text("trains.*\n")
        until(lambda: held(library) == {"boats.txt"})
        (notes / "old" / ".mmsearchignore").unlink()
        until(lambda: held(library) == {"boats.txt", "trains.txt"})


def test_sidecars_are_told_of_their_photos(home: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with watching(library, home) as watch:
        (home / "cat.png.json").write_text('{"description": "Zanzibar"}')
        until(lambda: "cat.png" in finds(library, '"Zanzibar"'))
        until(lambda: watch.counted("details_read") == 1)


@pytest.mark.slow
def test_a_root_that_goes_loses_nothing_and_is_watched_when_it_is_back(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    away = tmp_path / "away"
    with watching(library, notes) as watch:
        notes.rename(away)
        assert watch.told("offline")["paths"] == [str(notes)]
        assert held(library) == {"boats.txt", "trains.txt"}
        notes.mkdir()  # as the place where a drive is mounted
        (away / "planes.txt").write_text("A note about planes.")
        notes.rmdir()
        away.rename(notes)
        assert watch.told("online")["paths"] == [str(notes)]
        until(lambda: "planes.txt" in held(library))
        (notes / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))
        assert watch.counted("removed") == 0


@pytest.mark.slow
def test_a_root_that_is_away_at_the_start_is_waited_for(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with Library(library) as opened:
        opened.index([notes])
    notes.rename(tmp_path / "away")
    with watching(library, notes) as watch:
        watch.told("offline")
        (tmp_path / "away").rename(notes)
        watch.told("online")
        (notes / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting takes root on Linux")
def test_a_drive_below_a_root_comes_and_goes(notes: Path, tmp_path: Path) -> None:
    library, drive = tmp_path / "library", notes / "drive"
    drive.mkdir()

    def mount() -> None:
        subprocess.run(["mount", "-t", "tmpfs", "mmsearch-test", str(drive)], check=True)

    mount()
    try:
        (drive / "planes.txt").write_text("A note about planes.")
        with watching(library, notes) as watch:
            assert "planes.txt" in held(library)
            subprocess.run(["umount", str(drive)], check=True)
            assert watch.told("offline")["paths"] == [str(drive)]
            assert "planes.txt" in held(library)
            mount()
            (drive / "planes.txt").write_text("A note about planes.")
            (drive / "whales.txt").write_text("A note about whales.")
            watch.told("online")
            until(lambda: "whales.txt" in held(library))
    finally:
        subprocess.run(["umount", "-l", str(drive)], check=False)


def test_a_single_file_that_is_a_root_is_looked_after(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with watching(library, notes / "boats.txt"):
        (notes / "boats.txt").write_text("A note about whales, which was about others.")
        until(lambda: finds(library, '"whales"'))
        assert held(library) == {"boats.txt"}


@pytest.mark.slow
def test_after_a_kill_the_next_one_goes_on(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    killed = Watching(library, notes, environment=signal_at(tmp_path, "batch written", 1, signal.SIGKILL))
    assert killed.process.wait(DEADLINE) == -signal.SIGKILL
    (notes / "whales.txt").write_text("A note about whales.")
    with watching(library, notes):
        until(lambda: held(library) == {"boats.txt", "trains.txt", "whales.txt"})


def test_a_person_reads_how_many_files_there_are_and_then_what_changes(notes: Path, tmp_path: Path) -> None:
    out, environment = tmp_path / "out", {**os.environ, "MMSEARCH_LIBRARY": str(tmp_path / "library")}
    command = [sys.executable, "-m", "mmsearch", "watch", str(notes)]
    with out.open("wb") as to, (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(command, env=environment, stdout=to, stderr=err)
    try:
        until(lambda: "stop it with" in (tmp_path / "err").read_text())
        (notes / "whales.txt").write_text("A note about whales.")
        until(lambda: len(out.read_text().splitlines()) == 2)
    finally:
        process.kill()
        process.wait()
    first, then = out.read_text().splitlines()
    assert first.startswith("2 files searchable: 2 added in ")
    assert then.startswith("1 added in ")  # and not that one file is searchable: there are three


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_in_good_order(notes: Path, tmp_path: Path, sent: signal.Signals, code: int) -> None:
    with watching(tmp_path / "library", notes) as watch:
        assert watch.end(sent) == code
        assert "what was done is kept" in watch.err.read_text()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_what_is_in_work_at_its_end_is_kept(notes: Path, tmp_path: Path, sent: signal.Signals, code: int) -> None:
    library = tmp_path / "library"
    watch = Watching(library, notes, environment=signal_at(tmp_path, "batch committed", 1, sent))
    assert watch.process.wait(DEADLINE) == code
    assert held(library) == {"boats.txt", "trains.txt"}


@pytest.mark.slow
def test_it_waits_while_another_process_writes_the_library(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with watching(library, notes) as watch:
        with WriterLock(str(library)):
            (notes / "whales.txt").write_text("A note about whales.")
            assert "being written" in watch.told("waiting")["message"]
            time.sleep(3)  # it tries again, and says so once
        until(lambda: "whales.txt" in held(library))
        assert len(watch.events("waiting")) == 1


def test_it_waits_at_its_start_too(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with Library(library) as opened:
        opened.index([notes])
    lock = WriterLock(str(library))
    lock.__enter__()

    def let_go(watch: Watching) -> None:
        watch.told("waiting")
        lock.__exit__(None, None, None)

    with watching(library, meanwhile=let_go) as watch:
        assert len(watch.events("waiting")) == 1


@pytest.mark.slow
def test_a_root_that_another_process_brings_is_watched_too(notes: Path, tmp_path: Path, mmsearch: Mmsearch) -> None:
    library, more = tmp_path / "library", tmp_path / "more"
    more.mkdir()
    (more / "planes.txt").write_text("A note about planes.")
    with Library(library) as opened:
        opened.index([notes])
    with watching(library):
        assert mmsearch("index", more, library=library).code == 0

        def is_watched() -> bool:
            (more / "trams.txt").write_text("A note about trams.")
            time.sleep(2)
            return "trams.txt" in held(library)

        until(is_watched)


@pytest.mark.slow
def test_the_library_within_a_root_does_not_wake_it(notes: Path) -> None:
    library = notes / "library"
    with watching(library, notes) as watch:
        (notes / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))
        time.sleep(3)  # as long as it takes to notice what a run writes
        assert len(watch.events("indexed")) == 2


def test_what_is_no_folder_is_an_error(tmp_path: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("watch", tmp_path / "nowhere")
    assert (done.code, "does not exist" in done.err) == (2, True)
    assert mmsearch("watch").code == 2


# In threads of a program, with systems that tell less


@contextmanager
def watcher(
    notes: Path, library: Path, settings: WatchSettings, source: Any = open_source, table: MountTable | None = None
) -> Iterator[list[WatchEvent]]:
    told: list[WatchEvent] = []
    made = Library(library).watcher([notes], on_event=told.append)
    ready = Watcher(made._library, settings, told.append, source, table)
    with ready:
        until(lambda: ready.error or any(event.event == "watching" for event in told))
        yield told
    assert ready.error is None


@pytest.mark.slow
def test_a_thread_watches_and_lets_go_of_the_model(notes: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with watcher(notes, library, WatchSettings(keep_model=0.1)):
        time.sleep(3)
        (notes / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))


def test_a_new_file_does_not_wait_for_all_pictures_in_which_text_is_looked_for(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, photos = tmp_path / "library", tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        Image.new("RGB", (64, 48), (20 * number, 0, 0)).save(photos / f"{number}.png")
    was_there: list[bool] = []

    def read_slowly(engine: object, file: OpenFile) -> Iterator[Part]:
        if not was_there:
            (notes / "whales.txt").write_text("A note about whales.")
        time.sleep(REST_SECONDS)
        was_there.append("whales.txt" in held(library))
        yield Part("text", "Nothing else", toy_stage.PLACE, "ocr")

    monkeypatch.setattr(reading, "STAGES", [toy_stage.STAGE])
    monkeypatch.setattr(stages, "STAGES", reading.STAGES)
    monkeypatch.setattr(toy_stage.Engine, "parts", read_slowly)
    settings = WatchSettings(index=IndexSettings(stages={"ocr": ""}))
    with Library(library).watcher([photos, notes], settings=settings) as watch:
        until(lambda: watch.error or len(was_there) == 12)
    assert not was_there[0] and was_there[-1]
    assert was_there == sorted(was_there)


def test_where_the_system_watches_no_more_folders_are_walked_from_time_to_time(notes: Path, tmp_path: Path) -> None:
    class Narrow(inotify.Inotify):
        def add(self, folder: bytes) -> None:
            if self.count() >= 1 and folder not in self._numbers:
                raise WatchesExhausted("fs.inotify.max_user_watches")
            super().add(folder)

    library = tmp_path / "library"
    with watcher(notes, library, WatchSettings(every=1.0), Narrow) as told:
        timed = [event for event in told if event.event == "timed"]
        assert len(timed) == 1
        assert "sudo sysctl fs.inotify.max_user_watches=" in timed[0].message
        assert timed[0].paths == (os.fsencode(notes),)
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))
        assert [event.event for event in told].count("timed") == 1


def test_a_network_drive_is_walked_from_time_to_time(notes: Path, tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    device = os.stat(notes).st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    table.write_text(f"36 35 {numbers} / {tmp_path} rw - fuse.sshfs me@host:/ rw\n")
    library = tmp_path / "library"
    with watcher(notes, library, WatchSettings(every=1.0), table=MountTable(str(table))) as told:
        timed = [event for event in told if event.event == "timed"]
        assert ["network drive (fuse.sshfs)" in event.message for event in timed] == [True]
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))


def test_lost_events_are_made_up_for_by_a_walk(notes: Path, tmp_path: Path) -> None:
    class Deaf(inotify.Inotify):
        def __init__(self, on_change: OnChange) -> None:
            super().__init__(lambda change: on_change(Change(None)))

    library = tmp_path / "library"
    with watcher(notes, library, WatchSettings(), Deaf):
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))


def test_once_the_machine_was_asleep_all_is_walked(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asleep(inotify.Inotify):
        def __init__(self, on_change: OnChange) -> None:
            super().__init__(lambda change: None)

    library = tmp_path / "library"
    with watcher(notes, library, WatchSettings(), Asleep):
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        awake = time.time
        monkeypatch.setattr(time, "time", lambda: awake() + 3600)  # which the monotonic clock has not seen
        until(lambda: "whales.txt" in held(library))


def test_watchfiles_tells_of_trees(notes: Path, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="the watch extra is not installed")
    library = tmp_path / "library"
    (notes / "node_modules").mkdir()
    with watcher(notes, library, WatchSettings(), trees.Trees) as told:
        (notes / "node_modules" / "left-out.txt").write_text("A note.")
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(library))
        (notes / "new").mkdir()
        (notes / "new" / "planes.txt").write_text("A note about planes.")
        until(lambda: "planes.txt" in held(library))
        shutil.rmtree(notes / "old")
        until(lambda: held(library) == {"boats.txt", "planes.txt"})
        assert not any(b"left-out" in path for event in told for path in event.paths)


def test_without_it_other_systems_say_which_extra_they_need(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(Unsupported, match="extra watch"):
        trees.Trees(lambda change: None)
    made = Library(tmp_path / "library").watcher([notes])
    with pytest.raises(Unsupported, match="extra watch"):
        Watcher(made._library, WatchSettings(), lambda event: None, trees.Trees).run()
    with watcher(notes, tmp_path / "library", WatchSettings(every=1.0), trees.Trees) as told:
        assert [event.event for event in told].count("timed") == 1
        (notes / "old" / "whales.txt").write_text("A note about whales.")
        until(lambda: "whales.txt" in held(tmp_path / "library"))


# The parts


def test_changes_wait_for_their_rest_and_are_taken_together() -> None:
    pending = Pending()
    pending.note(b"/a", 0.0)
    pending.note(b"/written", 0.1, is_written=True)
    pending.note(b"/b", 0.4)
    assert pending.take(0.6) == []
    assert pending.due() == 0.4 + REST_SECONDS
    assert pending.take(1.0) == [b"/a", b"/b"]
    assert pending.due() == 0.1 + OPEN_REST_SECONDS
    pending.note(b"/written", 3.0, is_written=False)
    assert pending.take(3.0 + REST_SECONDS) == [b"/written"]
    assert pending.due() is None


def test_what_rests_does_not_wait_for_ever_for_what_does_not() -> None:
    pending = Pending()
    pending.note(b"/a", 0.0)
    now = 0.0
    while not (taken := pending.take(now)):
        now += 0.1
        pending.note(b"/log", now)
        assert now < OPEN_REST_SECONDS
    assert taken == [b"/a"]


def test_what_changes_again_and_again_is_read_less_often_and_in_any_case() -> None:
    pending = Pending()
    taken: list[float] = []
    for tenth in range(1_000):
        now = tenth / 10
        if tenth % 10 == 0:
            pending.note(b"/log", now, is_written=False)
        taken += [now for _ in pending.take(now)]
    assert taken[0] == REST_SECONDS
    assert MOST_WAIT_SECONDS < taken[1] < MOST_WAIT_SECONDS + 2 * GATHER_SECONDS
    assert len(taken) == 4
    pending = Pending()
    for now, rests in ((0.0, True), (1.0, False), (100.0, True)):
        pending.note(b"/a", now)
        assert pending.take(now + REST_SECONDS) == ([b"/a"] if rests else [])


def test_more_paths_than_a_list_holds_are_everything() -> None:
    pending = Pending()
    for number in range(MOST_PATHS + 1):
        pending.note(b"/%d" % number, 0.0)
    assert pending.is_everything
    pending.take_everything()
    assert pending.due() is None


def test_the_table_of_mounts_is_read_with_its_escapes(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n"
        "40 27 0:50 / /media/two\\040words rw - nfs4 host:/x rw\n"
        "cut off\n"
    )
    proc, drive = MountTable(str(table)).mounts()
    assert (proc.path, proc.is_network) == (b"/proc", False)
    assert (drive.path, drive.is_network, drive.device) == (b"/media/two words", True, os.makedev(0, 50))
    assert MountTable(str(tmp_path / "nowhere")).mounts() == ()
    assert not MountTable(str(tmp_path / "nowhere")).has_changed()


# As a service


def test_a_unit_of_systemd_is_written_and_removed(
    notes: Path, tmp_path: Path, mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if sys.platform != "linux":
        pytest.skip("systemd is of Linux")
    asked = ("watch", "--install", "--json", "--every", "60", "--exclude", "100%$HOME", "--no-hidden", notes)
    done = mmsearch(*asked, library=tmp_path / "library").json
    unit = tmp_path / "config" / "systemd" / "user" / "mmsearch-watch.service"
    assert (done["file"], done["is_there"], done["is_done"]) == (str(unit), True, False)
    assert "systemctl --user enable mmsearch-watch.service" in done["commands"]
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    assert '"--exclude" "100%%$$HOME" "--no-hidden"' in line
    assert line.endswith(f'"--library" "{tmp_path / "library"}" "--" "{notes}"')
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(
            ["systemd-analyze", "--user", "verify", str(unit)], capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")
    removed = mmsearch("watch", "--uninstall", "--json", library=tmp_path / "library").json
    assert (removed["is_there"], unit.exists()) == (False, False)
    assert mmsearch("watch", "--uninstall", library=tmp_path / "library").code == 2
    assert mmsearch("watch", "--uninstall", "--install", library=tmp_path / "library").code == 2


def test_an_agent_of_launchd_is_a_property_list() -> None:
    command = ["/usr/bin/python3", "-m", "mmsearch", "watch", "--", "/Users/ana/A & B"]
    described = plistlib.loads(services.property_list(command, {"MMSEARCH_MODELS": "/models"}))
    assert described["ProgramArguments"] == command
    assert described["EnvironmentVariables"] == {"MMSEARCH_MODELS": "/models"}
    assert described["RunAtLoad"] is True
