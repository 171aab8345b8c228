"""The process is killed between any two writes, or at any time, and the next run makes the library whole."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from interrupting import hooked, killed_at_write, signal_at, writes_counted
from library_places import FOLDER, TEAM, Places, rows_at, wait_until_nobody_writes
from library_state import assert_like_a_fresh_one, assert_same, held_files
from PIL import Image
from test_offline import can_mount

from mmsearch import Filters, IndexSettings, Library, Query
from mmsearch.files import crash_points
from mmsearch.files.crash_points import CRASH_POINTS, VARIABLE
from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.indexing.journal import IN_FLIGHT_NAME, InFlight
from mmsearch.indexing.suspects import Fatal, Suspect, fatal_files
from mmsearch.indexing.trial import TrialSettings
from mmsearch.nearest import row_file
from mmsearch.reading import ReadLimits
from mmsearch.searching.query import text_term

TO_VERSION_5 = """ALTER TABLE contents DROP COLUMN reader;
    ALTER TABLE contents DROP COLUMN duration;
    ALTER TABLE contents DROP COLUMN pages;
    ALTER TABLE items DROP COLUMN source;
    ALTER TABLE items DROP COLUMN page;
    ALTER TABLE items DROP COLUMN region;
    ALTER TABLE items DROP COLUMN time_from;
    ALTER TABLE items DROP COLUMN time_to;
    ALTER TABLE items DROP COLUMN ordinal;
    ALTER TABLE items DROP COLUMN last;
    ALTER TABLE failures DROP COLUMN readers;
    DROP TRIGGER contents_with_stages_removed;
    DROP TABLE stages;
    DROP TABLE stage_parts;
    DROP TRIGGER wordless_contents_removed;
    DROP TRIGGER wordless_models_removed;
    DROP TABLE wordless;
    DROP TABLE archives;
    DROP TRIGGER contents_removed;
    DROP TRIGGER models_removed;
    ALTER TABLE models RENAME COLUMN may_lack_files TO behind;
    DROP TABLE remarks;
    DROP TRIGGER models_with_banks_removed;
    DROP TABLE query_banks;
    DROP TRIGGER items_removed;
    DROP TABLE part_names;
    DROP TRIGGER contents_with_details_removed;
    DROP TABLE details;
    DROP TRIGGER files_with_sidecars_removed;
    DROP TABLE sidecars;
    ALTER TABLE failures DROP COLUMN checksum;
    ALTER TABLE adapters DROP COLUMN checksum;
    DROP TABLE spaces;
    DROP TABLE unread;
    DELETE FROM settings WHERE key IN ('readers', 'state', 'schema');
    ALTER TABLE contents DROP COLUMN checksum;
    ALTER TABLE files DROP COLUMN checksum;
    ALTER TABLE files DROP COLUMN ctime_ns;
    DROP INDEX contents_of_older_hash;
    ALTER TABLE contents DROP COLUMN hash;
    ALTER TABLE items DROP COLUMN checksum;
    ALTER TABLE models DROP COLUMN checksum;
    ALTER TABLE roots DROP COLUMN checksum;
    ALTER TABLE settings DROP COLUMN checksum;
    ALTER TABLE vectors DROP COLUMN checksum;
    PRAGMA user_version = 5;"""
# A picture of that name ends the process, as a decoder's crash does.
DEADLY = """
def changed(module):
    read = module._read
    def deadly(loaded, *rest):
        if b"deadly" in loaded.path:
            os.kill(os.getpid(), 9)
        return read(loaded, *rest)
    module._read = deadly
"""


READ = ReadLimits()
# A text with that word ends the process, as a crash of the model does.
DEADLY_WORDS = """
def changed(module):
    encode = module.OnnxEncoder._encode_texts
    def deadly(self, texts):
        if any("abracadabra" in text for text in texts):
            os.kill(os.getpid(), 9)
        return encode(self, texts)
    module.OnnxEncoder._encode_texts = deadly
