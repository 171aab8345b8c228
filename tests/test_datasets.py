"""What people have photos with captions or labels in, and what is read of it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch import MmsearchError
from mmsearch.cli.remedies import in_words
from mmsearch.evaluation.dataset_formats import DatasetFormat
from mmsearch.evaluation.datasets import Dataset, Example, read_dataset


def place(folder: Path, *names: str) -> Path:
    """Files of these names; what a photo shows is nothing to a data set."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\xff\xd8\xff")
    return folder


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def captions_of(dataset: Dataset) -> dict[str, list[str]]:
    return {os.path.basename(example.path): list(example.captions) for example in dataset.examples}


def labels_of(dataset: Dataset) -> dict[str, str | None]:
    return {os.path.basename(example.path): example.label for example in dataset.examples}


def complaint(path: Path, **options: Any) -> str:
    """The sentence that reading fails with."""
    with pytest.raises(MmsearchError) as failure:
        read_dataset(path, **options)
    sentence = in_words(failure.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ";" in sentence or "correct it" in sentence
    return sentence


def test_jsonl_with_captions_labels_and_distractors(tmp_path: Path) -> None:
    place(tmp_path, "b.jpg", "a.jpg", "deep/c.png", "d.jpg")
    lines = [
        {"file": "b.jpg", "captions": ["A dog.", "  Two\tdogs \n run ", ""], "camera": "none of ours"},
        {"file": "a.jpg", "caption": "A cat."},
        {"file": "deep/c.png", "label": " sea  side "},
        {"file": "d.jpg", "captions": None, "label": None},
    ]
    data = written(tmp_path / "mine.jsonl", "\n\n".join(map(json.dumps, lines)))
    assert read_dataset(data) == Dataset(
        "mine",
        "jsonl",
        (
            Example(str(tmp_path / "b.jpg"), ("A dog.", "Two dogs run")),
            Example(str(tmp_path / "a.jpg"), ("A cat.",)),
            Example(str(tmp_path / "deep/c.png"), (), "sea side"),
            Example(str(tmp_path / "d.jpg")),
        ),
    )
    dataset = read_dataset(data)
    assert dataset.captioned == dataset.examples[:2]
    assert dataset.labelled == dataset.examples[2:3]


def test_a_photo_named_twice_is_one_example(tmp_path: Path) -> None:
    place(tmp_path, "a.jpg", "b.jpg")
    data = written(
        tmp_path / "mine.jsonl",
        '{"file": "a.jpg", "captions": ["one", "two"]}\n{"file": "b.jpg"}\n'
        '{"file": "./a.jpg", "captions": ["two", "three", "one"], "label": "x"}\n',
    )
    dataset = read_dataset(data)
    assert captions_of(dataset) == {"a.jpg": ["one", "two", "three"], "b.jpg": []}
    assert labels_of(dataset) == {"a.jpg": "x", "b.jpg": None}


def test_two_labels_for_one_photo_are_refused(tmp_path: Path) -> None:
    place(tmp_path, "a.jpg")
    data = written(tmp_path / "m.jsonl", '{"file": "a.jpg", "label": "cat"}\n{"file": "a.jpg", "label": "dog"}\n')
    told = complaint(data)
    assert "'cat'" in told
    assert f"in line 2 of {data}, 'dog'" in told


def test_names_that_are_absolute_or_climb_are_taken_as_they_are(tmp_path: Path) -> None:
    place(tmp_path, "elsewhere/a.jpg", "b.jpg")
    names = [str(tmp_path / "elsewhere" / "a.jpg"), "../b.jpg"]
    data = written(tmp_path / "data" / "m.jsonl", "".join(json.dumps({"file": name}) + "\n" for name in names))
    assert [example.path for example in read_dataset(data).examples] == [names[0], str(tmp_path / "b.jpg")]


def test_a_mark_at_the_front_and_foreign_bytes(tmp_path: Path) -> None:
    place(tmp_path, "a.jpg")
    name = os.fsdecode(b"caf\xe9.jpg")
    place(tmp_path, name)
    # A lone surrogate, written out, is no character either.
    data = written(
        tmp_path / "m.jsonl",
        b'\xef\xbb\xbf{"file": "a.jpg", "captions": ["caf\xe9 noir", "\\ud83d half"]}\r\n{"file": "caf\xe9.jpg"}\r\n',
    )
    dataset = read_dataset(data)
    assert dataset.examples[0].captions == ("caf\ufffd noir", "\ufffd half")
    assert dataset.examples[1].path == str(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no valid JSON in line 2 of"),
        ("a.jpg", "no valid JSON in line 2 of"),
        ("[" * 100_000, "too deep or too long"),
        ('{"file": "a.jpg", "n": ' + "1" * 5_000 + "}", "line 2 of"),
        ('["a.jpg"]', 'no text under "file" in line 2 of'),
        ('{"name": "a.jpg"}', 'no text under "file" in line 2 of'),
        ('{"file": 7}', 'no text under "file" in line 2 of'),
        ('{"file": "a.jpg", "captions": 7}', 'no list under "captions" in line 2 of'),
        ('{"file": "a.jpg", "captions": [7]}', "A caption in line 2 of"),
        ('{"file": "a.jpg", "words": [7]}', "A text of words in line 2 of"),
        ('{"file": "a.jpg", "label": 7}', 'no text under "label" in line 2 of'),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    place(tmp_path, "a.jpg")
    data = written(tmp_path / "m.jsonl", f'{{"file": "a.jpg"}}\n{line}\n')
    sentence = complaint(data)
    assert told in sentence
    assert str(data) in sentence


def test_the_photos_folder_is_found_beside_the_data(tmp_path: Path) -> None:
    place(tmp_path, "Images/a.jpg", "other/b.jpg", ".hidden/a.jpg")
    data = written(tmp_path / "m.jsonl", '{"file": "gone.jpg"}\n{"file": "a.jpg"}\n{"file": "b.jpg"}\n')
    dataset = read_dataset(data)
    assert [example.path for example in dataset.examples] == [str(tmp_path / "Images" / "a.jpg")]
    assert dataset.missing == 2
    chosen = read_dataset(data, images=tmp_path / "other")
    assert [example.path for example in chosen.examples] == [str(tmp_path / "other" / "b.jpg")]


def test_photos_that_are_nowhere_or_in_two_places(tmp_path: Path) -> None:
    data = written(tmp_path / "m.jsonl", '{"file": "a.jpg"}\n{"file": "nul\\u0000.jpg"}\n{"file": ""}\n')
    assert f"not even {tmp_path / 'a.jpg'}" in complaint(data)
    assert "There is no folder" in complaint(data, images=tmp_path / "none")
    place(tmp_path, "one/a.jpg", "two/a.jpg")
    assert "say which one with --images" in complaint(data)


def test_a_split_is_kept(tmp_path: Path) -> None:
    place(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    data = written(
        tmp_path / "m.jsonl",
        '{"file": "a.jpg", "split": "train"}\n{"file": "b.jpg", "split": "test"}\n{"file": "c.jpg"}\n',
    )
    assert list(captions_of(read_dataset(data))) == ["a.jpg", "b.jpg", "c.jpg"]
    assert list(captions_of(read_dataset(data, split="test"))) == ["b.jpg"]
    assert "no split 'val'" in complaint(data, split="val")
    assert "choose among test, train." in complaint(data, split="val")
    without = written(tmp_path / "n.jsonl", '{"file": "a.jpg"}\n')
    assert "No photo in" in complaint(without, split="test")


def test_flickr_tokens(tmp_path: Path) -> None:
    place(tmp_path, "Flicker8k_Dataset/1.jpg", "Flicker8k_Dataset/a#2.jpg")
    data = written(
        tmp_path / "Flickr8k.token.txt",
        "1.jpg#0\tA dog , running .\n1.jpg#1\tTwo #3\tdogs .\n\na#2.jpg#0\tA cat .\n"
        "2258277193_586949ec62.jpg.1#0\tA photo that was never there .\n",
    )
    dataset = read_dataset(data)
    assert (dataset.name, dataset.format, dataset.missing) == ("Flickr8k.token", "flickr", 1)
    assert captions_of(dataset) == {"1.jpg": ["A dog , running .", "Two #3 dogs ."], "a#2.jpg": ["A cat ."]}


def test_flickr_as_csv(tmp_path: Path) -> None:
    place(tmp_path, "Images/1.jpg", "Images/2.jpg", "Images/3,4.jpg")
    data = written(
        tmp_path / "captions.txt",
        '\ufeffimage,caption\r\n1.jpg,A dog, a cat and "Tom"\r\n1.jpg,"A ""big"" dog, running"\r\n2.jpg,\r\n'
        '2.jpg, "A boat"\r\n"3,4.jpg",A tree\r\n',
    )
    dataset = read_dataset(data)
    assert dataset.format == "flickr"
    assert captions_of(dataset) == {
        "1.jpg": ['A dog, a cat and "Tom"', 'A "big" dog, running'],
        "2.jpg": ["A boat"],
        "3,4.jpg": ["A tree"],
    }


def test_flickr_with_bars_and_the_line_that_lacks_one(tmp_path: Path) -> None:
    place(tmp_path, "1.jpg", "2199200615.jpg")
    data = written(
        tmp_path / "results.csv",
        "image_name| comment_number| comment\n1.jpg| 0| Two | three men .\n1.jpg| 1| Men .\n"
        "2199200615.jpg| 4   A dog runs across the grass .\n",
    )
    assert captions_of(read_dataset(data)) == {
        "1.jpg": ["Two | three men .", "Men ."],
        "2199200615.jpg": ["A dog runs across the grass ."],
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1.jpg#0\tA dog\n1.jpg A dog\n", 2),
        ("Dear diary\n", 1),
        ("image,caption\n1.jpg,A dog\n1.jpg\n", 3),
        ('image,caption\n1.jpg,"A dog\n', 2),
        ("image_name| comment_number| comment\n1.jpg, A dog\n", 2),
    ],
)
def test_lines_that_are_no_captions_are_named(tmp_path: Path, text: str, line: int) -> None:
    place(tmp_path, "1.jpg")
    data = written(tmp_path / "captions.txt", text)
    assert complaint(data).startswith(f"Line {line} of {data} is not written as ")


def test_coco(tmp_path: Path) -> None:
    place(tmp_path, "val2017/1.jpg", "val2017/2.jpg")
    document = {
        "images": [{"id": 7, "file_name": "2.jpg"}, {"id": 5, "file_name": "1.jpg"}, {"id": 9, "file_name": "3.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 5, "caption": "A dog.\n"},
            {"id": 2, "image_id": 5, "caption": "Some dog."},
            {"id": 3, "image_id": 404, "caption": "Of a photo that is not listed."},
        ],
    }
    dataset = read_dataset(written(tmp_path / "captions_val2017.json", json.dumps(document)))
    assert (dataset.format, dataset.missing) == ("coco", 1)
    assert captions_of(dataset) == {"2.jpg": [], "1.jpg": ["A dog.", "Some dog."]}


def test_karpathy(tmp_path: Path) -> None:
    place(tmp_path, "val2014/1.jpg", "2.jpg")
    document = {
        "dataset": "mine",
        "images": [
            {"filename": "1.jpg", "filepath": "val2014", "split": "test", "sentences": [{"raw": "A  dog."}]},
            {"filename": "2.jpg", "split": "train", "sentences": [{"raw": "A cat."}, {"raw": "A cat."}]},
        ],
    }
    data = written(tmp_path / "dataset_mine.json", json.dumps(document))
    assert read_dataset(data).format == "karpathy"
    assert captions_of(read_dataset(data)) == {"1.jpg": ["A dog."], "2.jpg": ["A cat."]}
    assert captions_of(read_dataset(data, split="test")) == {"1.jpg": ["A dog."]}
    assert "choose among test, train." in complaint(data, split="restval")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n"images": [\n}', "no valid JSON in line 3 of"),
        ("[]", "neither COCO captions nor a Karpathy split"),
        ('{"images": [{"id": 1}]}', "neither COCO captions nor a Karpathy split"),
        ('{"annotations": 1}', 'no list under "annotations"'),
        ('{"annotations": [{"image_id": 1, "bbox": []}]}', 'no text under "caption" in annotation 1 of'),
        ('{"annotations": []}', 'no list under "images"'),
        ('{"annotations": [], "images": []}', "names no photos"),
        ('{"annotations": [], "images": [{"id": 1}]}', 'no text under "file_name" in image 1 of'),
        ('{"images": [{"sentences": []}]}', 'no text under "filename" in image 1 of'),
        ('{"images": [{"filename": "a", "sentences": [{}]}]}', 'no text under "raw" in a sentence of image 1 of'),
    ],
)
def test_json_that_is_no_data_set(tmp_path: Path, text: str, told: str) -> None:
    data = written(tmp_path / "d.json", text)
    sentence = complaint(data)
    assert told in sentence
    assert str(data) in sentence


def test_folders_name_classes(tmp_path: Path) -> None:
    place(tmp_path, "polar_bear/2.jpg", "polar_bear/1.JPG", "train/cat/3.png", "0.jpg", ".git/x.jpg", "cat/.4.jpg")
    written(tmp_path / "cat" / "notes.txt", "no photo is called notes")
    dataset = read_dataset(tmp_path)
    assert (dataset.name, dataset.format) == (tmp_path.name, "folders")
    assert list(labels_of(dataset).items()) == [
        ("0.jpg", None),
        ("1.JPG", "polar bear"),
        ("2.jpg", "polar bear"),
        ("3.png", "cat"),
    ]


def test_class_folders_may_be_links_even_in_a_circle(tmp_path: Path) -> None:
    place(tmp_path, "store/first/1.jpg", "store/second/2.jpg")
    subset = tmp_path / "subset"
    subset.mkdir()
    (subset / "cat").symlink_to(tmp_path / "store" / "first")
    (subset / "dog").symlink_to(tmp_path / "store" / "second")
    (subset / "dog" / "up").symlink_to(subset)
    (subset / "dog" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = read_dataset(subset)
    assert labels_of(dataset) == {"1.jpg": "cat", "2.jpg": "dog"}
    assert dataset.missing == 1


def test_texts_beside_photos_are_captions(tmp_path: Path) -> None:
    place(tmp_path, "b.jpg", "a/c.png", "a/d.jpg", "e.jpg")
    written(tmp_path / "b.txt", "\ufeffA dog.\r\n\r\n  A  big dog. \r\n")
    written(tmp_path / "b.jpg.txt", "Again the dog.\nA dog.\n")
    written(tmp_path / "a" / "c.TXT", b"caf\xe9")
    written(tmp_path / "e.txt", "\n")
    dataset = read_dataset(tmp_path)
    assert dataset.format == "sidecars"
    assert captions_of(dataset) == {
        "c.png": ["caf\ufffd"],
        "d.jpg": [],
        "b.jpg": ["A dog.", "A big dog.", "Again the dog."],
        "e.jpg": [],
    }
    assert dataset.labelled == ()


def test_the_format_can_be_said(tmp_path: Path) -> None:
    place(tmp_path, "cat/a.jpg", "dog/b.jpg")
    written(tmp_path / "cat" / "a.txt", "A cat.")
    assert read_dataset(tmp_path).format == "sidecars"
    assert labels_of(read_dataset(tmp_path, format=DatasetFormat.FOLDERS)) == {"a.jpg": "cat", "b.jpg": "dog"}
    data = written(tmp_path / "cat" / "lines.json", '{"file": "a.jpg", "caption": "A cat."}\n')
    assert captions_of(read_dataset(data, format=DatasetFormat.JSONL)) == {"a.jpg": ["A cat."]}
    assert 'no list under "annotations"' in complaint(data, format=DatasetFormat.COCO)
    assert "that of a folder" in complaint(data, format=DatasetFormat.SIDECARS)
    assert "that of a file" in complaint(tmp_path, format=DatasetFormat.JSONL)


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    assert "There is no file or folder" in complaint(tmp_path / "none")
    assert "no photos in" in complaint(tmp_path)
    place(tmp_path, "cat/a.jpg", "b.jpg")
    assert "no texts and no classes" in complaint(tmp_path)
    assert "has a text file beside it" in complaint(tmp_path, format=DatasetFormat.SIDECARS)
    place(tmp_path, "dog/c.jpg")
    assert "leave --images out" in complaint(tmp_path, images=tmp_path)
    assert "of the format folders have no splits" in complaint(tmp_path, split="test")


def test_files_that_are_no_data_set(tmp_path: Path) -> None:
    assert "is not a text in UTF-8" in complaint(written(tmp_path / "film.mp4", b"\0\0\0\x18ftypmp42"))
    assert "is not a text in UTF-8" in complaint(written(tmp_path / "m.jsonl", "{}".encode("utf-16")))
    assert "names no photos" in complaint(written(tmp_path / "empty.jsonl", "\n"))
    assert "names no photos" in complaint(written(tmp_path / "empty.txt", "image,caption\n"))
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "There is no file or folder" in complaint(tmp_path / "pipe.jsonl")


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, "cat/a.jpg", "dog/b.jpg")
    data = written(tmp_path / "m.jsonl", '{"file": "cat/a.jpg"}\n')

    def refuse(path: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr("builtins.open", refuse)
    told = complaint(data)
    monkeypatch.setattr("os.scandir", refuse)
    assert told == f"{data} cannot be read (Permission denied); make it readable."
    assert complaint(tmp_path) == f"The folder {tmp_path} cannot be read (Permission denied); make it readable."


NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: not {0, ord("/")} & set(name) and name.strip(b"."))


@given(st.dictionaries(NAMES, st.lists(st.text()), min_size=1, max_size=5), st.booleans())
def test_any_names_and_captions_come_back_from_jsonl(photos: dict[bytes, list[str]], ascii_only: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        images = os.path.join(os.path.realpath(temporary), "images")
        os.mkdir(images)
        lines = []
        expected = []
        for name, captions in photos.items():
            with open(os.path.join(os.fsencode(images), name), "wb"):
                pass
            record = {"file": os.fsdecode(name), "captions": captions}
            lines.append(json.dumps(record, ensure_ascii=ascii_only) + "\n")
            kept = dict.fromkeys(" ".join(caption.split()) for caption in captions if caption.strip())
            expected.append(Example(os.path.join(images, os.fsdecode(name)), tuple(kept)))
        data = Path(images).parent / "m.jsonl"
        data.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
        assert read_dataset(data, images=images).examples == tuple(expected)
