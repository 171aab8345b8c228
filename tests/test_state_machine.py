"""Files come, change, move and go, drives are unplugged, processes are killed: the library follows a plain model."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from library_places import FOLDER, TEAM, Places, rows_at, wait_until_nobody_writes
from library_state import held_files

from mmsearch import IndexSettings, Library, Query
from mmsearch.files.crash_points import VARIABLE
from mmsearch.indexing.work import WorkSettings
from mmsearch.searching.query import text_term

CONTENTS = (
    "Three kittens sleep in a basket.",
    "The income tax return is due in July.",
    "A rocket rises over the sea at night.",
    "Bread is baked from flour and water.",
    "He repaired the engine of the motorcycle.",
    "Snow fell on the mountain village.",
)
POINTS = ("root noted", "run begun", "batch written", "batch committed", "gone files removed", "run finished")
# What is done after that is another thing for each kind of place.
POINTS_OF = {
    FOLDER: (*POINTS, "derived file written", "codes begun", "codes added", "record kept", "graph in place"),
    TEAM: (*POINTS, "words settled"),
}
# Those at which a process is killed that walks for workers, and those of a worker.
QUEUED, WORKING = ("root noted", "queued"), ("jobs claimed", "jobs written", "jobs stored")
LEASE = 1.0  # seconds
in_folder = precondition(lambda machine: machine.places.kind == FOLDER)  # a server does the same to its own pages
has_workers = precondition(lambda machine: machine.places.kind == TEAM)
contents = st.sampled_from(range(len(CONTENTS)))
# The second root is a drive; a folder within the first can be moved as a whole.
places = st.builds(
    os.path.join,
    st.sampled_from(["disk", "disk/a", "disk/A", "drive", "drive/b"]),
    st.sampled_from(["x.txt", "y.txt", "Y.txt"]),
)


class LibraryAndModel(RuleBasedStateMachine):
    """`files` is what lies on the disk, `held` what the library is to hold: content numbers by path."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places
        self.home = Path(tempfile.mkdtemp(prefix="mmsearch-model-"))
        self.library = Library(places.new())
        self.files: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.mounted = True
        for root in ("disk", "drive"):
            (self.home / root).mkdir()
            self._write(f"{root}/always.txt", 0)
        self._index()

    def teardown(self) -> None:
        self.library.close()
        self.places.remove(self.library.given)
        shutil.rmtree(self.home)

    def _write(self, place: str, content: int) -> None:
        path = self.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONTENTS[content])
        self.files[place] = content

    def _is_there(self, place: str) -> bool:
        return self.mounted or not place.startswith("drive")

    def _index(self, by_workers: bool = False) -> None:
        known = set(self.held.values())
        new = {place for place, content in self.files.items() if self._is_there(place) and place not in self.held}
        if by_workers:
            self._queue()
            self.library.work(WorkSettings(workers=1, exit_when_empty=True, lease=LEASE))
            settings = IndexSettings(queue=True)
        else:
            settings = IndexSettings()
        report = self.library.index(self._roots(), settings=settings)
        assert report.added <= len({place for place in new if self.files[place] not in known})
        assert report.failed == 0
        away = {place: content for place, content in self.held.items() if not self._is_there(place)}
        here = {place: content for place, content in self.files.items() if self._is_there(place)}
        self.held = {**away, **here}

    def _roots(self) -> list[Path]:
        return [self.home / "disk", self.home / "drive"] if self.mounted else []

    def _queue(self) -> None:
        """Walks, and leaves to workers what there is to be done."""
        settings = IndexSettings(queue=True)
        settings.stop.set()
        self.library.index(self._roots(), settings=settings)

    # What people do

    @rule(place=places, content=contents)
    def write(self, place: str, content: int) -> None:
        if self._is_there(place):
            self._write(place, content)

    @rule(source=places, to=places, copied=st.booleans())
    def move_or_copy(self, source: str, to: str, copied: bool) -> None:
        if source not in self.files or source == to or not (self._is_there(source) and self._is_there(to)):
            return
        (self.home / to).parent.mkdir(parents=True, exist_ok=True)
        if copied:
            shutil.copy2(self.home / source, self.home / to)
            self.files[to] = self.files[source]
        else:
            os.replace(self.home / source, self.home / to)
            self.files[to] = self.files.pop(source)

    @rule(place=places)
    def delete(self, place: str) -> None:
        if place in self.files and self._is_there(place):
            (self.home / place).unlink()
            del self.files[place]

    @rule()
    def move_a_tree(self) -> None:
        source, target = ("disk/a", "disk/moved") if (self.home / "disk" / "a").exists() else ("disk/moved", "disk/a")
        if (self.home / source).exists() and not (self.home / target).exists():
            (self.home / source).rename(self.home / target)
            for place in [one for one in self.files if one.startswith(source + "/")]:
                self.files[target + place[len(source) :]] = self.files.pop(place)

    @rule(leave_an_empty_folder=st.booleans())
    def plug(self, leave_an_empty_folder: bool) -> None:
        drive, away = self.home / "drive", self.home / "unplugged"
        if self.mounted:
            drive.rename(away)
            if leave_an_empty_folder:
                drive.mkdir()
        else:
            if drive.exists():
                drive.rmdir()
            away.rename(drive)
        self.mounted = not self.mounted

    # What mmsearch does

    @rule()
    def index(self) -> None:
        self._index()

    @has_workers
    @rule()
    def index_by_workers(self) -> None:
        self._index(by_workers=True)
        assert rows_at(self.library.given, "SELECT path FROM jobs WHERE worker_id IS NOT NULL") == []

    @rule(point=st.integers(0, 10))
    def killed_while_indexing(self, point: int) -> None:
        points = POINTS_OF[self.places.kind]
        self._killed(points[point % len(points)], "index")

    @has_workers
    @rule(point=st.sampled_from(QUEUED))
    def killed_while_queueing(self, point: str) -> None:
        if self._lacks_files():  # else it waits for nobody, and ends
            self._killed(point, "index", "--queue")

    @has_workers
    @rule(point=st.sampled_from(WORKING))
    def killed_while_working(self, point: str) -> None:
        self._queue()
        self._killed(point, "worker", "--exit-when-empty", "--workers", "1", "--lease", str(LEASE))

    def _lacks_files(self) -> bool:
        return any(self._is_there(place) and self.held.get(place) != held for place, held in self.files.items())

    def _killed(self, point: str, *arguments: str) -> None:
        environment = {**os.environ, "MMSEARCH_LIBRARY": self.library.given, VARIABLE: point}
        command = [sys.executable, "-m", "mmsearch", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        wait_until_nobody_writes(self.library.given)
        # Each file is as it was before, or as it is now; what is still there is not lost.
        observed = self._observed()
        for place in observed.keys() | self.held.keys():
            now = self.files.get(place) if self._is_there(place) else self.held.get(place)
            assert observed.get(place) in (self.held.get(place), now), place
        self.held = observed

    @rule()
    def prune(self) -> None:
        gone = {place for place in self.held if self.files.get(place) is None or not self._is_there(place)}
        losses = self.library.care.losses()
        assert losses.files == len(gone)
        if len(gone) < len(self.held):
            assert self.library.care.prune(losses).dropped == len(gone)
            for place in gone:
                del self.held[place]

    @in_folder
    @rule()
    def compact(self) -> None:
        self.library.care.compact()

    @in_folder
    @rule()
    def look_for_damage(self) -> None:
        assert self.library.care.examine().findings == ()

    @rule(asked=contents)
    def search(self, asked: int) -> None:
        hits = self.library.search(Query((text_term(CONTENTS[asked]),), limit=100, min_score=0.0, copies=True)).hits
        assert {os.path.relpath(hit.path, self.home) for hit in hits} == set(self.held)
        same = [place for place, content in self.held.items() if content == asked]
        best = {os.path.relpath(hit.path, self.home) for hit in hits[: len(same)]}
        assert best == set(same)
        for hit in hits:
            place = os.path.relpath(hit.path, self.home)
            assert hit.available == (place in self.files and self._is_there(place))

    @invariant()
    def the_library_holds_what_the_model_holds(self) -> None:
        assert self._observed() == self.held

    def _observed(self) -> dict[str, int]:
        """The content numbers of the library's files, by path."""
        held = held_files(self.library.given)
        return {
            os.path.relpath(os.fsdecode(path), self.home): CONTENTS.index(str(file.items[0][-1]))
            for path, file in held.items()
        }


SETTINGS = settings(
    max_examples=int(os.environ.get("MMSEARCH_MODEL_EXAMPLES", "12")),
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make a failure smaller takes minutes
    derandomize="MMSEARCH_MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


def test_the_library_follows_the_model(places: Places) -> None:
    class Here(LibraryAndModel):
        def __init__(self) -> None:
            super().__init__(places)

    run_state_machine_as_test(Here, settings=SETTINGS)
