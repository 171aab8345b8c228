"""Photos are put into groups by what they show."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import json_page
import numpy as np
import numpy.typing as npt
import pytest
from conftest import Mmsearch, refused
from PIL import Image, ImageEnhance

from mmsearch import Clusters, Filters, Library
from mmsearch.output.clusters import print_clusters
from mmsearch.records import Progress
from mmsearch.searching import album_names, clustering
from mmsearch.searching.album_names import names_in
from mmsearch.searching.cluster_names import named, root_of, typical_words
from mmsearch.searching.shown_names import shown_names

SUBJECTS = ("cat.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def album(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects, four pictures of each but for the last, of which there are two."""
    folder = tmp_path_factory.mktemp("album")
    for number, name in enumerate(SUBJECTS):
        with Image.open(photos / "photos" / name) as opened:
            picture = opened.convert("RGB")
        for cut in range(2 if number == 2 else 4):
            part = picture.crop((5 * cut, 5 * cut, picture.width - 9 * cut, picture.height - 4 * cut))
            ImageEnhance.Brightness(part).enhance(1 - 0.05 * cut).save(folder / f"{name[:3]}{cut}.jpg")
    (folder / "note.txt").write_text("A note is no photo.")
    with Library(folder / ".library") as library:
        library.index([folder])
    return folder


def subjects(found: Clusters) -> list[set[str]]:
    return [{os.path.basename(path)[:3] for path in (*one.photos, *one.others)} for one in found.clusters]


def test_each_subject_is_a_group_with_its_most_central_photos(album: Path) -> None:
    with Library(album / ".library") as library:
        found = library.clusters(count=3, central=2)
        assert library.clusters(count=3, central=2).clusters == found.clusters
        one = library.clusters(Filters(folders=(os.fsencode(album),)), count=1).clusters
    assert subjects(found) in ([{"cat"}, {"cof"}, {"roc"}], [{"cof"}, {"cat"}, {"roc"}])
    assert [one.size for one in found.clusters] == [4, 4, 2] and found.total == 10
    assert all(len(one.photos) == 2 and one.cohesion > 0.9 for one in found.clusters)
    assert one[0].size == 10 and one[0].cohesion < 0.9


def test_the_same_photos_make_the_same_groups_however_they_were_indexed(photos: Path, library: Library) -> None:
    folder = photos / "photos"
    groups = []
    for backwards in (False, True):
        with Library(Path(library.folder) / str(backwards)) as one:
            for photo in sorted(folder.iterdir(), reverse=backwards):
                one.index([photo])
            found = [one.clusters(count=count).clusters for count in range(2, 7)]
        groups.append([[(*group.photos, *group.others) for group in some] for some in found])
    assert groups[0] == groups[1]


def named_clusters(library: Library, on_progress: Callable[[Progress], None] = lambda _: None) -> list[tuple[str, ...]]:
    return [one.name for one in library.clusters(count=2, on_progress=on_progress).clusters]


@pytest.fixture
def travels(photos: Path, tmp_path: Path, library: Library) -> Library:
    """A library of four pictures of a cat in Lisbon, and of as many of coffee in Kyoto."""
    for folder, name in (("2021 Lisbon", "cat.png"), ("2022 Kyoto", "coffee.png")):
        (tmp_path / "album" / folder).mkdir(parents=True)
        with Image.open(photos / "photos" / name) as opened:
            for number in range(4):
                picture = opened.convert("RGB").crop((5 * number, 0, opened.width, opened.height))
                picture.save(tmp_path / "album" / folder / f"IMG_{number}.jpg")
    library.index([tmp_path / "album"])
    return library


