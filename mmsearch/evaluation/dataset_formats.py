"""The forms that data sets come in, each read into entries: what a data file or a folder says of one photo."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mmsearch.errors import Invalid, NotFound, Remedy, Unavailable
from mmsearch.reading import medium_of

_HEAD_BYTES = 4096
# How a line of each shape of FLICKR is read and written; the shape is told by the header.
_FLICKR_SHAPES = {
    "": (re.compile(r"([^\t]+)#\d+\t(.*)"), "name.jpg#0, a tab and a caption"),
    "image,caption": (re.compile(r'("[^"]*"|[^",][^,]*),\s*("(?:[^"]|"")*"|(?![\s"]).*)\s*'), "name.jpg,caption"),
    # One line of the Flickr30k file that is passed around has no second bar: "2199200615.jpg| 4   A dog runs".
    "image_name|comment_number|comment": (re.compile(r"([^|]+)\|\s*\d+\s*[|\s](.*)"), "name.jpg| 0| caption"),
}


class DatasetFormat(str, Enum):
    """The forms a data set comes in; see `read_dataset`."""

    JSONL = "jsonl"
    FLICKR = "flickr"
    COCO = "coco"
    KARPATHY = "karpathy"
    FOLDERS = "folders"
    SIDECARS = "sidecars"


_OF_FOLDERS = (DatasetFormat.FOLDERS, DatasetFormat.SIDECARS)
WITH_SPLITS = (DatasetFormat.JSONL, DatasetFormat.KARPATHY)


@dataclass(frozen=True)
class Entry:
    """What one `place` in the data ("line 3 of captions.jsonl") says about the photo called `file`."""

    place: str
    file: str
    captions: tuple[str, ...] = ()
    label: str | None = None
    split: str | None = None
    words: tuple[str, ...] = ()
    queries: tuple[tuple[str, str], ...] = ()


def read_folder(folder: str, format: DatasetFormat | None) -> tuple[DatasetFormat, list[Entry]]:
    """What a folder says of each photo in it, and in which format: that given, or the one that it looks like.

    Raises:
        MmsearchError: it is not of that format, has no photos, or cannot be read.
    """
    if format is not None and format not in _OF_FOLDERS:
        raise Invalid(f"{folder} is a folder, but the format {format.value} is that of a file; give the file.")
    texts_of = dict(sorted(_photos_with_texts(folder)))
    if not texts_of:
        raise NotFound(f"There are no photos in {folder}; give a folder of photos.")
    has_texts = any(texts_of.values())
    if format is DatasetFormat.SIDECARS and not has_texts:
        raise Invalid(f"No photo in {folder} has a text file beside it; put a photo's captions in its name.txt.")
    if format is DatasetFormat.SIDECARS or (format is None and has_texts):
        captions = {photo: [line for text in texts for _, line in _lines(text)] for photo, texts in texts_of.items()}
        return DatasetFormat.SIDECARS, [Entry(folder, photo, tuple(captions[photo])) for photo in texts_of]
    parents = {photo: os.path.dirname(photo) for photo in texts_of}
    labels = {parent: os.path.basename(parent).replace("_", " ") for parent in parents.values() if parent != folder}
    if len(set(labels.values())) < 2:
        raise Invalid(f"The photos in {folder} have no texts and no classes; give each class a folder in it.")
    return DatasetFormat.FOLDERS, [Entry(folder, photo, label=labels.get(parent)) for photo, parent in parents.items()]


def _photos_with_texts(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Every photo at or under `folder` with the text files beside it: x.txt, then x.jpg.txt."""

    def refuse(error: OSError) -> None:
        raise Unavailable(f"The folder {error.filename} cannot be read ({error.strerror}); make it readable.")

    entered = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(parent)
        if real in entered:  # a link back up, or a second way here
            folders.clear()
            continue
        entered.add(real)
        names = [name for name in names if not name.startswith(".")]
        texts = {name[:-4]: os.path.join(parent, name) for name in names if name.lower().endswith(".txt")}
        for name in names:
            if medium_of(os.fsencode(name)) == "image":
                likely = (os.path.splitext(name)[0], name)
                yield os.path.join(parent, name), [texts[stem] for stem in likely if stem in texts]


def read_file(path: str, format: DatasetFormat | None) -> tuple[DatasetFormat, list[Entry]]:
    """What a data file says of photos, in order, and in which format: that given, or the one that it looks like.

    Raises:
        MmsearchError: it is not of that format, or cannot be read.
    """
    if format in _OF_FOLDERS:
        raise Invalid(f"{path} is a file, but the format {format.value} is that of a folder; give the folder.")
    if format is None:
        extension = os.path.splitext(path)[1].lower()
        format = {".jsonl": DatasetFormat.JSONL, ".json": None}.get(extension, DatasetFormat.FLICKR)
    if format is DatasetFormat.JSONL:
        return format, list(_jsonl_entries(path))
    if format is DatasetFormat.FLICKR:
        return format, list(_flickr_entries(path))
    document = _parsed("".join(line for _, line in _lines(path)), path)
    format = format or _json_format(document, path)
    read = _coco_entries if format is DatasetFormat.COCO else _karpathy_entries
    return format, list(read(document, path))