"""
# The model cannot be loaded: the process ends, as for want of memory.
DEADLY_MODEL = """
def changed(module):
    def deadly(self, *rest):
        os.kill(os.getpid(), 9)
    module.OnnxEncoder._load = deadly
"""
# So small a library has a file of rows too.
WITH_ROWS = """
def changed(module):
    module.ROWS_FROM = 1
"""


def run(
    location: Path | str, *arguments: str | Path, crash: str = "", hooks: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command with the library there. Once it was killed, nobody writes that library."""
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(location), VARIABLE: crash, **(hooks or {})}
    command = [sys.executable, "-m", "mmsearch", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == -signal.SIGKILL:
        wait_until_nobody_writes(str(location))
    return done


@pytest.fixture
def deadly(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that ends when it decodes `deadly.png`."""
    return hooked(tmp_path, "mmsearch.reading.image_reading", DEADLY)


@pytest.fixture
def tree(home: Path) -> Path:
    for number in range(10):
        (home / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    return home


def change(tree: Path) -> None:
    """Something of everything: new, edited, moved, copied and deleted files, a sidecar, and one that is no file."""
    write_keywords(os.fsencode(tree / "coffee.png"), ["espresso"])
    for number in range(12):
        (tree / f"new {number}.txt").write_text(f"Note {number} about bread and butter.")
    (tree / "tax.txt").write_text("The income tax return was sent in August.")
    with Image.open(tree / "cat.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tree / "mirrored.png")
    (tree / "deeper").mkdir()
    (tree / "cat.png").rename(tree / "deeper" / "pet.png")
    shutil.copy(tree / "3.txt", tree / "deeper" / "3.txt")
    (tree / "4.txt").unlink()
    os.mkfifo(tree / "pipe.txt")


def older(library: Library, tree: Path) -> None:
    with sqlite3.connect(Path(library.folder) / "library.db") as connection:
        connection.executescript(TO_VERSION_5)
    connection.close()


def damaged(library: Library, tree: Path) -> None:
    database = Path(library.folder) / "library.db"
    content = bytearray(database.read_bytes())
    content[8 * 4096 : 10 * 4096] = b"\xff" * 8192
    database.write_bytes(content)


def suspected(library: Library, tree: Path) -> None:
    shutil.copy(tree / "coffee.png", tree / "deadly.png")
    in_flight = InFlight(library.folder)
    in_flight.start()
    in_flight.begin([os.fsencode(tree / "deadly.png"), os.fsencode(tree / "0.txt")])


def lost(library: Library, tree: Path) -> None:
    (tree / "4.txt").unlink()


def without_bank(library: Library, tree: Path) -> None:
    with library._access.writing() as opened, opened.transaction():
        store: Any = opened  # of either kind
        store.connection.execute("DELETE FROM query_banks")
    library.close()


def nothing(library: Library, tree: Path) -> None:
    pass


INDEX, DOCTOR = ("index",), ("doctor", "--repair")
# What is done to the library before, and the command in which the point lies. Without a line here: an index run.
BEFORE: dict[str, tuple[Callable[[Library, Path], None], tuple[str, ...]]] = {
    "library copied before upgrade": (older, INDEX),
    "library upgraded": (older, INDEX),
    "suspect noted": (suspected, INDEX),
    "query bank kept": (without_bank, INDEX),
    "files pruned": (lost, ("prune", "--yes")),
    "compacted": (lost, ("compact",)),
    "backup written": (nothing, ("backup", "backup.db")),
    "salvage written": (damaged, DOCTOR),
    "damaged log set aside": (damaged, DOCTOR),
    "damaged library kept": (damaged, DOCTOR),
}
# Those are in test_stages.py, test_archives.py, test_copying.py and test_worker.py.
ELSEWHERE = (
    *("found texts encoded", "stage written", "stage committed", "archives noted"),
    *("rows copied", "library copied"),
    *("queued", "jobs claimed", "jobs written", "jobs stored"),
)
LATER = (
    "batch committed:2",
    "derived file in place:2",
    "codes added:2",
    "rows begun:2",
    "graph in place:2",
)


# A team's library has no file of its own that could be damaged, copied or compacted, and nothing is derived from it
# to be searched; its schema is made in one transaction.
OF_A_TEAM = (
    *("root noted", "walk noted", "run begun", "batch written", "batch committed", "suspect noted"),
    *("gone files removed", "sidecars noted", "run finished", "words settled", "query bank kept", "calibration kept"),
    "files pruned",
    "batch committed:2",
)
POINTS = [
    *((FOLDER, point) for point in (*(point for point in CRASH_POINTS if point not in ELSEWHERE), *LATER)),
    *((TEAM, point) for point in OF_A_TEAM),
]


@pytest.mark.slow
@pytest.mark.parametrize(("places", "point"), POINTS, indirect=["places"])
def test_killed_between_two_writes(
    tree: Path, tmp_path: Path, places: Places, point: str, deadly: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hooks = deadly
    if point.startswith("rows"):
        monkeypatch.setattr(row_file, "ROWS_FROM", 1)
        hooks = hooked(tmp_path, "mmsearch.nearest.row_file", WITH_ROWS)
    location = places.new()
    library = Library(location)
    prepare, command = BEFORE.get(point, (nothing, INDEX))
    if point != "library made":
        library.index([tree])
        library.close()
    before = held_files(location) if point != "library made" else {}
    if command == INDEX:
        change(tree)
    prepare(library, tree)
    paths = [tree] if command == INDEX else []
    killed = run(location, *command, *paths, crash=point, hooks=hooks)
    assert killed.returncode == -signal.SIGKILL, f"{point} was not reached: {killed.stderr}"
    if prepare is damaged:
        assert run(location, *DOCTOR).returncode == 0
        before = {}
    elif point != "library made":
        # It opens as it is, nothing committed is lost, and it can be searched at once.
        known = held_files(location) if prepare is not older else before
        gone = {os.fsencode(tree / name) for name in ("4.txt", "cat.png")}
        assert set(before) - gone <= set(known)
        assert library.search(Query((text_term("a cat"),), min_score=0.0)).hits
    (tree / "deadly.png").unlink(missing_ok=True)
    report = library.index([tree])
    assert report.failed == 0
    if command == INDEX:
        assert [hit.path for hit in library.list_files(Filters(keywords=("espresso",))).hits] == [
            str(tree / "coffee.png")
        ]
    assert_like_a_fresh_one(library, [tree], tmp_path / "fresh")
    assert_tidy(Path(library.folder), places.kind)


def test_every_place_where_a_process_may_be_killed_is_tried() -> None:
    modules = Path(crash_points.__file__).parents[1].rglob("*.py")
    calls = [call for one in modules for call in re.findall(r"crash_point\((.+)\)", one.read_text(encoding="utf-8"))]
    named = {point for call in calls for point in re.findall(r'(?<!f)"(.+?)"', call)}
    assert "batch written" in named and named <= set(CRASH_POINTS)


def assert_tidy(folder: Path, kind: str) -> None:
    """Nothing lies in the library's folder that does not belong there; a team's has none for searches."""
    log = {"library.db-wal", "library.db-shm"}  # stays where the last to close it was a reader
    left = {name for name in os.listdir(folder) if "damaged" not in name} - log
    if kind == FOLDER:
        assert left == {"derived", "library.db", "library.lock", "queries.cache"}
        assert not [name for name in os.listdir(folder / "derived") if name.endswith(".part")]
    else:
        assert left <= {"queries.cache"}


def write_chapters(tree: Path, numbers: range) -> None:
    for number in numbers:
        (tree / f"{number}.txt").write_text(f"Chapter {number}. " + "It was a dark and stormy night. " * 4)


@pytest.mark.slow
def test_killed_before_any_write(tree: Path, tmp_path: Path, places: Places) -> None:
    chance = random.Random(1)
    with Library(places.new()) as measured:
        measured.index([tree])
        write_chapters(tree, range(10, 18))
        with writes_counted() as counter:
            measured.index([tree])
    location = places.new()
    for kills in range(7):
        hooks = killed_at_write(tmp_path, chance.randrange(1, counter.writes * 3 // 4))
        killed = run(location, "index", tree, hooks=hooks)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        # As much as was measured is to be done the next time, whatever this one has done.
        write_chapters(tree, range(18 + 8 * kills, 26 + 8 * kills))
        (tree / f"{10 + kills}.txt").rename(tree / f"moved {kills}.txt")
    done = run(location, "index", tree)
    assert done.returncode == 0, done.stderr
    assert_like_a_fresh_one(Library(location), [tree], tmp_path / "fresh")


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `tree` and its library as a power cut may leave it: killed in the midst, with its log."""
    place = tmp_path_factory.mktemp("torn")
    (place / "tree").mkdir()
    for number in range(40):
        (place / "tree" / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    killed = run(place / "library", "index", place / "tree", crash="batch committed:4")
    assert killed.returncode == -signal.SIGKILL
    assert (place / "library" / "library.db-wal").stat().st_size > 100_000
    return place


@pytest.fixture(scope="module")
def whole(torn: Path) -> Path:
    """A library of the same tree that nothing has happened to."""
    with Library(torn / "whole") as library:
        library.index([torn / "tree"])
    return torn / "whole"


@pytest.mark.parametrize("seed", range(10))
def test_the_log_is_torn_by_a_power_cut(torn: Path, whole: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    folder = Path(shutil.copytree(torn / "library", tmp_path / "library"))
    log = folder / "library.db-wal"
    content = bytearray(log.read_bytes())
    # The tables are in the log's first part; what came last did not reach the disk, or as noise.
    place = chance.randrange(2 * len(content) // 3, len(content))
    if seed % 2:
        log.write_bytes(content[:place])
    else:
        content[place:] = chance.randbytes(len(content) - place) if seed % 4 else bytes(len(content) - place)
        log.write_bytes(content)
    (folder / "library.db-shm").unlink(missing_ok=True)
    library = Library(folder)
    report = library.index([torn / "tree"])
    assert report.resumed
    assert report.added < 40
    library.close()
    assert_same(folder, whole)
    assert library.care.examine().sound


@pytest.mark.slow
def test_a_file_that_ends_the_program_is_set_aside(tree: Path, places: Places, deadly: dict[str, str]) -> None:
    shutil.copy(tree / "coffee.png", tree / "deadly.png")
    location = places.new()
    folder = Path(Library(location).folder)
    assert run(location, "index", tree, hooks=deadly).returncode == -signal.SIGKILL
    assert (folder / IN_FLIGHT_NAME).exists()
    done = run(location, "index", tree, hooks=deadly)
    assert done.returncode == 0, done.stderr
    assert f"skipped {tree / 'deadly.png'}: ended the program that read it" in done.stderr
    assert "14 files searchable" in done.stdout
    assert not (folder / IN_FLIGHT_NAME).exists()
    again = run(location, "index", tree, hooks=deadly)
    assert again.returncode == 0
    assert "could not be read before" in again.stderr
    # Once the cause is mended, it is a picture like any other.
    assert "15 files searchable" in run(location, "index", tree, "--retry").stdout


@pytest.mark.slow
def test_a_text_that_ends_the_program_while_it_is_encoded_is_set_aside(tree: Path, tmp_path: Path) -> None:
    hooks = hooked(tmp_path, "mmsearch.encoding.onnx_model", DEADLY_WORDS)
    (tree / "spell.txt").write_text("First come a few harmless words. " * 400 + "Then says the wizard abracadabra.")
    folder = tmp_path / "library"
    assert run(folder, "index", tree, hooks=hooks).returncode == -signal.SIGKILL
    done = run(folder, "index", tree, hooks=hooks)
    assert done.returncode == 0, done.stderr
    assert f"skipped {tree / 'spell.txt'}: ended the program that encoded it" in done.stderr
    assert "14 files searchable" in done.stdout
    assert run(folder, "search", "wizard", hooks=hooks).returncode == 1
    assert "15 files searchable" in run(folder, "index", tree, "--retry").stdout


@pytest.mark.slow
def test_a_trial_says_how_far_it_came_with_each_file(tree: Path) -> None:
    (tree / "long.txt").write_text(" ".join(f"Word {number} of many." for number in range(1_000)))
    told = [(0, "long.txt"), (40, "long.txt"), (0, "cat.png"), (0, "missing.png")]
    suspects = b"".join(b"%d 0 0.0 %b\0" % (stored, os.fsencode(tree / name)) for stored, name in told)
    command = [sys.executable, "-c", "import sys; from mmsearch.indexing.trial import main; main(sys.argv[1])"]
    settings = TrialSettings("mmsearch-mini", "auto", READ).written()
    said = subprocess.run([*command, settings], input=suspects, capture_output=True, check=True)
    group = ["read", "alive"]
    assert said.stdout.decode().split() == [
        "ready", *group, *group, "done", *group, *group, "done", *group, "read", "done", "done",
    ]  # fmt: skip


def test_a_file_that_gives_no_sign_of_life_is_set_aside(tree: Path) -> None:
    suspect = Suspect(os.fsencode(tree / "cat.png"))
    settings = TrialSettings("mmsearch-mini", "auto", READ)
    assert fatal_files([suspect], settings, seconds=0.0) == {suspect.path: Fatal("takes too long to be read", False)}
    assert fatal_files([suspect], settings) == {}
    stop = threading.Event()
    stop.set()
    assert fatal_files([suspect], settings, stop, seconds=0.0) == {}


@pytest.mark.slow
def test_no_file_is_blamed_for_a_model_that_cannot_be_loaded(tree: Path, tmp_path: Path) -> None:
    hooks = hooked(tmp_path, "mmsearch.encoding.onnx_model", DEADLY_MODEL)
    folder = tmp_path / "library"
    for _ in range(3):
        assert run(folder, "index", tree, hooks=hooks).returncode == -signal.SIGKILL
    done = run(folder, "index", tree)
    assert (done.returncode, "skipped" in done.stderr) == (0, False)
    assert "14 files searchable" in done.stdout


@pytest.mark.slow
def test_a_long_file_goes_on_however_often_a_run_is_killed(tree: Path, tmp_path: Path, places: Places) -> None:
    (tree / "long.txt").write_text(" ".join(f"Word {number} of many." for number in range(3_000)))
    location = places.new()
    assert run(location, "index", tree / "cat.png").returncode == 0
    before = 0
    for _ in range(3):
        killed = run(location, "index", tree / "long.txt", crash="batch committed:2")
        assert killed.returncode == -signal.SIGKILL
        ((stored,),) = rows_at(location, "SELECT count(*) FROM items WHERE modality = 'text'")
        assert stored > before
        before = stored
    assert run(location, "index").returncode == 0
    assert_like_a_fresh_one(Library(location), [tree / "cat.png", tree / "long.txt"], tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2_000, 20), (60, 40), (20, 2_000)])
def test_a_long_text_goes_on_within_another_limit(tree: Path, places: Places, first: int, then: int) -> None:
    long = tree / "long.txt"
    long.write_text(" ".join(f"Word {number} of many." for number in range(3_000)))
    cut_off, fresh = places.new(), places.new()
    killed = run(cut_off, "index", long, "--max-passages", str(first), crash="batch committed:1")
    assert killed.returncode == -signal.SIGKILL
    settings = IndexSettings(ReadLimits(max_passages=then))
    passages = []
    for location in (cut_off, fresh):
        with Library(location) as library:
            library.index([long], settings=settings)
            thinned = [one.left_out for one in library.status().thinned]
        passages.append((thinned, rows_at(location, "SELECT start FROM items ORDER BY ordinal")))
    assert passages[0] == passages[1]


def test_suspects_are_tried_without_code_of_the_folder_one_is_in(
    tree: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIL", "numpy", "mmsearch"):
        (tree / f"{name}.py").write_text("open('hacked', 'w').close(); raise SystemExit")
    in_flight = InFlight(library.folder)
    os.mkdir(library.folder)
    in_flight.start([os.fsencode(tree / "cat.png"), os.fsencode(tree / "0.txt")])
    monkeypatch.chdir(tree)
    report = library.index([tree])
    assert report.failed == 0
    assert not (tree / "hacked").exists()
    assert not (Path(library.folder) / IN_FLIGHT_NAME).exists()


def test_suspects_of_another_folder_stay_suspect(tree: Path, library: Library) -> None:
    elsewhere = tree.with_name("other")
    elsewhere.mkdir()
    (elsewhere / "a.txt").write_text("A note elsewhere.")
    library.index([tree, elsewhere])
    in_flight = InFlight(library.folder)
    other = [os.fsencode(elsewhere / "b.png")]
    in_flight.start([*other, b"/of/no/root.png"])
    (tree / "new.txt").write_text("A new note.")
    for _ in range(2):
        library.index([tree])
        assert InFlight(library.folder).suspects() == set(other)
    library.index()
    assert not InFlight(library.folder).is_left


def test_a_list_of_suspects_may_itself_be_torn(tree: Path, library: Library) -> None:
    library.index([tree])
    for content in (
        b'[[1], "x"]\n',
        b'[1, "\\ud800"]\n',
        b"",
        b"\xff\xfe",
        b'[1, "/a"]\n[',
        b"{}\n[]\n7\n",
        b'[1, "/no/such/file"]\n[2, "x", 3]\n',
    ):
        (tree / "new.txt").write_bytes(b"Note. " + content)
        (Path(library.folder) / IN_FLIGHT_NAME).write_bytes(content)
        report = library.index([tree])
        assert report.added + report.updated + report.failed == 1


@pytest.mark.slow
def test_a_stop_keeps_all_that_was_encoded(tree: Path, tmp_path: Path) -> None:
    write_chapters(tree, range(10, 200))
    folder = tmp_path / "library"
    hooks = signal_at(tmp_path, "batch committed", 3, signal.SIGINT)
    stopped = run(folder, "index", tree, "--workers", "2", hooks=hooks)
    assert stopped.returncode == 130
    assert "Traceback" not in stopped.stderr
    assert not (folder / IN_FLIGHT_NAME).exists()
    kept = Library(folder).status()
    assert kept.interrupted
    # Three batches of eight were committed, and two for each worker may have been in work.
    done_before = kept.counts.texts + kept.counts.images
    assert 3 * 8 <= done_before <= (3 + 2 * 2) * 8
    done = run(folder, "index", tree)
    assert f"resumed: {done_before} already done" in done.stderr
    assert "204 files searchable" in done.stdout


FULL = """
import json, subprocess, sys
from pathlib import Path
from mmsearch import Library, MmsearchError
tree, place, fresh = map(Path, sys.argv[1:])
place.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", place], check=True)
library = Library(place / "library")
said = []
for attempt in range(2):
    try:
        library.index([tree])
        said.append("done")
    except MmsearchError as error:
        said.append(str(error))
library.close()
held = library.status().counts.texts
library.close()
told = library.search("a dark and stormy night").hits[0].score
sys.path.insert(0, str(Path(sys.argv[0]).parent))
subprocess.run(["mount", "-o", "remount,size=200m", place], check=True)
report = library.index([tree])
from library_state import assert_like_a_fresh_one
assert_like_a_fresh_one(library, [tree], fresh)
print(json.dumps({"said": said, "held": held, "unchanged": report.unchanged, "resumed": report.resumed}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only root can mount")
def test_the_disk_is_full(tree: Path, tmp_path: Path) -> None:
    import json

    for number in range(10, 140):
        (tree / f"{number}.txt").write_text(f"Chapter {number}. " + "It was a dark and stormy night. " * 10)
    script = tmp_path / "full.py"
    script.write_text(FULL)
    for module in ("library_state.py", "library_places.py"):
        shutil.copy(Path(__file__).parent / module, tmp_path)
    command = [
        "unshare",
        "--mount",
        sys.executable,
        str(script),
        str(tree),
        str(tmp_path / "disk"),
        str(tmp_path / "fresh"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for sentence in result["said"]:
        assert sentence.startswith(f"There is no room left on the disk of the library {tmp_path}")
    assert 10 < result["held"] < 142
    assert result["resumed"]
    assert result["unchanged"] >= result["held"]


@pytest.mark.slow
def test_a_repair_that_was_cut_off_is_finished_with_what_only_the_log_had(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "far.txt").write_text("A note far away.")
    folder = tmp_path / "library"
    Library(folder).index([tree])
    kept = Library(folder)
    kept.status()  # a reader keeps the log from being played in
    killed = run(folder, "index", other, crash="run finished")
    assert killed.returncode == -signal.SIGKILL
    assert (folder / "library.db-wal").stat().st_size > 0
    kept.close()
    content = bytearray((folder / "library.db").read_bytes())
    content[12 * 4096 : 20 * 4096] = b"\xff" * 8 * 4096  # what lies behind says where the tables are
    (folder / "library.db").write_bytes(content)
    killed = run(folder, *DOCTOR, crash="damaged log set aside")
    assert killed.returncode == -signal.SIGKILL
    assert run(folder, "doctor").returncode == 1
    done = run(folder, *DOCTOR)
    assert done.returncode == 0, done.stderr
    assert "2 roots" in done.stdout
    assert run(folder, "doctor").returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a process that stands still")
@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "taken by another"])
def test_a_writer_whose_lock_is_gone_writes_no_more(tree: Path, tmp_path: Path, replaced: bool) -> None:
    write_chapters(tree, range(10, 100))
    folder = tmp_path / "library"
    hooks = signal_at(tmp_path, "batch committed", 2, signal.SIGSTOP)
    command = [sys.executable, "-m", "mmsearch", "index", str(tree), "--workers", "1"]
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(folder), **hooks}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        os.waitpid(first.pid, os.WUNTRACED)
        refused = run(folder, "index", tree)
        assert refused.returncode == 2
        assert f"is being written by process {first.pid}" in refused.stderr
        (folder / "library.lock").unlink()
        if replaced:
            second = run(folder, "index", tree)
            assert second.returncode == 0, second.stderr
        before = held_files(folder)
        first.send_signal(signal.SIGCONT)
        _, said = first.communicate(timeout=120)
    finally:
        first.kill()
    assert first.returncode == 2
    assert "lost its lock" in said
    assert "Traceback" not in said
    assert held_files(folder).keys() == before.keys()
    Library(folder).index([tree])
    assert_like_a_fresh_one(Library(folder), [tree], tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only root can mount")
def test_what_is_full_is_the_folder_of_temporary_files(tree: Path, tmp_path: Path) -> None:
    for number in range(400):
        (tree / f"{number}.txt").write_text(" ".join(f"word{number * 50 + one}" for one in range(50)))
    assert run(tmp_path / "library", "index", tree).returncode == 0
    full = tmp_path / "temporary"
    full.mkdir()
    steps = (
        f"mount -t tmpfs -o size=16k tmpfs {full} && ! head -c 99999 /dev/zero 2>&- > {full}/other; TMPDIR={full} exec "
        f"{sys.executable} -m mmsearch copy {tmp_path / 'library'} {tmp_path / 'copy'}"
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", steps], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "mmsearch: There is no room left for temporary files (TMPDIR); free some and run the command again.\n"
    )
