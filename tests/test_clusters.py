"""Photos are put into groups by what they show."""

from __future__ import annotations

import os
from pathlib import Path

import json_page
import pytest
from conftest import Mmsearch, refused
from PIL import Image, ImageEnhance

from mmsearch import Clusters, Filters, Library

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


def test_there_are_no_more_groups_than_photos_and_none_is_empty(album: Path, library: Library) -> None:
    with Library(album / ".library") as opened:
        found = opened.clusters(count=500)
        assert 3 <= len(found.clusters) <= 10 and sum(one.size for one in found.clusters) == 10
        assert opened.clusters(Filters(extensions=(".txt",))).clusters == ()
        for count, central, words in ((0, 5, "1 to 1,000"), (3, 0, "must be 1 or more")):
            with refused(words):
                opened.clusters(count=count, central=central)


def test_the_command_prints_a_line_for_each_photo_and_json(album: Path, mmsearch: Mmsearch) -> None:
    lines = mmsearch("clusters", "--count", "3", library=album / ".library")
    numbers = [line.split("\t")[0] for line in lines.out.splitlines()]
    assert lines.code == 0 and numbers == ["1"] * 4 + ["2"] * 4 + ["3"] * 2
    whole = mmsearch("clusters", album, "-n", "2", "--json", library=album / ".library").json
    assert len(whole["clusters"]) == 2 and not [*json_page.undocumented("clusters", whole)]
    assert mmsearch("clusters", "--ext", "txt", library=album / ".library").code == 1
    assert mmsearch("clusters", "--count", "0", library=album / ".library").code == 2
