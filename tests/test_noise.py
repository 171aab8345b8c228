"""What is no language is blanked in texts, and long texts have no more passages than they may have."""

from __future__ import annotations

import base64
import json
import os
import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import NOTES, Mmsearch
from hypothesis import given
from hypothesis import strategies as st

from mmsearch import Library
from mmsearch.indexing.cutting import spread
from mmsearch.indexing.report import FailedFile, Thinned
from mmsearch.indexing.run import IndexSettings
from mmsearch.reading import READERS, ReadLimits
from mmsearch.reading.noise import blank_noise
from mmsearch.records import TextSpan

RANDOM = random.Random(1)
BASE64 = base64.b64encode(RANDOM.randbytes(3_000)).decode()
URL_SAFE = base64.urlsafe_b64encode(RANDOM.randbytes(900)).decode()


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


MINIFIED = 'n=function(e,t){return"a"==typeof e[0]?e.i:r(t,1e3)},o.x=s?1:0;' * 9
NOISE = {
    "base64": BASE64,
    "base64 for addresses": URL_SAFE,
    "base64 as in mails": wrapped(BASE64, 76),
    "base64 as in keys": wrapped(BASE64, 64),
    "hexadecimal": RANDOM.randbytes(500).hex(),
    "digits": "31415926535" * 40,
    "numbers": ",".join(f"{RANDOM.random():.6f}" for _ in range(200)),
    "measurements": "\n".join(" ".join(f"{RANDOM.random():.4g}" for _ in range(9)) for _ in range(40)),
    "measurements of all sizes": " ".join(f"{abs(RANDOM.gauss(0, 1e-7)):.3e}" for _ in range(99)),
    "minified": MINIFIED.replace(" ", ""),
    "picture": f"data:image/png;base64,{BASE64[:60]}",
    "picture in a style": "data:image/svg+xml,%3Csvg%20xmlns=%22http://www.w3.org/2000/svg%22/%3E",
    "picture with a name": f"data:image/jpeg;name=cat.jpg;base64,{BASE64}",
}
LANGUAGE = {
    "Chinese": "北京是中华人民共和国的首都，也是全国的政治中心。" * 30,
    "Japanese": "吾輩は猫である。名前はまだ無い。" * 40,
    "Thai": "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอนหรือวรรณยุกต์" * 20,
    "Khmer": "ភាសាខ្មែរជាភាសាកំណើតរបស់ជនជាតិខ្មែរ" * 20,
    "path": "/home/anna/" + "/".join(["summer", "holiday", "beach"] * 20) + ".jpg",
    "tags": json.dumps({"tags": ["dog", "beach", "sunset", "ocean"] * 20}, separators=(",", ":")),
    "slug": "-".join(["what", "dogs", "like", "about", "beaches"] * 10),
    "few numbers": "Call 0151 1234567 or 030 7654321.\n" + "1 2 3 4 5 6 7 8 9\n" * 10 + "+49 151 1234567",
    "prices": "Bread 5" + " " * 600 + "7 Euro" + "." * 600 + "12 pages",
    "table": "Anna 1 2 3 4 5 6\nBert 2 3 4 5 6 7\n" * 100,
    "long word": "Rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz",
    "digest": f"The file has {RANDOM.randbytes(32).hex()} as its digest.",
    "rule": "Title\n" + "=" * 80 + "\nText\n" + "-" * 80,
    "data": "The data:image/png;base64,... form is short, and data: x, y.",
}


@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_blanked_and_all_else_stays_in_its_place(kind: str) -> None:
    noise = NOISE[kind]
    before, after = "A dog on\nthe beach (", ") and\na cat."
    blank = "".join("\n" if char == "\n" else " " for char in noise)
    assert blank_noise(f"{before}\n{noise}\n{after}") == f"{before}\n{blank}\n{after}"


@pytest.mark.parametrize("kind", ["picture", "picture in a style", "picture with a name"])
@pytest.mark.parametrize(("before", "after"), [("![a dog](", ") here"), ('{"image":"', '","title":"dog"}'), ("<", ">")])
def test_a_picture_within_a_text_is_blanked_where_it_stands(kind: str, before: str, after: str) -> None:
    noise = NOISE[kind]
    assert blank_noise(before + noise + after) == before + " " * len(noise) + after


