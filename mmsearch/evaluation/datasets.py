"""What an evaluation or a training runs on: photos with captions or labels, from the forms they come in.

A data file names photos; a folder holds them. Either way the names are read and nothing of the photos themselves.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

from mmsearch.errors import Invalid, NotFound, Remedy
from mmsearch.evaluation.dataset_formats import WITH_SPLITS, DatasetFormat, Entry, read_file, read_folder

# Of a data file's photos, so many are looked for when their folder is not given.
_PHOTOS_LOOKED_FOR = 100
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class PictureQuery:
    """A query of a picture, by its absolute path, and words beside it: `search "at night" --image x.jpg`."""

    image: str
    text: str


@dataclass(frozen=True)
class Example:
    """A photo and what is known of it. `path` is absolute, as `os.fsdecode` gives it.

    Captions, label and words have single spaces and no undecodable bytes; without captions and label, it is a
    distractor. `words` are what it is found by beside its name: a title, keywords, a note. `queries` are those of a
    picture and words that it answers.
    """

    path: str
    captions: tuple[str, ...] = ()
    label: str | None = None
    words: tuple[str, ...] = ()
    queries: tuple[PictureQuery, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Photos, each once, in the data's order (a folder's by path).

    `name` is that of the file or folder without its extension, `format` a value of DatasetFormat, and `missing` the
    number of photos that the data names and that are not on the disk; they are not among the examples.
    """

    name: str
    format: str
    examples: tuple[Example, ...]
    missing: int = 0

    JSON_FIELDS: ClassVar = ("name", "format", "photos", "missing")

    @property
    def photos(self) -> int:
        """How many there are."""
        return len(self.examples)

    @property
    def captioned(self) -> tuple[Example, ...]:
        return tuple(example for example in self.examples if example.captions)

    @property
    def labelled(self) -> tuple[Example, ...]:
        return tuple(example for example in self.examples if example.label is not None)


def read_dataset(
    path: str | os.PathLike[str],
    *,
    format: DatasetFormat | None = None,
    images: str | os.PathLike[str] | None = None,
    split: str | None = None,
) -> Dataset:
    """The data set in a file or folder.

    JSONL: a line per photo, `{"file": ..., "captions": [...], "label": ..., "split": ..., "words": [...]}`, all but the
    file optional ("caption" may hold a single one), and "queries" that it answers, `[{"image": ..., "text": ...}]`, of
    a picture and words together. FLICKR: `name.jpg#0<TAB>caption` (Young et al., 2014), or below a
    header `image,caption` or `image_name| comment_number| comment`. COCO: captions_*.json (Chen et al., 2015).
    KARPATHY: dataset_*.json (Karpathy and Fei-Fei, 2015). FOLDERS: a photo's folder is its label. SIDECARS: x.jpg with
    x.txt or x.jpg.txt beside it, a caption per line. Of a folder, what is hidden is left out, and links are followed.

    Args:
        path: the file or folder.
        format: None recognises it by the name and the content.
        images: the folder that a data file's names are relative to. None: the file's own folder, or else the one
            folder in it where the first photo that can be found is.
        split: keep only the examples of this split (KARPATHY, and JSONL with "split").

    Raises:
        MmsearchError: something is unreadable or malformed, or lacks the split, two classes, or photos that exist.
    """
    source = _absolute(path)
    is_folder = os.path.isdir(source)
    if not is_folder and not os.path.isfile(source):
        raise NotFound(f"There is no file or folder {source}; give the path of a data set.")
    if is_folder and images is not None:
        raise Invalid(f"{source} is a folder and holds its photos itself", Remedy("leave_out", "images"))
    format, entries = (read_folder if is_folder else read_file)(source, format)
    if not entries:
        raise Invalid(f"{source} names no photos; give a data set that does.")
    if split is not None:
        if format not in WITH_SPLITS:
            raise Invalid(f"Data sets of the format {format.value} have no splits", Remedy("leave_out", "split"))
        entries = _of_split(entries, split, source)
    folder = _photo_folder(source, entries) if images is None else _absolute(images)
    if not os.path.isdir(folder):
        raise NotFound(f"There is no folder {folder}", Remedy("images.folder"))
    named = _merged(entries, folder)
    examples = tuple(example for example in named if os.path.isfile(example.path))
    if not examples:
        raise NotFound(f"No photo of {source} exists, not even {named[0].path}", Remedy("images"))
    name = os.path.basename(source if is_folder else os.path.splitext(source)[0])
    return Dataset(name, format.value, examples, len(named) - len(examples))


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.path.expanduser(os.fsdecode(path)))