def test_a_group_is_named_by_its_files_and_by_what_they_show(
    album: Path, travels: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library(album / ".library") as library:
        library.clusters(count=3)
    # The words are the same in every library of a model; encoding them takes seconds.
    (kept,) = (album / ".library" / "derived").glob("*.words")
    Path(travels.folder, "derived").mkdir(exist_ok=True)
    shutil.copy(kept, Path(travels.folder, "derived"))
    monkeypatch.setattr(album_names, "text_vectors", lambda *_: pytest.fail("the words are encoded again"))
    names = named_clusters(travels)
    assert sorted(name[0] for name in names) == ["kyoto", "lisbon"]
    shown = {name[0]: " ".join(name[1:]) for name in names}
    assert "cats" in shown["lisbon"] and ("coffee" in shown["kyoto"] or "cups" in shown["kyoto"])
    # Of one group nothing is typical: there is nothing else than what it shows, and it shows both.
    (both,) = travels.clusters(count=1).clusters
    assert len(both.name) == 2 and not {"kyoto", "lisbon"} & set(both.name)
    assert "cats" in " ".join(both.name)


def test_words_are_encoded_once_and_again_where_their_file_is_damaged(
    travels: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = names_in("animals: cats; dogs; horses\ndrinks: cups of coffee; wine; milk\nsports: tennis; skiing; rowing")
    monkeypatch.setattr(clustering, "album_names", lambda: few)
    told: list[Progress] = []
    names = named_clusters(travels, told.append)
    assert {(one.stage, one.unit) for one in told} == {("encoding words, once", "words")} and told[0].done == 0
    (kept,) = Path(travels.folder, "derived").glob("*.words")
    with monkeypatch.context() as patch:
        patch.setattr(album_names, "text_vectors", lambda *_: pytest.fail("the words are encoded again"))
        assert named_clusters(travels) == names
    whole = kept.read_bytes()
    for damaged in (whole[:-1] + b"?", whole[:-1], whole + b"?", whole[:40] + b"?" + whole[41:]):
        kept.write_bytes(damaged)
        told.clear()
        assert named_clusters(travels, told.append) == names and told
    monkeypatch.setattr(clustering, "album_names", lambda: names_in("animals: cats; birds"))
    told.clear()
    named_clusters(travels, told.append)
    assert told


def test_typical_words_are_more_often_there_than_elsewhere() -> None:
    def photos_with(*words: str) -> list[frozenset[str]]:
        return [frozenset(words)] * 10

    at_sea, at_home = photos_with("holiday", "sea", "beach"), photos_with("home", "holiday")
    some = [*photos_with("garden")[:4], *photos_with("plain")[:6]]
    assert typical_words([at_sea, at_home, some]) == [["beach", "sea"], ["home"], ["plain"]]
    assert typical_words([at_sea]) == [[]]
    assert named(["lisbon"], ["tram", "trams", "street", "hill"]) == ("lisbon", "tram", "street")
    assert named(["cat"], ["cats", "kitten"]) == ("cat", "kitten")
    assert named([], ["sunrise and sunset", "boats and ships"]) == ("sunrise and sunset", "boats and ships")
    assert root_of([b"/home", b"/home/a"], b"/home/a/b.jpg") == b"/home/a" and root_of([b"/x"], b"/xy.jpg") is None
    assert root_of([b"/home", b"/home/a.zip"], b"/home/a.zip!b.jpg") == b"/home/a.zip"


KINDS = names_in(
    "food: fruit; bread\nfruit: apples; pears; plums\nsports: tennis; rowing\nrooms: kitchens; attics\n"
    "animals: cats; dogs; horses; cows; ducks; owls\nvehicles: cars; trucks; trams; boats; planes; tractors"
)


def photos_of(*names: str, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors of photos, one of each name, near to what `vectors_of` gives for it."""
    mixed = vectors_of(*names) + np.random.default_rng(seed).normal(scale=0.03, size=(len(names), 64))
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)


def vectors_of(*names: str) -> npt.NDArray[np.float32]:
    """A direction of its own for each name."""
    return np.eye(64, dtype=np.float32)[[KINDS.names.index(name) for name in names]]


def names_of(*clusters: npt.NDArray[np.float32]) -> list[tuple[str, ...]]:
    return shown_names(KINDS, vectors_of(*KINDS.names), clusters, [len(one) for one in clusters])


def test_a_group_of_several_things_of_a_kind_is_called_by_the_kind() -> None:
    court, bowl = photos_of(*["tennis"] * 9), photos_of(*["apples", "pears", "plums"] * 3)
    assert names_of(court, bowl) == [("tennis",), ("fruit",)]
    assert names_of(court, photos_of(*["pears"] * 9)) == [("tennis",), ("pears",)]


def test_a_group_of_two_things_has_both_names_that_of_the_most_photos_first() -> None:
    assert names_of(photos_of(*["attics"] * 3, *["tennis"] * 5), photos_of(*["bread"] * 9))[0] == ("tennis", "attics")
    # One stray photo is no reason for a name.
    assert names_of(photos_of("attics", *["tennis"] * 9), photos_of(*["bread"] * 9))[0] == ("tennis",)


def test_two_groups_that_show_alike_are_called_differently_where_a_second_name_fits() -> None:
    tennis = photos_of(*["tennis"] * 9)
    by_the_river = 0.79 * photos_of(*["tennis"] * 9, seed=1) + 0.61 * photos_of(*["rowing"] * 9, seed=2)
    assert names_of(by_the_river) == [("tennis",)]
    assert names_of(tennis, by_the_river) == [("tennis",), ("rowing",)]
    # Where none does, both have the one that does.
    assert names_of(tennis, photos_of(*["tennis"] * 9, seed=2)) == [("tennis",), ("tennis",)]


def test_a_group_that_nothing_is_near_to_has_no_name() -> None:
    strange = np.eye(64, dtype=np.float32)[40:49]
    assert names_of(strange, photos_of(*["tennis"] * 9)) == [(), ("tennis",)]


def test_the_list_of_names_is_one_of_kinds_and_what_belongs_to_them() -> None:
    album = album_names.album_names()
    assert len(set(album.names)) == len(album.names) > 1_000
    # They are names that are typed and printed as they are: small letters, four words at most.
    assert [name for name in album.names if name != name.lower().strip() or not 1 <= len(name.split()) <= 4] == []
    place = album.names.index
    assert place("tabby cats") in album.kinds[place("animals")] and place("cats") in album.kinds[place("animals")]
    assert album.are_kin[place("cats"), place("animals")] and album.are_kin[place("animals"), place("tabby cats")]
    assert not album.are_kin[place("cats"), place("dogs")]


def test_there_are_no_more_groups_than_photos_and_none_is_empty(album: Path, library: Library) -> None:
    with Library(album / ".library") as opened:
        found = opened.clusters(count=500)
        assert 3 <= len(found.clusters) <= 10 and sum(one.size for one in found.clusters) == 10
        assert opened.clusters(Filters(extensions=(".txt",))).clusters == ()
        for count, central, words in ((0, 5, "1 to 1,000"), (3, 0, "must be 1 or more")):
            with refused(words):
                opened.clusters(count=count, central=central)


def test_a_person_sees_the_name_of_each_group(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Library(album / ".library") as opened:
        found = opened.clusters(count=3, central=1)
    print_clusters(found, True)
    shown = capsys.readouterr().out
    for number, cluster in enumerate(found.clusters, start=1):
        assert f"{number}: {', '.join(cluster.name)}, {cluster.size} photos\n  {cluster.photos[0]}\n" in shown
    assert found.clusters[2].name[0] == "roc"
    print_clusters(replace(found, clusters=(replace(found.clusters[0], name=()),)), True)
    assert capsys.readouterr().out.startswith("1: 4 photos\n")


def test_the_command_prints_a_line_for_each_photo_and_json(album: Path, mmsearch: Mmsearch) -> None:
    lines = mmsearch("clusters", "--count", "3", library=album / ".library")
    fields = [line.split("\t") for line in lines.out.splitlines()]
    assert lines.code == 0 and [number for number, _, _ in fields] == ["1"] * 4 + ["2"] * 4 + ["3"] * 2
    whole = mmsearch("clusters", album, "-n", "3", "--json", library=album / ".library").json
    groups = whole["clusters"]
    assert [(path, name) for _, path, name in fields] == [
        (path, ", ".join(one["name"])) for one in groups for path in (*one["photos"], *one["others"])
    ]
    assert all(one["name"] for one in groups) and not [*json_page.undocumented("clusters", whole)]
    assert mmsearch("clusters", "--ext", "txt", library=album / ".library").code == 1
    assert mmsearch("clusters", "--count", "0", library=album / ".library").code == 2
