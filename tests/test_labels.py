"""Photos are named by labels that a person gives, with scores, and as keywords beside them where that is asked."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from conftest import PHOTOGRAPHS, Mmsearch, refused
from PIL import Image

from mmsearch import Filters, Library, Query
from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.library.labels import write_sidecars
from mmsearch.output.labels import sidecars_said
from mmsearch.reading.sidecars import facts_of_sidecars
from mmsearch.searching.labelling import Labelled, LabelledPhoto, PhotoLabel
from mmsearch.searching.query import text_term

LABELS = ("cat", "cup of coffee", "rocket", "galaxy", "flower")
PHOTOS = len(PHOTOGRAPHS) + 2


def test_each_photo_gets_the_label_that_fits_and_a_score(indexed: Path, photos: Path) -> None:
    with Library(indexed) as library:
        found = library.label(LABELS, top=2, min_score=0)
    by_name = {os.path.basename(photo.path): photo.labels for photo in found.photos}
    assert found.total == len(found.photos) == len(list((photos / "photos").iterdir()))
    best = {"cat.png": "cat", "coffee.png": "cup of coffee", "rocket.jpg": "rocket", "flower.jpg": "flower"}
    for name, label in best.items():
        first, second = by_name[name]
        assert first.label == label and first.share > 0.5 and first.score > second.score
    assert sum(one.share for one in by_name["bricks.png"]) <= 1.0001
    # Nothing that was asked for: the score says so, whatever the shares are.
    assert by_name["bricks.png"][0].score < 0.1 < by_name["cat.png"][0].score


def test_a_score_is_about_that_of_a_search(indexed: Path) -> None:
    with Library(indexed) as library:
        (label,) = library.label(["kitten"], Filters(medium="image"), min_score=0.1).photos[0].labels
        hit = library.search(Query((text_term("kitten"),), Filters(medium="image"))).hits[0]  # in no photo's name
    assert abs(label.score - hit.score) < 0.35 and label.share == 1


def test_what_scores_too_little_is_left_out(indexed: Path) -> None:
    with Library(indexed) as library:
        few = library.label(["cat"], min_score=0.1)
        assert few.thresholds == {"cat": pytest.approx(0.1)}
        assert [os.path.basename(photo.path) for photo in few.photos] == ["cat.png"] and few.total > 1
        assert library.label(["cat"], Filters(medium="text")).total == 0
        for labels, top, words in (([" "], 1, "no label"), (["cat"], 0, "must be 1 or more")):
            with refused(words):
                library.label(labels, top=top)


def test_a_label_names_what_a_search_for_it_would_show(indexed: Path) -> None:
    labels = (*LABELS, "qwrtzpl")
    with Library(indexed) as library:
        found = library.label(labels)
        for label in labels:
            asked = library.search(Query((text_term(label),), Filters(medium="image")))
            assert found.thresholds[label] == pytest.approx(asked.thresholds["image"], abs=1e-4)
    assert found.thresholds["qwrtzpl"] > found.thresholds["cat"]  # which people ask for
    named = {os.path.basename(photo.path): photo.labels[0].label for photo in found.photos}
    assert {"cat.png": "cat", "coffee.png": "cup of coffee", "flower.jpg": "flower"}.items() <= named.items()
    assert "qwrtzpl" not in named.values() and not {"bricks.png", "motorcycle.png", "moon.png"} & named.keys()
    assert len(named) < found.total / 2


def test_a_label_that_is_not_close_leaves_the_photo_to_the_next_one(indexed: Path, photos: Path) -> None:
    grass = str(photos / "photos" / "grass.png")
    with Library(indexed) as library:
        for least, expected in ((0, "noise"), (None, "meadow")):
            (own,) = (one for one in library.label(["noise", "meadow"], min_score=least).photos if one.path == grass)
            assert [one.label for one in own.labels] == [expected]


def test_the_command_says_how_many_photos_have_no_label(mmsearch: Mmsearch, indexed: Path) -> None:
    some = mmsearch("label", *LABELS, library=indexed)
    unnamed = int(some.err.split("no label is close to ")[1].split(" of ")[0])
    assert some.code == 0 and 0 < unnamed < PHOTOS and len(some.out.splitlines()) == PHOTOS - unnamed
    every = mmsearch("label", *LABELS, "--min-score", "0", library=indexed)
    assert every.code == 0 and every.err == "" and len(every.out.splitlines()) == PHOTOS
    none = mmsearch("label", "qwrtzpl", library=indexed)
    assert (none.code, none.out) == (1, "")
    assert none.err == f"mmsearch: no label is close to any of {PHOTOS} photos. --min-score 0 names all.\n"
    asked = mmsearch("label", "cat", "--min-score", "0.1", library=indexed)
    assert asked.err == f"mmsearch: no label scores enough for {PHOTOS - 1} of {PHOTOS} photos.\n"
    assert mmsearch("-q", "label", "qwrtzpl", library=indexed).err == ""
    assert mmsearch("label", "cat", "--ext", "xyz", library=indexed).err == "mmsearch: there is no photo.\n"


@pytest.mark.slow
def test_the_command_prints_lines_csv_and_json(mmsearch: Mmsearch, indexed: Path, photos: Path, tmp_path: Path) -> None:
    listed = tmp_path / "labels.txt"
    listed.write_text("\n".join(LABELS[1:]) + "\n\n", encoding="utf-8")
    lines = mmsearch("label", "cat", "--labels", listed, "--min-score", "0.1", library=indexed)
    cat = photos / "photos" / "cat.png"
    assert lines.code == 0 and any(line.endswith(f"\tcat\t{cat}") for line in lines.out.splitlines())
    rows = list(csv.DictReader(mmsearch("label", *LABELS, "--csv", library=indexed).out.splitlines()))
    assert {row["label"] for row in rows if row["path"] == str(cat)} == {"cat"}
    whole = mmsearch("label", *LABELS, "--json", "--in", photos, library=indexed).json
    assert whole["labels"] == list(LABELS) and set(whole["photos"][0]) == {"path", "id", "labels"}
    each = mmsearch("label", *LABELS, "--jsonl", library=indexed).out.splitlines()
    assert [json.loads(line)["path"] for line in each] == [photo["path"] for photo in whole["photos"]]
    assert mmsearch("label", "cat", "--min-score", "1", library=indexed).code == 1
    for wrong in (("label",), ("label", "cat", "--csv", "--json"), ("label", "cat", "--xmp"),
                  ("label", "--labels", tmp_path / "none")):  # fmt: skip
        assert mmsearch(*wrong, library=indexed).code == 2


@pytest.mark.slow
def test_labels_become_keywords_and_no_sidecar_of_others_is_touched(
    photos: Path, tmp_path: Path, mmsearch: Mmsearch
) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("cat", "coffee", "flower"):
        source = next((photos / "photos").glob(f"{name}.*"))
        with Image.open(source) as picture:
            exif = Image.Exif()
            exif[0x9C9E] = "my own word".encode("utf-16-le")  # a keyword as Windows writes it
            picture.convert("RGB").save(folder / f"{name}.jpg", exif=exif)
    foreign = folder / "coffee.xmp"
    foreign.write_text("what an editor has written")
    library = tmp_path / "library"
    assert mmsearch("index", folder, library=library).code == 0
    labels = ("cat", "cup of coffee", "flower")
    done = mmsearch("label", *labels, "--min-score", "0.1", "--xmp", library=library)
    assert done.code == 0
    assert "2 sidecars written, 1 photo has one that was left alone; `mmsearch index` reads them." in done.err
    assert sorted(path.name for path in folder.iterdir()) == [
        "cat.jpg", "cat.jpg.xmp", "coffee.jpg", "coffee.xmp", "flower.jpg", "flower.jpg.xmp",
    ]  # fmt: skip
    assert foreign.read_text() == "what an editor has written"
    assert os.name == "nt" or stat.S_IMODE((folder / "cat.jpg.xmp").stat().st_mode) & 0o111 == 0
    assert mmsearch("index", folder, library=library).code == 0
    with Library(library) as opened:
        (cat,) = opened.list_files(Filters(keywords=("cat",))).hits
        assert set(cat.keywords) == {"my own word", "cat"}
    again = mmsearch("label", *labels, "--min-score", "0.1", "--xmp", library=library)
    assert "0 sidecars written, 3 photos have one that was left alone.\n" in again.err
    none = mmsearch("label", "a whale", "--min-score", "0.99", "--xmp", library=library)
    assert "mmsearch: 0 sidecars written.\n" in none.err


def test_any_words_are_read_again_as_they_were_written(tmp_path: Path) -> None:
    photo = os.fsencode(tmp_path / "IMG_1.jpg")
    with pytest.raises(FileNotFoundError):
        write_keywords(photo, ["cat"])
    Path(os.fsdecode(photo)).write_bytes(b"a photo")
    words = ["salt & <pepper>", 'the "best" one', "Müller, 京都"]
    assert write_keywords(photo, [*words, "a \x07 bell"])
    assert facts_of_sidecars([photo + b".xmp"]).details.keywords == (*words, "a bell")
    assert not write_keywords(photo, ["another"])
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("is_quicker", [True, False], ids=["an editor is quicker", "nobody is quicker"])
def test_a_memory_card_without_hard_links_keeps_what_another_program_writes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_quicker: bool
) -> None:
    photo, sidecar = tmp_path / "IMG_1.jpg", tmp_path / "IMG_1.jpg.xmp"
    photo.write_bytes(b"a photo")

    def refused_link(source: bytes, target: bytes) -> None:
        if is_quicker:
            sidecar.write_text("what an editor has written")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused_link)
    assert write_keywords(os.fsencode(photo), ["cat"]) != is_quicker
    if is_quicker:
        assert sidecar.read_text() == "what an editor has written"
    else:
        assert facts_of_sidecars([os.fsencode(sidecar)]).details.keywords == ("cat",)
    assert sorted(os.listdir(tmp_path)) == ["IMG_1.jpg", "IMG_1.jpg.xmp"]


def test_nothing_is_written_beside_what_lies_in_archives_and_buckets(tmp_path: Path) -> None:
    packed = tmp_path / "old.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("cat.jpg", b"a photo")
    (tmp_path / "dog.jpg").write_bytes(b"a photo")
    paths = [f"{packed}!cat.jpg", "s3://bucket/cat.jpg", str(tmp_path / "gone.jpg"), str(tmp_path / "dog.jpg")]
    labelled = tuple(LabelledPhoto(path, "", (PhotoLabel("pet", 0.9, 0.9),)) for path in paths)
    done = write_sidecars(Labelled("", "", Filters(), ("pet",), {"pet": 0.5}, 0.1, 4, labelled))
    assert done.written == (str(tmp_path / "dog.jpg.xmp"),)
    assert [(one.path, one.reason) for one in done.failures] == [
        (paths[0], "it lies in an archive, where nothing is written"),
        (paths[1], "it lies in a bucket, where nothing is written"),
        (paths[2], "No such file or directory"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dog.jpg", "dog.jpg.xmp", "old.zip"]
    assert sidecars_said(done)[1].startswith(f"no sidecar beside {packed}!cat.jpg: it lies in an archive")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="folders have no such rights")
def test_a_folder_that_cannot_be_written_is_counted(photos: Path, tmp_path: Path, mmsearch: Mmsearch) -> None:
    folder, library = tmp_path / "album", tmp_path / "library"
    folder.mkdir()
    (folder / "cat.png").write_bytes((photos / "photos" / "cat.png").read_bytes())
    assert mmsearch("index", folder, library=library).code == 0
    folder.chmod(0o555)
    done = mmsearch("label", "cat", "--min-score", "0.1", "--xmp", library=library, as_anybody=True)
    folder.chmod(0o755)
    assert "0 sidecars written" in done.err and "1 could not be written" in done.err
    assert f"no sidecar beside {folder / 'cat.png'}: Permission denied\n" in done.err
    assert [path.name for path in folder.iterdir()] == ["cat.png"]