def _of_split(entries: list[Entry], split: str, source: str) -> list[Entry]:
    splits = sorted({entry.split for entry in entries if entry.split is not None})
    if not splits:
        raise Invalid(f"No photo in {source} has a split", Remedy("leave_out", "split"))
    if split not in splits:
        raise NotFound(f"There is no split {split!r} in {source}; choose among {', '.join(splits)}.")
    return [entry for entry in entries if entry.split == split]


def _photo_folder(source: str, entries: list[Entry]) -> str:
    """The folder that the names are relative to: the first photo that is in one of the likely folders tells."""
    if os.path.isdir(source):
        return source
    own = os.path.dirname(source)
    beside = next(os.walk(own), (own, [], []))[1]
    inner = [os.path.join(own, name) for name in sorted(beside) if not name.startswith(".")]
    names = dict.fromkeys(entry.file for entry in entries if not os.path.isabs(entry.file))
    for name, _ in zip(names, range(_PHOTOS_LOOKED_FOR), strict=False):
        if os.path.isfile(os.path.join(own, name)):
            return own
        holding = [folder for folder in inner if os.path.isfile(os.path.join(folder, name))]
        if len(holding) > 1:
            raise Invalid(f"{name} is in both {holding[0]} and {holding[1]}", Remedy("images.which"))
        if holding:
            return holding[0]
    return own


def _merged(entries: list[Entry], folder: str) -> list[Example]:
    """One example per photo: all its captions without repeats, and its one label."""
    captions: dict[str, list[str]] = defaultdict(list)
    words: dict[str, list[str]] = defaultdict(list)
    queries: dict[str, list[PictureQuery]] = defaultdict(list)
    labels: dict[str, str] = {}
    for entry in entries:
        path = os.path.abspath(os.path.join(folder, entry.file))
        captions[path].extend(filter(None, map(_clean, entry.captions)))
        words[path].extend(filter(None, map(_clean, entry.words)))
        queries[path].extend(_picture_query(folder, entry.place, image, text) for image, text in entry.queries)
        label = _clean(entry.label or "")
        if label and labels.setdefault(path, label) != label:
            both = f"{labels[path]!r} and, in {entry.place}, {label!r}"
            raise Invalid(f"{path} is labelled {both}; keep one label per photo.")
    return [
        Example(
            path,
            tuple(dict.fromkeys(texts)),
            labels.get(path),
            tuple(dict.fromkeys(words[path])),
            tuple(dict.fromkeys(queries[path])),
        )
        for path, texts in captions.items()
    ]


def _picture_query(folder: str, place: str, image: str, text: str) -> PictureQuery:
    path, words = os.path.abspath(os.path.join(folder, image)), _clean(text)
    if not os.path.isfile(path):
        raise NotFound(f"The picture {path} of a query in {place} does not exist", Remedy("images"))
    if not words:
        raise Invalid(f"A query in {place} has no words; correct it.")
    return PictureQuery(path, words)


def _clean(text: str) -> str:
    """Single spaces; U+FFFD for bytes that were no UTF-8, which are lone surrogates here, and for written ones."""
    return _SURROGATES.sub("\ufffd", " ".join(text.split()))
