"""Machines of a team have the same share at different places: each opens, indexes and watches the same files."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import stat
import threading
import types
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import toy_place
from conftest import Answer, Mmsearch, make_home
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import PostgresServer

from mmsearch import Filters, IndexSettings, Library, Query, WalkRules, WorkSettings, records
from mmsearch.files.private import PRIVATE_FILE
from mmsearch.searching.query import text_term
from mmsearch.store import whole_rows, words, work
from mmsearch.store.mapped_store import MappedStore, mapped
from mmsearch.store.mounts import ELSEWHERE, MOUNTS_VARIABLE, Mount, MountMap, read_mounts
from mmsearch.store.opening import KINDS
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.work import SharedStore

URL = "toy://shelf/"
# So many folders of so few names that mounts lie in one another, and under the names of others.
FOLDERS = st.lists(st.sampled_from([b"a", b"b", b"ab"]), max_size=4).map(lambda names: b"/" + b"/".join(names))
MAPS = st.lists(st.tuples(FOLDERS, FOLDERS), max_size=4, unique_by=(lambda pair: pair[0], lambda pair: pair[1]))
ANY_PATHS = st.one_of(
    FOLDERS,
    st.tuples(FOLDERS, st.binary(max_size=6).filter(lambda name: b"\0" not in name)).map(b"/".join),
)


def map_of(*pairs: tuple[bytes, bytes]) -> MountMap:
    return MountMap(Mount(*pair) for pair in pairs)


def test_the_innermost_mount_counts_and_only_whole_names_do() -> None:
    mounts = map_of((b"/mnt/a", b"/Volumes/a"), (b"/mnt/a/deep", b"/srv/deep"), (b"/mnt", b"/net"))
    for known_as, here in (
        (b"/mnt/a", b"/Volumes/a"),
        (b"/mnt/a/\xff.jpg", b"/Volumes/a/\xff.jpg"),
        (b"/mnt/a/deep/1.jpg", b"/srv/deep/1.jpg"),
        (b"/mnt/a/deeper", b"/Volumes/a/deeper"),
        (b"/mnt/ab/1.jpg", b"/net/ab/1.jpg"),
        (b"/mnt/x.zip!a/1.jpg", b"/net/x.zip!a/1.jpg"),
        (b"/home/1.jpg", b"/home/1.jpg"),
    ):
        assert (mounts.here(known_as), mounts.known_as(here)) == (here, known_as)


def test_a_share_may_be_all_of_a_disk() -> None:
    mounts = map_of((b"/backup", b"/"))
    for known_as, here in ((b"/backup", b"/"), (b"/backup/a", b"/a"), (b"/backup/backup", b"/backup")):
        assert (mounts.here(known_as), mounts.known_as(here)) == (here, known_as)
    assert mounts.here(b"/a") == ELSEWHERE + b"/a"
    other_way = map_of((b"/", b"/backup"))
    assert (other_way.here(b"/"), other_way.here(b"/a"), other_way.known_as(b"/backup/a")) == (
        *(b"/backup", b"/backup/a"),
        b"/a",
    )


def test_what_another_mount_hides_is_taken_for_nothing_that_is_there() -> None:
    mounts = map_of((b"/mnt/photos", b"/Volumes/photos"))
    hidden = mounts.here(b"/Volumes/photos/1.jpg")  # of a machine that has other photos there
    assert hidden == ELSEWHERE + b"/Volumes/photos/1.jpg" and not os.path.lexists(hidden)
    assert mounts.known_as(hidden) == b"/Volumes/photos/1.jpg"
    assert mounts.known_as(b"/mnt/photos/1.jpg") == ELSEWHERE + b"/mnt/photos/1.jpg"  # it has the name of another one


@given(pairs=MAPS, paths=st.lists(ANY_PATHS, unique=True, max_size=12))
def test_no_two_paths_become_one_and_each_comes_back(pairs: list[tuple[bytes, bytes]], paths: list[bytes]) -> None:
    mounts = map_of(*pairs)
    assert len({mounts.here(path) for path in paths}) == len(paths) == len({mounts.known_as(path) for path in paths})
    for path in paths:
        assert mounts.known_as(mounts.here(path)) == path
        if mounts.has_place(path):
            assert mounts.here(mounts.known_as(path)) == path


@given(pairs=MAPS, root=FOLDERS, names=FOLDERS)
def test_below_a_root_that_no_mount_splits_all_stays_below_it(
    pairs: list[tuple[bytes, bytes]], root: bytes, names: bytes
) -> None:
    mounts = map_of(*pairs)
    if mounts.splitting(root) is None:
        below = b"" if names == b"/" else names
        there = (b"" if root == b"/" else root) + below
        here = mounts.here(root)
        assert mounts.here(there or b"/") == ((b"" if here == b"/" and below else here) + below)


def _names_bytes(annotation: Any, seen: set[str]) -> bool:
    """Whether there may be bytes in a value of that type, by its name and those of what it is made of."""
    for name in re.findall(r"\w+", getattr(annotation, "__forward_arg__", str(annotation))):
        if name == "bytes":
            return True
        kind = MADE_OF.get(name)
        if kind is None or name in seen:
            continue
        seen.add(name)
        if any(_names_bytes(one, seen) for one in ([kind] if isinstance(kind, str) else kind.__annotations__.values())):
            return True
    return False


# The types that methods of a store take and give, by name.
MADE_OF = {
    name: kind
    for module in (records, whole_rows, work, words)
    for name, kind in vars(module).items()
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields") or isinstance(kind, str)
}
# Methods whose bytes are digests, vectors or weights. One that takes or gives paths belongs into `MappedStore`.
NO_PATHS = {
    *{"has_older_digest", "renew_digest", "content_called", "digests_among", "content_with_items", "put_content"},
    *{"items_stored", "budget_of", "items_of_content", "items_of_contents", "has_content", "vectors_after"},
    *{"vectors_of", "insert_adapter"},
}


def test_every_method_of_a_store_that_may_name_a_path_is_translated() -> None:
    named = set()
    for protocol in SharedStore.__mro__:
        if Protocol not in protocol.__bases__:
            continue
        for name, method in vars(protocol).items():
            if name.startswith("_") or not callable(method):
                continue
            if any(_names_bytes(one, set()) for one in method.__annotations__.values()):
                named.add(name)
    translated = {name for name in vars(MappedStore) if not name.startswith("_")}
    assert named - translated == NO_PATHS


# What aliases stand for that are written as texts, and names that are imported for types alone.
NAMES = {
    **dict.fromkeys(("FloatMatrix", "HalfMatrix", "ItemIds"), np.ndarray),
    "Region": tuple[float, ...],
    "Row": tuple[int, ...],
    "RowValue": int,
}


def _made(kind: Any, path: bytes) -> Any:
    """A value of that type in which all bytes are `path`."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _made(next(one for one in of if one is not type(None)), path)
    if origin is dict or origin is Mapping:
        return {_made(of[0], path): _made(of[1], path)}
    if origin is tuple and Ellipsis not in of:
        return tuple(_made(one, path) for one in of)
    if origin is not None and origin is not np.ndarray:
        whole: Any = {tuple: tuple, set: set, frozenset: frozenset, Iterator: iter}.get(origin, list)
        return whole([_made(of[0], path)])
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = get_type_hints(kind, localns=NAMES)
        return kind(**{name: _made(one, path) for name, one in hints.items()})
    plain = {bytes: path, str: "a", int: 1, bool: True, float: 1.0, Any: 1, datetime: datetime(2020, 1, 1)}
    return np.zeros(1) if kind is np.ndarray else plain.get(kind)