@pytest.mark.parametrize("kind", LANGUAGE)
def test_language_stays(kind: str) -> None:
    assert blank_noise(LANGUAGE[kind]) == LANGUAGE[kind]


@given(st.lists(st.sampled_from([*NOISE.values(), *LANGUAGE.values(), " ", "\n", "data:", "a" * 199, "é"]), max_size=6))
def test_blanking_changes_neither_length_nor_lines(pieces: list[str]) -> None:
    text = "".join(pieces)
    blanked = blank_noise(text)
    assert len(blanked) == len(text)
    assert all(new in (old, " ") and (new == "\n") == (old == "\n") for old, new in zip(text, blanked, strict=True))


def test_a_note_with_a_picture_in_it_is_found_as_well_as_without(library: Library, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    note = NOTES["kitten.txt"]
    (tree / "plain.md").write_text(note)
    (tree / "inline.md").write_text(f"{note.strip()}\n\n![kitten](data:image/png;base64,{BASE64 * 20})\n")
    (tree / "only.txt").write_text(wrapped(BASE64 * 20, 76))
    report = library.index([tree])
    assert report.added == 2
    assert report.failures == [FailedFile(bytes(tree / "only.txt"), "no text inside")]
    hits = {Path(hit.path).name: hit for hit in library.search(note).hits}
    assert hits["inline.md"].score > 0.9 * hits["plain.md"].score
    assert BASE64[:20] not in str(hits["inline.md"].snippet)
    assert " " * 40 not in str(hits["inline.md"].snippet)


def test_the_reader_of_texts_finds_something_else_than_the_first_one() -> None:
    assert next(reader.version for reader in READERS if reader.medium == "text") >= 2


@given(st.integers(0, 300), st.integers(1, 50))
def test_passages_are_spread_evenly(count: int, most: int) -> None:
    spans = [TextSpan(number, number + 1) for number in range(count)]
    taken = spread(spans, most)
    assert len(taken) == min(count, most)
    if count > most:
        assert taken[0] == spans[0]
        gaps = {later.start - one.start for one, later in pairwise(taken)} | {count - taken[-1].start}
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.slow
def test_a_long_text_has_no_more_passages_than_it_may_have(
    library: Library, tmp_path: Path, mmsearch: Mmsearch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    chapters = [f"Chapter {number}. It was a dark and stormy night, and the rain fell.\n" for number in range(400)]
    (tree / "long.txt").write_text("".join(chapters))
    (tree / "short.txt").write_text("".join(chapters[:20]))
    whole = Library(tmp_path / "whole")
    assert whole.index([tree]).thinned == []
    everything = starts(whole)
    assert len(everything) > 40
    done = mmsearch("index", tree, "--max-passages", "20", "--json", library=Path(library.folder))
    assert done.code == 0
    (thinned,) = done.json["thinned"]
    assert thinned == {"path": str(tree / "long.txt"), "left_out": len(everything) - 20}
    assert library.status().thinned == (Thinned(os.fsencode(tree / "long.txt"), thinned["left_out"]),)
    assert f"{tree / 'long.txt'} is long: {len(everything) - 20:,} of its passages were left out" in done.err
    taken = starts(library)
    assert len(taken) == 20
    assert set(taken) <= set(everything)
    assert taken[-1] > 0.9 * everything[-1]
    assert library.search("Chapter 397. It was a dark and stormy night").hits
    assert library.index([tree], settings=IndexSettings(ReadLimits(max_passages=20))).thinned == []
    assert library.index([tree], settings=IndexSettings(ReadLimits(max_passages=10))).unchanged == 2
    # Where it may have more, more of it are taken, and nothing else is encoded again.
    more = library.index([tree], settings=IndexSettings(ReadLimits(max_passages=30)))
    assert (more.encoded, more.unchanged, more.thinned[0].left_out) == (1, 1, len(everything) - 30)
    assert len(starts(library)) == 30
    assert library.index([tree]).encoded == 1
    assert starts(library) == everything
    assert library.status().thinned == ()
    assert library.index([tree]).unchanged == 2


def starts(library: Library) -> list[int]:
    """Where the passages of long.txt begin."""
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        rows = connection.execute(
            """SELECT start FROM items JOIN files USING (content_id)
               WHERE CAST(path AS TEXT) LIKE '%long.txt' ORDER BY ordinal"""
        )
        return [row[0] for row in rows]