def _json_format(document: Any, path: str) -> DatasetFormat:
    held = document if isinstance(document, dict) else {}
    if "annotations" in held:
        return DatasetFormat.COCO
    images = held.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return DatasetFormat.KARPATHY
    raise Invalid(f"{path} holds neither COCO captions nor a Karpathy split", Remedy("format"))


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their ends and their numbers from 1.

    Bytes that are no UTF-8 become lone surrogates, as in file names: names keep their bytes that way.
    """
    try:
        with open(path, "rb") as file:
            if b"\0" in file.read(_HEAD_BYTES):
                raise Invalid(f"{path} is not a text in UTF-8; save it as one or give another file.")
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file_of_text:
            yield from enumerate(file_of_text, start=1)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}); make it readable.") from None


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = place if place.startswith("line ") else f"line {error.lineno} of {place}"
        raise Invalid(f"There is no valid JSON in {where} ({error.msg}); correct it.") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets thousands deep
        raise Invalid(f"The JSON in {place} is too deep or too long to be read; correct it.") from None


def _value(record: Any, key: str, kind: type, place: str, *, optional: bool = False) -> Any:
    """What `record` holds under `key`, which is of `kind` (or null, or not there, if `optional`)."""
    value = record.get(key) if isinstance(record, dict) else None
    if isinstance(value, kind) or (optional and value is None and isinstance(record, dict)):
        return value
    meant = "list" if kind is list else "text"
    raise Invalid(f'There is no {meant} under "{key}" in {place}', Remedy("format.or_correct"))


def _jsonl_entries(path: str) -> Iterator[Entry]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        place = f"line {number} of {path}"
        record = _parsed(line, place)
        file = _value(record, "file", str, place)
        captions = tuple(
            caption for key in ("captions", "caption") for caption in _texts(record, key, place, "caption")
        )
        label, split = (_value(record, key, str, place, optional=True) for key in ("label", "split"))
        words = _texts(record, "words", place, "text of words")
        queries = _value(record, "queries", list, place, optional=True) or []
        pairs = ((_value(one, "image", str, place), _value(one, "text", str, place)) for one in queries)
        yield Entry(place, file, captions, label, split, words, tuple(pairs))


def _texts(record: Any, key: str, place: str, what: str) -> tuple[str, ...]:
    """The text, or the texts, under `key`; none where there is nothing."""
    given = record.get(key)
    texts = [given] if isinstance(given, str) else _value(record, key, list, place, optional=True) or []
    if not all(isinstance(text, str) for text in texts):
        raise Invalid(f"A {what} in {place} is not a text; correct it.")
    return tuple(texts)


def _coco_entries(document: Any, path: str) -> Iterator[Entry]:
    """Photos without captions stay; captions of photos that are not listed are passed over."""
    captions: dict[Any, list[str]] = defaultdict(list)
    for number, annotation in enumerate(_value(document, "annotations", list, path), start=1):
        caption = _value(annotation, "caption", str, f"annotation {number} of {path}")
        captions[str(annotation.get("image_id"))].append(caption)
    for number, image in enumerate(_value(document, "images", list, path), start=1):
        place = f"image {number} of {path}"
        yield Entry(place, _value(image, "file_name", str, place), tuple(captions.get(str(image.get("id")), ())))


def _karpathy_entries(document: Any, path: str) -> Iterator[Entry]:
    for number, image in enumerate(_value(document, "images", list, path), start=1):
        place = f"image {number} of {path}"
        file = _value(image, "filename", str, place)
        folder = _value(image, "filepath", str, place, optional=True) or ""
        sentences = _value(image, "sentences", list, place)
        captions = tuple(_value(sentence, "raw", str, f"a sentence of {place}") for sentence in sentences)
        split = _value(image, "split", str, place, optional=True)
        yield Entry(place, os.path.join(folder, file), captions, split=split)


def _flickr_entries(path: str) -> Iterator[Entry]:
    header = ""
    for number, line in _lines(path):
        heading = re.sub(r'[\s"]', "", line).lower()
        if number == 1 and heading in _FLICKR_SHAPES:
            header = heading
        elif heading:
            pattern, form = _FLICKR_SHAPES[header]
            match = pattern.fullmatch(line.rstrip("\n"))
            if not match:
                raise Invalid(f"Line {number} of {path} is not written as {form}", Remedy("format.give"))
            file, caption = (_unquoted(part.strip()) if "," in header else part for part in match.groups())
            yield Entry(f"line {number} of {path}", file.strip(), (caption,))


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
