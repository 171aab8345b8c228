"""What is there more than once is found, told apart, and one of each group is proposed to be kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import json_page
import numpy as np
import pytest
from conftest import Mmsearch, refused
from made_up_library import drawn
from PIL import Image, ImageEnhance, ImageOps
from terminal import printed_on_a_terminal, seen

from mmsearch import Duplicates, Filters, Library, Progress
from mmsearch.files.crash_points import VARIABLE
from mmsearch.nearest.pairs import near_pairs
from mmsearch.output.duplicates import print_duplicates
from mmsearch.output.hits import Form
from mmsearch.records import HalfMatrix
from mmsearch.searching import miniatures
from mmsearch.searching.duplicate_groups import DUPLICATE_CLASSES
from mmsearch.searching.miniatures import MINIATURE_CACHE_NAME, Miniature
from mmsearch.searching.same_picture import LEAST_CORRELATION, Comparison

TAKEN, OFFSET_OF_EXIF = 0x9003, 0x8769


def save(picture: Image.Image, path: Path, taken: str | None = None, **options: int) -> None:
    exif = Image.Exif()
    if taken is not None:
        exif.get_ifd(OFFSET_OF_EXIF)[TAKEN] = taken
    picture.save(path, None, exif=exif, **options)


def cat_of(photos: Path) -> Image.Image:
    with Image.open(photos / "photos" / "cat.png") as picture:
        return picture.convert("RGB")


def named(found: Duplicates) -> list[tuple[str, str, list[str]]]:
    """The class, the file to keep and the others of each group."""
    return [
        (group.kind, os.path.basename(group.files[0].path), sorted(os.path.basename(one.path) for one in group.others))
        for group in found.groups
    ]


@pytest.fixture
def album(photos: Path, tmp_path: Path) -> Path:
    """A cat in four forms, a mirrored one, a copy of a note, two shots of coffee, and what is there once."""
    folder = tmp_path / "album"
    folder.mkdir()
    cat = cat_of(photos)
    save(cat, folder / "cat.jpg", "2024:05:06 12:00:00", quality=95)
    save(cat.resize((225, 150)), folder / "small.jpg", quality=70)
    save(ImageEnhance.Brightness(cat.crop((20, 20, 420, 285))).enhance(1.15), folder / "cut.png")
    save(ImageOps.grayscale(cat), folder / "grey.webp")
    save(ImageOps.mirror(cat), folder / "mirrored.jpg")
    with Image.open(photos / "photos" / "coffee.png") as picture:
        coffee = picture.convert("RGB")
    save(coffee, folder / "shot1.jpg", "2024:05:06 13:00:00")
    save(coffee.crop((60, 40, 600, 400)), folder / "shot2.jpg", "2024:05:06 13:00:04")
    shutil.copy(photos / "photos" / "rocket.jpg", folder / "rocket.jpg")
    for name in ("tax.txt", "again.txt"):
        shutil.copy(photos / "notes" / "tax.txt", folder / name)
    os.utime(folder / "tax.txt", (1, 1))
    return folder


ALL = [
    ("bytes", "tax.txt", ["again.txt"]),
    ("picture", "cat.jpg", ["cut.png", "grey.webp", "small.jpg"]),
    ("shots", "shot1.jpg", ["shot2.jpg"]),
]


@pytest.mark.parametrize("copy", ["copy-of-cat.jpg", "cat copy.jpg", "cat - Kopie.jpg", "cat (2).jpg", "Copy.jpg"])
def test_a_file_that_is_called_a_copy_is_not_the_one_to_keep(
    photos: Path, tmp_path: Path, library: Library, copy: str
) -> None:
    folder = tmp_path / "home"
    (folder / "a folder of photographs").mkdir(parents=True)
    for name in (copy, "a folder of photographs/the cat of a copyist.jpg"):
        shutil.copy(photos / "photos" / "cat.png", folder / name)
        os.utime(folder / name, (1, 1))
    library.index([folder])
    (group,) = library.duplicates().groups
    assert (group.why, os.path.basename(group.files[0].path)) == ("not called a copy", "the cat of a copyist.jpg")


def test_a_symbolic_link_is_not_the_one_to_keep(photos: Path, tmp_path: Path, library: Library) -> None:
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere.png"
    (folder / "holidays").mkdir(parents=True)
    for path in (elsewhere, folder / "holidays" / "a picture of a cat.png"):
        shutil.copy(photos / "photos" / "cat.png", path)
    os.utime(elsewhere, (1, 1))
    (folder / "cat.png").symlink_to(elsewhere)
    library.index([folder])
    (group,) = library.duplicates().groups
    assert (group.why, os.path.basename(group.files[0].path)) == ("no symbolic link", "a picture of a cat.png")


def test_three_classes_are_told_apart_and_one_file_of_each_is_to_be_kept(album: Path, library: Library) -> None:
    library.index([album])
    found = library.duplicates()
    assert named(found) == ALL and found.total == 3 and found.not_compared == 0
    copies, cats, shots = found.groups
    assert copies.why == "the oldest" and cats.why.startswith("the largest (451×300)")
    assert cats.bytes == sum((album / name).stat().st_size for name in ("cut.png", "grey.webp", "small.jpg"))
    assert [one.keep for one in cats.files] == [True, False, False, False]
    assert cats.files[0].similarity == 1 and all(one.similarity > 0.8 for one in cats.others)
    assert "taken first" in shots.why or "the largest" in shots.why


def test_classes_filters_and_a_limit_choose(album: Path, library: Library) -> None:
    library.index([album])
    for kind in DUPLICATE_CLASSES:
        assert named(library.duplicates(classes=[kind])) == [one for one in ALL if one[0] == kind]
    assert named(library.duplicates(Filters(extensions=(".jpg",)))) == [("picture", "cat.jpg", ["small.jpg"]), ALL[2]]
    assert named(library.duplicates(Filters(medium="text"))) == ALL[:1]
    limited = library.duplicates(limit=1)
    assert named(limited) == ALL[:1] and limited.total == 3
    with refused("There is no class 'dogs'"):
        library.duplicates(classes=["dogs"])  # type: ignore[list-item]


def test_the_second_time_no_picture_is_read_and_that_is_told(
    album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([album])
    first = library.duplicates()
    monkeypatch.setattr(miniatures, "_miniature", lambda sources: pytest.fail("a picture is read"))
    told: list[Progress] = []
    assert library.duplicates(on_progress=told.append).groups == first.groups
    looked_at = [one for one in told if one.stage == "looking at"]
    assert 0 < looked_at[-1].done == looked_at[-1].total
    # What takes the time then is told too.
    pairs = next(one for one in told if one.unit == "pairs of photos")
    assert pairs.total is not None and pairs.total > 0 and told.index(pairs) > told.index(looked_at[-1])


def test_damaged_miniatures_are_made_again(album: Path, library: Library) -> None:
    library.index([album])
    first = library.duplicates()
    cache = Path(library.folder, MINIATURE_CACHE_NAME)
    assert os.name == "nt" or cache.stat().st_mode & 0o077 == 0
    content = bytearray(cache.read_bytes())
    for place in range(100, len(content), 1_000):
        content[place] ^= 0xFF
    cache.write_bytes(content)
    assert library.duplicates().groups == first.groups
    cache.write_bytes(b"nothing of ours")
    assert library.duplicates().groups == first.groups


def test_what_is_forgotten_leaves_no_miniature(album: Path, library: Library) -> None:
    library.index([album])
    library.duplicates()
    cache = miniatures.MiniatureCache(library.folder)
    kept = cache.read()
    grey = kept[bytes.fromhex(next(one.id for one in library.duplicates().groups[1].others if "grey" in one.path))]
    assert grey.to_bytes() in Path(library.folder, MINIATURE_CACHE_NAME).read_bytes()
    library.forget(album / "grey.webp")
    assert len(cache.read()) == len(kept) - 1
    assert grey.to_bytes() not in Path(library.folder, MINIATURE_CACHE_NAME).read_bytes()


def test_a_killed_run_leaves_nothing_behind(
    album: Path, library: Library, mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([album])
    folder = Path(library.folder)
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "derived file written")
        assert mmsearch("duplicates", library=folder).code < 0
    assert [path.name for path in folder.glob("miniatures*")] == ["miniatures.cache.part"]
    library.forget(album / "rocket.jpg")
    assert not [*folder.glob("miniatures*")]
    assert mmsearch("duplicates", library=folder).code == 0
    assert [path.name for path in folder.glob("miniatures*")] == ["miniatures.cache"]


def test_photos_of_other_seconds_are_shots_and_never_one_picture(
    photos: Path, tmp_path: Path, library: Library
) -> None:
    folder = tmp_path / "burst"
    folder.mkdir()
    cat = cat_of(photos)
    # As alike as two photos can be, and yet each says another second.
    for second in range(3):
        save(cat, folder / f"burst{second}.jpg", f"2024:05:06 12:00:0{second}", quality=90 + second)
    save(cat, folder / "hour.jpg", "2024:05:06 17:30:00", quality=85)
    library.index([folder])
    assert named(library.duplicates()) == [
        ("picture", "burst0.jpg", ["hour.jpg"]),  # another time zone
        ("shots", "burst0.jpg", ["burst1.jpg", "burst2.jpg"]),
    ]


def test_a_raw_photo_beside_its_picture_is_no_duplicate(photos: Path, tmp_path: Path, library: Library) -> None:
    pytest.importorskip("rawpy")
    from camera_raw_file import dng

    folder = tmp_path / "roll"
    (folder / "developed").mkdir(parents=True)
    small = cat_of(photos).resize((300, 200))
    (folder / "cat.dng").write_bytes(dng(small))
    small.save(folder / "cat.jpg", quality=95)
    small.save(folder / "developed" / "print.png")
    library.index([folder])
    (group,) = library.duplicates().groups
    assert {os.path.basename(one.path) for one in group.files} == {"cat.jpg", "print.png"}
    of_jpeg = next(one for one in group.files if one.path.endswith("cat.jpg"))
    assert of_jpeg.companions == (str(folder / "cat.dng"),)


def test_names_of_one_file_are_no_duplicates(photos: Path, tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "linked"
    (folder / "real").mkdir(parents=True)
    shutil.copy(photos / "photos" / "rocket.jpg", folder / "real" / "rocket.jpg")
    os.link(folder / "real" / "rocket.jpg", folder / "also.jpg")
    library.index([folder])
    assert library.duplicates().groups == ()
    shutil.copy(folder / "also.jpg", folder / "copy.jpg")
    library.index([folder])
    (group,) = library.duplicates().groups
    assert len(group.files) == 2 and any(one.path.endswith("copy.jpg") for one in group.files)


def test_a_file_that_has_changed_since_is_no_duplicate_any_more(album: Path, library: Library) -> None:
    library.index([album])
    (album / "again.txt").write_text("Another text by now.")
    save(Image.new("RGB", (50, 50)), album / "small.jpg")
    assert named(library.duplicates()) == [("picture", "cat.jpg", ["cut.png", "grey.webp"]), ALL[2]]


def test_what_is_away_is_not_compared_and_never_the_one_to_keep(
    album: Path, library: Library, mmsearch: Mmsearch
) -> None:
    library.index([album])
    away = album.rename(album.parent / "away")
    album.mkdir()
    shutil.copy2(away / "small.jpg", album)
    shutil.copy2(away / "again.txt", album)
    found = library.duplicates()
    assert [one[:2] for one in named(found)] == [("bytes", "again.txt"), ("shots", "shot1.jpg")]
    assert found.not_compared == 4  # the mirrored one looks like them too
    done = mmsearch("duplicates", "--paths", library=Path(library.folder))
    assert (done.code, done.out) == (0, "")
    assert "4 photos that look much like another one are not there now" in done.err


@pytest.mark.slow
def test_the_command_prints_groups_and_paths_for_scripts(album: Path, mmsearch: Mmsearch, tmp_path: Path) -> None:
    assert mmsearch("index", album).code == 0
    lines = mmsearch("duplicates")
    assert lines.code == 0 and lines.out.splitlines()[0] == f"1\tbytes\tkeep\t{album / 'tax.txt'}"
    assert "3 groups; the 5 files that need not be kept take" in lines.err
    paths = mmsearch("duplicates", "--paths")
    assert {os.path.basename(path) for path in paths.out.splitlines()} == {
        "again.txt", "cut.png", "grey.webp", "small.jpg",
    }  # fmt: skip
    assert "similar shots and nearly the same texts are not among these paths" in paths.err
    assert mmsearch("duplicates", album, "--class", "shots", "-0").raw == os.fsencode(album / "shot2.jpg") + b"\0"
    printed = mmsearch("duplicates", album, "--json")
    assert [*json_page.undocumented("duplicates", printed.json)] == []
    assert [*json_page.not_printed("duplicates", printed.json)] == []
    assert [group["class"] for group in printed.json["groups"]] == ["bytes", "picture", "shots"]
    nothing = mmsearch("duplicates", "--type", "video")
    assert (nothing.code, nothing.out) == (1, "") and "no duplicates found" in nothing.err
    assert mmsearch("duplicates", "--json", "--paths").code == 2
    assert mmsearch("duplicates", tmp_path / "nowhere").code == 2
    assert all(path.exists() for path in album.iterdir()) and len(list(album.iterdir())) == 10


def test_a_person_sees_what_to_keep_and_why(album: Path, library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    library.index([album])
    print_duplicates(library.duplicates(), Form.TABLE)
    shown = capsys.readouterr().out
    assert "same picture: 4 files" in shown and "similar shots: 2 files" in shown
    assert f"  keep  {album / 'tax.txt'}" in shown and "the oldest" in shown
    print_duplicates(library.duplicates(classes=["shots"]), Form.JSON)
    assert json.loads(capsys.readouterr().out)["groups"][0]["files"][0]["keep"] is True


def test_all_lists_on_a_terminal_name_files_as_a_person_there_would(album: Path, library: Library) -> None:
    library.index([album])
    at_home = {"HOME": str(album.parent), "COLUMNS": "200"}
    for command in (["search", "a cat"], ["duplicates"], ["clusters", "-n", "3"], ["label", "cat", "rocket"]):
        code, printed = printed_on_a_terminal(*command, library=Path(library.folder), environment=at_home)
        lines = [line for line in seen(printed).text().splitlines() if "cat.jpg" in line]
        assert code == 0 and lines, printed
        assert all("~/album/cat.jpg" in line and str(album) not in line for line in lines), lines
    _, printed = printed_on_a_terminal("search", "xyzzy qwrtz", library=Path(library.folder), environment=at_home)
    assert "nothing close; the nearest is ~/album/" in seen(printed).text()


def test_the_same_thing_in_another_colour_is_another_picture(photos: Path) -> None:
    with Image.open(photos / "photos" / "motorcycle.png") as picture:
        motorcycle = picture.convert("RGB").resize((400, 270))
    red, green, blue = motorcycle.split()
    repainted = Image.merge("RGB", (blue, green, red))
    pictures = [motorcycle, motorcycle.resize((200, 135)), ImageOps.grayscale(motorcycle), repainted]
    one, *others = ((bytes([number]), Miniature.of(picture)) for number, picture in enumerate(pictures))
    small, grey, red_one = (Comparison().fit(one, other) for other in others)
    assert small.is_same and grey.is_same
    assert red_one.colours < 0 and not red_one.is_same


def test_two_skies_that_differ_in_their_clouds_alone_are_two_pictures() -> None:
    chance = np.random.default_rng(1)
    skies = []
    for _ in range(2):
        clouds = Image.fromarray(chance.integers(0, 40, (30, 40)).astype(np.uint8)).resize((400, 300))
        evening = np.linspace(40, 210, 300)[:, None] + np.asarray(clouds, np.float32)
        skies.append(Image.fromarray(evening.astype(np.uint8)).convert("RGB"))
    one, other = ((bytes([number]), Miniature.of(sky)) for number, sky in enumerate(skies))
    fit = Comparison().fit(one, other)
    assert fit.correlation > LEAST_CORRELATION and not fit.is_same
    assert Comparison().fit(one, (b"darker", Miniature.of(ImageEnhance.Brightness(skies[0]).enhance(0.8)))).is_same


def test_a_part_is_found_wherever_it_lies_and_what_reaches_beyond_is_none(photos: Path) -> None:
    cat = cat_of(photos)
    named = {"left": (0, 0, 360, 240), "right": (80, 50, 451, 290), "turned": (20, 20, 430, 280)}
    parts = {name: cat.crop(box) for name, box in named.items()}
    parts["turned"] = cat.rotate(1.5, Image.Resampling.BICUBIC).crop(named["turned"])
    whole = (b"whole", Miniature.of(cat))
    of_parts = {name: (name.encode(), Miniature.of(part)) for name, part in parts.items()}
    for part in of_parts.values():
        assert Comparison().fit(whole, part).is_same and Comparison().fit(part, whole).is_same
    # Each of these two shows something that the other does not: a camera that was moved.
    assert not Comparison().fit(of_parts["left"], of_parts["right"]).is_same


def halved(rows: object) -> HalfMatrix:
    """Unit rows as a library stores them."""
    wide = np.asarray(rows, np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), np.float16)


@pytest.mark.slow
def test_near_pairs_of_many_rows_are_those_of_an_exact_comparison() -> None:
    drawn_rows = drawn(9_000, seed=3)
    copies = drawn_rows[::30] + np.random.default_rng(4).normal(0, 0.02, drawn_rows[::30].shape)
    rows = halved(np.concatenate([drawn_rows, copies]))
    found = near_pairs(rows, 0.9, most=8)
    wide = rows.astype(np.float32)
    exact = {(int(one), int(other)) for one, other in np.argwhere(wide @ wide.T >= 0.9) if one < other}
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(exact) >= 300 and pairs <= exact and len(pairs) > 0.98 * len(exact)
    assert np.allclose(found.cosines, (wide[found.first] * wide[found.second]).sum(axis=1), atol=1e-3)
    again = near_pairs(rows, 0.9, most=8)
    assert np.array_equal(found.first, again.first) and np.array_equal(found.second, again.second)


def test_of_a_row_with_very_many_near_ones_the_nearest_are_given() -> None:
    crowd = halved(drawn(1, seed=5) + np.random.default_rng(6).normal(0, 0.01, (300, 64)))
    found = near_pairs(crowd, 0.5, most=4)
    assert len(crowd) * 4 / 2 <= len(found.first) <= len(crowd) * 4
    assert len(near_pairs(crowd[:0], 0.5).first) == 0
