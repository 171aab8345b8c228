"""A run that looks at nothing but what is named: as good as a walk of everything, and without one."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from library_state import everything

from mmsearch import IndexSettings, Library, WalkRules

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>{word}</rdf:li></rdf:Bag>
</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def listed(library: Library, folder: Path) -> list[Path]:
    """The folders that a run which looks at `folder` alone lists."""
    found: list[Path] = []
    settings = IndexSettings(on_folder=lambda one: found.append(Path(os.fsdecode(one))))
    library.index_only([folder], settings=settings)
    return found


@pytest.fixture
def tree(tmp_path: Path, library: Library) -> Path:
    """A folder of notes in folders, indexed."""
    for number in range(30):
        folder = tmp_path / "tree" / f"folder {number % 3}" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(f"Note number {number} about boats.")
    library.index([tmp_path / "tree"])
    return tmp_path / "tree"


def names(library: Library) -> set[str]:
    return {Path(os.fsdecode(path)).name for path in everything(library)}


def test_new_changed_and_gone_files_are_seen_and_nothing_else_is(library: Library, tree: Path) -> None:
    deep = tree / "folder 1" / "deep"
    (deep / "new.txt").write_text("A note about whales.")
    (deep / "1.txt").write_text("A note about trains, which was about boats.")
    (deep / "4.txt").unlink()
    (tree / "folder 2" / "deep" / "unseen.txt").write_text("Nobody has named this one.")
    done = library.index_only([deep / "new.txt", deep / "1.txt", deep / "4.txt"])
    assert (done.added, done.updated, done.removed, done.unchanged) == (1, 1, 1, 0)
    assert library.search('"trains"').hits[0].path == str(deep / "1.txt")
    assert "unseen.txt" not in names(library)
    assert library.index().added == 1


def test_an_archive_is_looked_into_and_the_others_stay(library: Library, tree: Path) -> None:
    library.index([tree], rules=WalkRules(archives=True))
    for archive, word in (("one.zip", "whales"), ("two.zip", "trains")):
        with zipfile.ZipFile(tree / archive, "w") as packed:
            packed.writestr("note.txt", f"A note about {word}.")
    assert library.index_only([tree / "one.zip"]).added == 1
    assert library.search('"whales"').hits[0].path == f"{tree / 'one.zip'}!note.txt"
    assert library.index_only([tree / "two.zip"]).added == 1
    with zipfile.ZipFile(tree / "one.zip", "a") as packed:
        packed.writestr("more.txt", "A note about aeroplanes.")
    done = library.index_only([tree / "one.zip"])
    assert (done.added, done.removed, done.unchanged) == (1, 0, 1)
    (tree / "one.zip").unlink()
    assert library.index_only([tree / "one.zip"]).removed == 2
    done = library.index()
    assert (done.added, done.removed, done.unchanged) == (0, 0, 31)


def test_only_folders_on_the_way_are_listed(library: Library, tree: Path) -> None:
    assert listed(library, tree / "folder 1" / "deep") == [tree, tree / "folder 1", tree / "folder 1" / "deep"]


def test_a_folder_is_looked_at_with_all_below_it(library: Library, tree: Path, tmp_path: Path) -> None:
    shutil.move(tree / "folder 0", tmp_path / "elsewhere")
    assert library.index_only([tree / "folder 0"]).removed == 10
    shutil.move(tmp_path / "elsewhere", tree / "back")
    assert library.index_only([tree / "back"]).files == 10
    shutil.move(tree / "back", tree / "folder 0")
    done = library.index_only([tree / "back", tree / "folder 0"])
    assert (done.moved, done.removed, done.added) == (10, 0, 0)


def test_the_rules_on_the_way_hold(library: Library, tree: Path) -> None:
    for place in ("node_modules/a.txt", ".hidden/b.txt", "folder 1/deep/c.log"):
        path = tree / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("A note that is left out.")
    (tree / ".mmsearchignore").write_text("*.log\n")
    places = [tree / "node_modules" / "a.txt", tree / ".hidden", tree / "folder 1" / "deep" / "c.log"]
    assert library.index_only(places).files == 0
    library.index([tree], rules=WalkRules(hidden=True))
    assert "b.txt" in names(library)


def test_an_ignore_file_stands_for_the_folder_that_it_rules(library: Library, tree: Path) -> None:
    rules = tree / "folder 1" / ".mmsearchignore"
    rules.write_text("1?.txt\n")
    assert library.index_only([rules]).removed == 4
    rules.unlink()
    assert library.index_only([rules]).files == 10
    assert len(everything(library)) == 30


def test_a_sidecar_stands_for_its_photos_and_a_photo_for_its_sidecars(library: Library, home: Path) -> None:
    sidecar, more = home / "cat.png.xmp", home / "cat.png.json"
    sidecar.write_text(XMP.format(word="tabby"))
    more.write_text('{"description": "Sleeping on the sofa"}')
    library.index([home])
    sidecar.write_text(XMP.format(word="tomcat"))
    assert library.index_only([sidecar]).details_read == 1
    assert library.search("tomcat").hits[0].path == str(home / "cat.png")
    os.utime(home / "cat.png")
    library.index_only([home / "cat.png"])
    assert "tomcat" in library.search("tomcat").hits[0].keywords
    assert library.search("tomcat").hits[0].description == "Sleeping on the sofa"
    sidecar.unlink()
    assert library.index_only([sidecar]).details_read == 1
    assert not library.search("tomcat").hits
    assert library.index().details_read == 0


def test_many_losses_at_once_are_kept_as_a_walk_keeps_them(library: Library, tree: Path) -> None:
    shutil.rmtree(tree / "folder 0")
    assert library.index_only([tree / "folder 0"]).removed == 10
    for number in range(60):
        (tree / "folder 1" / f"more {number}.txt").write_text(f"More, number {number}.")
    library.index()
    shutil.rmtree(tree / "folder 1")
    done = library.index_only([tree / "folder 1"])
    assert done.removed == 0
    assert done.absent[0].files == 70
    # While a person is asked, a walk of a part does not end the asking.
    (tree / "folder 2" / "deep" / "2.txt").unlink()
    library.index_only([tree / "folder 2"])
    assert library.status().roots[0].absent == 70
    assert library.index().absent[0].files == 71


def test_a_root_that_is_away_loses_nothing(library: Library, tree: Path) -> None:
    tree.rename(tree.with_name("away"))
    done = library.index_only([tree / "folder 1"])
    assert (done.offline, done.removed) == ([os.fsencode(tree)], 0)
    tree.mkdir()
    done = library.index_only([tree / "folder 1" / "deep" / "1.txt"])
    assert (done.offline, done.removed) == ([os.fsencode(tree)], 0)
    assert len(everything(library)) == 30


def test_a_root_within_a_root_is_looked_at_by_its_own_rules(library: Library, tree: Path) -> None:
    inner = tree / "folder 1" / "deep"
    library.index([inner], rules=WalkRules(exclude=("*.md",)))
    (inner / "left out.md").write_text("A note.")
    (inner / "taken.txt").write_text("A note.")
    assert library.index_only([inner / "left out.md"]).files == 0
    assert library.index_only([tree / "folder 1"]).added == 1
    assert library.index().added == 0


def test_a_link_is_judged_by_a_walk_of_the_whole_root(library: Library, tree: Path, tmp_path: Path) -> None:
    link, outside = tree / "link.txt", tmp_path / "outside"
    link.symlink_to(tree / "folder 1" / "deep" / "1.txt")
    assert library.index_only([link]).added == 0
    outside.mkdir()
    (tree / "drive").symlink_to(outside)
    library.index()
    (outside / "far.txt").write_text("A note on another drive.")
    assert library.index_only([tree / "drive" / "far.txt"]).added == 1
    assert library.index().files == 31


def test_what_is_named_twice_or_lies_in_no_root_does_no_harm(library: Library, tree: Path, tmp_path: Path) -> None:
    done = library.index_only([tree / "folder 1", tree / "folder 1" / "deep", tmp_path / "nowhere", "/"])
    assert (done.unchanged, done.removed) == (30, 0)
    assert library.index_only([]).files == 0


def test_what_is_being_written_is_left_to_a_later_run(library: Library, tree: Path) -> None:
    fresh, old = tree / "fresh.txt", tree / "old.txt"
    fresh.write_text("A note.")
    old.write_text("Another note.")
    os.utime(old, (0, 0))  # as a copy that keeps times: the system knows when it came
    done = library.index(settings=IndexSettings(rest=3_600))
    assert done.unsettled == sorted(map(os.fsencode, (fresh, old)))
    assert (done.added, done.unchanged) == (0, 30)
    time.sleep(0.01)
    assert library.index(settings=IndexSettings(rest=0.001)).added == 2