def _bytes_in(value: Any) -> Iterator[bytes]:
    """All bytes in it, but for digests, and what a root is called in the library."""
    if isinstance(value, bytes):
        yield value
    elif dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        named = [one.name for one in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else value._fields
        for name in named:
            if name not in ("digest", "known_as"):
                yield from _bytes_in(getattr(value, name))
    elif isinstance(value, dict):
        yield from _bytes_in([*value, *value.values()])
    elif isinstance(value, Iterable) and not isinstance(value, (str, np.ndarray)):
        for one in value:
            yield from _bytes_in(one)


class Recorder:
    """A store that takes anything, and gives what its methods say that they give, with paths of its own."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        hints = get_type_hints(getattr(MappedStore, name), localns=NAMES)

        def method(*arguments: Any) -> Any:
            self.given += _bytes_in(arguments)
            return _made(hints["return"], b"/there/a.jpg")

        return method


METHODS = {name for name, method in vars(MappedStore).items() if name[0] != "_" and callable(method)}


def test_a_path_is_as_long_as_the_library_s_name_of_it_may_be() -> None:
    class Store:
        longest_path = 100

    store: Any = Store()
    assert mapped(store, map_of((b"/far/away/photos", b"/here"))).longest_path == 100 - len(b"/far/away/photos") + 5
    assert mapped(store, map_of((b"/there", b"/here/is/the/share"))).longest_path == 100
    store.longest_path = None
    assert mapped(store, map_of((b"/far/away/photos", b"/here"))).longest_path is None


@pytest.mark.parametrize("name", sorted(METHODS - {"rows_of", "put_rows"}))
def test_a_method_hands_on_the_paths_of_the_other_side_alone(name: str) -> None:
    recorder = Recorder()
    store: Any = mapped(cast(Any, recorder), map_of((b"/there", b"/here")))
    hints = get_type_hints(getattr(MappedStore, name), localns=NAMES)
    given = {key: _made(kind, b"/here/a.jpg") for key, kind in hints.items() if key not in ("return", "at")}
    found = getattr(store, name)(**given)
    takes, gives = list(_bytes_in(list(given.values()))), list(_bytes_in(found))
    at = [b"/here/a.jpg"] if name == "image_vector_at" else []  # where it lies
    assert recorder.given == [b"/there/a.jpg"] * (len(recorder.given) - len(at)) + at
    assert bool(recorder.given) == bool(takes)
    if name != "digest_at":
        assert set(gives) <= {b"/here/a.jpg"}
    assert takes or gives, "it names no path"


# Two machines


class Machine:
    """One that has the share at a place of its own: the tree lies there while it is at work."""

    def __init__(self, tree: Path, settings: Path, run: Mmsearch, patch: pytest.MonkeyPatch) -> None:
        self.tree, self._settings, self._run, self._patch = tree, settings, run, patch

    def __call__(self, *arguments: str | Path) -> Any:
        """A command, in JSON."""
        answer = self.run(*arguments, "--json")
        assert answer.code in (0, 1), answer.err
        return answer.json

    def run(self, *arguments: str | Path) -> Answer:
        self.takes_its_turn()
        names_none = ("mounts", "copy")
        library = () if arguments[0] in names_none else ("--library", URL)
        return self._run(*arguments, *library)

    def takes_its_turn(self) -> None:
        self._patch.setenv(MOUNTS_VARIABLE, str(self._settings / "mounts.json"))

    def paths(self, *asked: str | Path) -> list[str]:
        """What a search lists, below the share."""
        hits = self("search", *asked)["hits"]
        assert all(hit["path"].startswith(f"{self.tree}/") and hit["available"] for hit in hits), hits
        return sorted(hit["path"][len(f"{self.tree}/") :] for hit in hits)


@dataclasses.dataclass
class Team:
    """Two machines, and who has the share mounted now."""

    first: Machine
    second: Machine

    def turn(self, machine: Machine) -> Machine:
        """Mounts the share there, and nowhere else."""
        for one in (self.first, self.second):
            if one is not machine and one.tree.exists():
                machine.tree.parent.mkdir(parents=True, exist_ok=True)
                one.tree.rename(machine.tree)
        machine.takes_its_turn()
        return machine


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Mmsearch) -> Iterator[Team]:
    """The second machine has the share elsewhere, and has said so."""
    monkeypatch.setitem(KINDS, "toy", toy_place.KIND)
    monkeypatch.setenv(toy_place.VARIABLE, str(tmp_path / "toys"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mnt").mkdir()
    tree = make_home(tmp_path / "mnt" / "photos")
    machines = [
        Machine(place, tmp_path / f"settings {number}", command, monkeypatch)
        for number, place in enumerate((tree, tmp_path / "Volumes" / "NAS" / "photos"))
    ]
    first, second = machines
    assert second.run("mounts", first.tree, second.tree).err == f"mmsearch: {second.tree} is not there now.\n"
    yield Team(first, second)


def test_another_machine_finds_the_same_files_and_no_second_copy(team: Team) -> None:
    first = team.turn(team.first)
    assert first("index", first.tree)["added"] == 4
    second = team.turn(team.second)
    assert second("search", "a cat", "-n", "1")["hits"][0]["path"] == str(second.tree / "cat.png")
    report = second("index")
    assert (report["unchanged"], report["added"], report["removed"], report["offline"]) == (4, 0, 0, [])
    (root,) = second("status")["roots"]
    assert (root["path"], root["known_as"], root["files"], root["offline"]) == (
        *(str(second.tree), str(first.tree)),
        *(4, False),
    )
    # Who has not said where the share lies is led to say it, and not to drop what others have.
    for asked in (("search", "a cat"), ("index",)):
        said = team.first.run(*asked).err
        assert "`mmsearch mounts THEIR_PATH PATH_HERE`" in said and "prune" not in said
    asked_to_prune = team.first.run("prune", "--dry-run")
    assert "4  in all are gone" in asked_to_prune.out
    assert "other machines may have them still" in asked_to_prune.err
    told = second.run("status").out
    assert f"root      {second.tree} (in the library {first.tree}): 4 files" in told
    (second.tree / "new.txt").write_text("Ships in a harbour.")
    (second.tree / "tax.txt").unlink()
    report = second("index", second.tree)
    assert (report["unchanged"], report["added"], report["removed"]) == (3, 1, 1)
    assert (second.tree / "cat.png").exists()
    first = team.turn(team.first)
    report = first("index")
    assert (report["unchanged"], report["added"], report["removed"]) == (4, 0, 0)
    assert first.paths("--sort", "name") == ["cat.png", "coffee.md", "coffee.png", "new.txt"]
    (root,) = first("status")["roots"]
    assert (root["path"], root["known_as"]) == (str(first.tree), None)


def test_a_machine_without_the_share_loses_nothing(team: Team) -> None:
    first = team.turn(team.first)
    first("index", first.tree)
    second = team.second  # and the share is not mounted there
    assert second("index")["offline"] == [str(second.tree)]
    second.tree.mkdir(parents=True)  # where it would be mounted
    assert second("index")["offline"] == [str(second.tree)]
    assert second("prune", "--yes")["dropped"] == 0
    second.tree.rmdir()
    assert second("prune", "--yes")["dropped"] == 0
    assert team.turn(first).paths("--sort", "name") == ["cat.png", "coffee.md", "coffee.png", "tax.txt"]
    # What is gone from the share is gone on every machine.
    second = team.turn(team.second)
    (second.tree / "tax.txt").unlink()
    assert second("prune", "--yes")["losses"] == [{"path": str(second.tree / "tax.txt"), "files": 1}]
    assert team.turn(first).paths("--sort", "name") == ["cat.png", "coffee.md", "coffee.png"]


def test_filters_words_examples_and_copies_are_told_by_paths_of_the_machine(team: Team) -> None:
    first = team.turn(team.first)
    (first.tree / "2019").mkdir()
    (first.tree / "2019" / "cat copy.png").write_bytes((first.tree / "cat.png").read_bytes())
    first("index", first.tree)
    second = team.turn(team.second)
    assert second.paths("--in", second.tree / "2019", "--copies") == ["2019/cat copy.png"]
    assert second.paths("--in", second.tree.parent) == second.paths("--sort", "name")  # a folder around the mount
    assert "cat.png" not in second.paths("--not-in", second.tree / "cat.png", "--copies")
    for name in (first.tree, first.tree.parent):  # of which it has nothing
        done = second.run("search", "a cat", "--in", name)
        assert done.code == 2 and re.search("[Nn]othing of .* is in the library", done.err)
    assert second("search", "a cat", "--not-in", second.tree.parent)["hits"] == []
    assert second("search", "--image", second.tree / "cat.png", "-n", "1")["query"]["terms"][0]["image"] == str(
        second.tree / "cat.png"
    )
    (group,) = second("duplicates")["groups"]
    assert {file["path"] for file in group["files"]} == {
        str(second.tree / name) for name in ("cat.png", "2019/cat copy.png")
    }
    with Library(URL) as library:
        tax, elsewhere = (text_term('"tax"'),), (os.fsencode(first.tree),)
        assert library.search(Query(tax, Filters(folders=elsewhere))).total == 0
        assert library.search(Query(tax, Filters(not_folders=elsewhere))).total == 1
        assert library.facets().folders[0].value.startswith(str(second.tree))
        found = library.explain(second.tree / "tax.txt", "income tax")
        assert {one.channel for one in found.channels} == {"text", "words"}


def test_archives_and_sidecars_are_known_on_every_machine(team: Team) -> None:
    first = team.turn(team.first)
    with zipfile.ZipFile(first.tree / "old.zip", "w") as packed:
        packed.write(first.tree / "cat.png", "2021/kitten.png")
        packed.writestr("tax.txt", "Income taxes of long ago.")
    (first.tree / "cat.png.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
    )
    assert first("index", first.tree, "--archives")["added"] == 6
    second = team.turn(team.second)
    report = second("index")
    assert (report["unchanged"], report["added"], report["moved"]) == (6, 0, 0)
    assert second.paths("--rating", "5") == ["cat.png"]
    assert second.paths("--in", second.tree / "old.zip", "--copies") == ["old.zip!2021/kitten.png", "old.zip!tax.txt"]
    (second.tree / "cat.png.xmp").unlink()
    second("index")
    assert second.paths("--rating", "5") == []
    with zipfile.ZipFile(second.tree / "old.zip", "a") as packed:
        packed.writestr("ships.txt", "Ships in a harbour.")
    report = second("index")
    assert (report["added"], report["removed"]) == (1, 0)
    assert second("forget", second.tree / "old.zip")["removed"] == 3
    first = team.turn(team.first)
    report = first("index")
    # Its root brings what was forgotten again; one is a copy.
    assert (report["unchanged"], report["added"], report["moved"]) == (4, 2, 1)


def test_a_watcher_sees_what_changes_there(team: Team) -> None:
    first = team.turn(team.first)
    first("index", first.tree)
    second = team.turn(team.second)
    begun, seen = threading.Event(), threading.Event()
    with Library(URL) as library:

        def told(event: Any) -> None:
            if event.event == "watching":
                begun.set()
            if event.event == "indexed" and os.fsencode(second.tree / "boats.txt") in event.paths:
                seen.set()

        with library.watcher(on_event=told):
            assert begun.wait(60)
            (second.tree / "boats.txt").write_text("Sailing boats in the harbour.")
            assert seen.wait(60)
        assert library.search("sailing boats").hits[0].path == str(second.tree / "boats.txt")
        assert library.status().counts.texts == 3
    report = team.turn(team.first)("index")
    assert (report["unchanged"], report["added"]) == (5, 0)


def test_a_copy_has_the_paths_of_the_machine_that_makes_it(team: Team, tmp_path: Path) -> None:
    first = team.turn(team.first)
    first("index", first.tree)
    second = team.turn(team.second)
    folder = tmp_path / "folder"
    second("copy", URL, folder)
    with Library(folder) as plain:
        assert [root.path for root in plain.status().roots] == [os.fsencode(second.tree)]
        assert plain.index().unchanged == 4
        (second.tree / "new.txt").write_text("Ships in a harbour.")
        plain.index()
    second("copy", folder, "toy://box/")
    first = team.turn(team.first)
    with Library("toy://box/") as back:
        assert [root.path for root in back.status().roots] == [os.fsencode(first.tree)]
        assert (report := back.index()).unchanged == 5, report


def test_workers_of_other_machines_encode_what_one_has_queued(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    (tmp_path / "mnt").mkdir()
    there, here = make_home(tmp_path / "mnt" / "photos"), tmp_path / "Volumes"
    with zipfile.ZipFile(there / "old.zip", "w") as packed:
        packed.writestr("ships.txt", "Ships in a harbour.")
    settings = IndexSettings(queue=True)
    settings.stop.set()
    with Library(url) as library:
        library.index([there], rules=WalkRules(archives=True), settings=settings)
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path / "mounts.json"))
    with Library(url) as library:
        library.mounts.put(there, here)
        there.rename(here)
        report = library.work(WorkSettings(exit_when_empty=True))
        assert (report.stored, report.failed, report.elsewhere) == (5, 0, [])
        assert library.search("ships").hits[0].path == f"{here}/old.zip!ships.txt"
        assert library.index(settings=IndexSettings(queue=True)).unchanged == 5
        assert library.search("a cat", scan="exact").hits[0].path == str(here / "cat.png")
    rows = postgres.run("SELECT path FROM mmsearch.files", postgres.name_of(url))
    assert len(rows) == 5 and all(path.startswith(os.fsencode(there) + b"/") for (path,) in rows)
    here.rename(there)
    monkeypatch.delenv(MOUNTS_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with Library(url) as library:
        assert library.index().unchanged == 5


# The map itself


def test_the_map_is_made_listed_and_taken_back(
    command: Mmsearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path / "own" / "mounts.json"))
    empty = command("mounts")
    assert empty.out == "" and "`mmsearch mounts THEIR_PATH PATH_HERE`" in empty.err
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert command("mounts", "/mnt/nas/photos/", "here").out == f"/mnt/nas/photos  {tmp_path}/here\n"
    command("mounts", b"/mnt/nas/\xff", "/nowhere")
    told = command("mounts", "--json")
    assert told.json["mounts"] == [
        {"known_as": "/mnt/nas/photos", "here": f"{tmp_path}/here"},
        {"known_as": "/mnt/nas/\udcff", "here": "/nowhere"},
    ]
    assert command("mounts").out.endswith("  /nowhere  (not there now)\n")
    kept = tmp_path / "own" / "mounts.json"
    assert stat.S_IMODE(kept.stat().st_mode) == PRIVATE_FILE
    assert command("mounts", "/mnt/nas/photos", "/elsewhere").out.startswith("/mnt/nas/photos  /elsewhere")
    assert command("mounts", "--remove", "/mnt/nas/photos").out.count("\n") == 1
    again = command("mounts", "--remove", "/mnt/nas/photos")
    assert again.code == 2 and "`mmsearch mounts` lists them" in again.err
    assert json.loads(kept.read_text()) == {"mounts": {"/mnt/nas/\udcff": "/nowhere"}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/mnt/other", "/Volumes/photos"], "/mnt/other and /mnt/photos cannot both lie at /Volumes/photos"),
        (["photos", "/Volumes/other"], "photos is no absolute path"),
        (["/mnt/other", "s3://photos/other"], "s3://photos/other is no absolute path"),
        (["s3://photos/other", "/Volumes/other"], "s3://photos/other is no absolute path"),
        (["", "/Volumes/other"], "An empty path is no absolute path"),
        (["/mnt/other", ""], "An empty path is no absolute path"),
        (["/mnt/other"], "give the path that it has here, too"),
        (["/mnt/other", "/a", "--remove", "/mnt/photos"], "cannot be had at once"),
    ],
)
def test_what_makes_no_map_is_refused(
    arguments: list[str], said: str, command: Mmsearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path / "mounts.json"))
    assert command("mounts", "/mnt/photos", "/Volumes/photos").code == 0
    done = command("mounts", *arguments)
    assert done.code == 2 and said in done.err
    assert read_mounts().mounts == (Mount(b"/mnt/photos", b"/Volumes/photos"),)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "[]",
        '{"mounts": 3}',
        '{"mounts": {"/a": 3}}',
        '{"mounts": {"a": "/b"}}',
        '{"mounts": {"/a": "/c", "/b": "/c"}}',
        "[" * 100_000,
    ],
)
def test_a_map_that_cannot_be_followed_is_said_and_not_guessed(written: str, team: Team, tmp_path: Path) -> None:
    team.turn(team.second)
    Path(os.environ[MOUNTS_VARIABLE]).write_text(written)
    done = team.second.run("status")
    assert done.code == 2 and "mounts.json cannot be" in done.err and "correct the file" in done.err


def test_who_has_no_settings_has_no_map(mmsearch: Mmsearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path))
    done = mmsearch("mounts")
    assert done.code == 2 and f"{tmp_path} cannot be read" in done.err
    monkeypatch.delenv(MOUNTS_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    assert read_mounts().mounts == ()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "mmsearch").mkdir()
    (tmp_path / "mmsearch" / "mounts.json").write_text('{"mounts": {"/a": "/b"}}')
    assert mmsearch("mounts", as_anybody=True).out.startswith("/a  /b")
    (tmp_path / "mmsearch").chmod(0)  # that of somebody else
    assert mmsearch("mounts", as_anybody=True).out == ""


def test_a_root_is_not_torn_apart(team: Team, tmp_path: Path) -> None:
    first = team.turn(team.first)
    first("index", first.tree.parent)  # what is around the share
    second = team.turn(team.second)
    assert second.paths("--sort", "name") == ["cat.png", "coffee.md", "coffee.png", "tax.txt"]
    done = second.run("index")
    assert done.code == 2 and f"tear {first.tree.parent} apart" in done.err and "`mmsearch mounts`" in done.err
    second("mounts", first.tree.parent, second.tree.parent)
    second("mounts", "--remove", first.tree)
    report = second("index")
    assert (report["unchanged"], report["added"], report["removed"]) == (4, 0, 0)


def test_a_folder_with_the_name_of_another_one_is_no_part_of_it(team: Team, tmp_path: Path) -> None:
    first = team.turn(team.first)
    first("index", first.tree)
    second = team.turn(team.second)
    make_home(first.tree)  # the second machine's own
    (first.tree / "cat.png").unlink()
    done = second.run("index", first.tree)
    assert done.code == 2 and f"give it one with `mmsearch mounts NAME {first.tree}`" in done.err
    around = second.run("index", second.tree.parent.parent)
    assert around.code == 2 and "apart" in around.err
    second("mounts", "/second/photos", first.tree)
    report = second("index", first.tree)
    assert (report["added"], report["moved"]) == (0, 3)
    assert len(second("search", "--sort", "name", "--copies")["hits"]) == 7


def test_a_filter_takes_what_mounts_bring_into_a_folder_and_not_what_they_take_out(tmp_path: Path) -> None:
    with closing(SqliteStore.write(str(tmp_path))) as plain:
        with plain.transaction():
            for root in (b"/mnt/a", b"/mnt/b", b"/mnt/b/inner", b"/home/c"):
                number = plain.put_root(root, "{}").id
                plain.note_out_of_reach(number, root + b"/1.jpg", "away")
        store = mapped(plain, map_of((b"/mnt/a", b"/Volumes/a"), (b"/home/c", b"/mnt/c")))
        assert not isinstance(plain, MappedStore)
        known = {number: path for root in store.roots() for number, path in store.failures_of_root(root.id)}
        for folder, names in (
            (b"/mnt", {b"/mnt/b/1.jpg", b"/mnt/b/inner/1.jpg", b"/mnt/c/1.jpg"}),
            (b"/mnt/b", {b"/mnt/b/1.jpg", b"/mnt/b/inner/1.jpg"}),
            (b"/Volumes", {b"/Volumes/a/1.jpg"}),
            (b"/", {*known.values()}),
            (b"/home", set()),
        ):
            found = store.failures_below(folder)
            assert {known[number] for number in found} == names and len(found) == len(names), folder


def test_a_library_without_a_map_is_not_seen_through_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, team: Team
) -> None:
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path / "none.json"))
    with Library(URL) as library:
        library.index([team.first.tree])
        assert type(library._access.reading()) is SqliteStore
        library.mounts.put(team.first.tree, team.second.tree)
        assert type(library._access.reading()) is MappedStore
        assert library.search("a cat").hits[0].path == str(team.second.tree / "cat.png")
        library.mounts.remove(team.first.tree)
        assert library.search("a cat").hits[0].path == str(team.first.tree / "cat.png")
    with Library(tmp_path / "folder") as plain:
        plain.index([team.first.tree])
        plain.mounts.put(team.first.tree, team.second.tree)
        assert plain.search("a cat").hits[0].path == str(team.first.tree / "cat.png")
