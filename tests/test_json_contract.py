"""The JSON that scripts rely on, field by field: docs/json.md."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch, run_mmsearch

HIT_FIELDS = {
    "rank", "id", "path", "type", "score", "similarity", "width", "height", "bytes", "modified", "taken", "snippet",
    "line", "offset", "available", "source", "page", "time", "region", "part_name", "copies", "moments", "companions",
    "camera", "lens", "focal_length", "iso", "latitude", "longitude", "place", "rating", "title", "keywords",
    "description", "archive", "member", "group", "channels", "words_as", "explanation", "match",
}  # fmt: skip


@pytest.fixture(scope="module")
def answer(indexed: Path) -> Any:
    """What one search printed. Tests do not change it."""
    done = run_mmsearch("search", "a cup of coffee", "--limit", "2", "--json", library=indexed)
    assert done.code == 0
    assert done.err == ""
    return done.json


def of_type(answer: Any, kind: str) -> Any:
    return next(hit for hit in answer["hits"] if hit["type"] == kind)


def test_one_query_is_one_object_with_just_these_fields(answer: Any) -> None:
    assert set(answer) == {
        "schema_version", "query", "model", "library", "elapsed_ms", "thresholds", "hits", "nearest", "suggestions",
        "period", "total", "total_exact", "offset",
    }  # fmt: skip
    assert answer["schema_version"] == 1
    assert set(answer["thresholds"]) == {"image", "text"}
    assert all(hit["score"] >= answer["thresholds"][hit["type"]] for hit in answer["hits"])
    assert answer["nearest"] is None


def test_query_repeats_terms_and_filters(mmsearch: Mmsearch, indexed: Path, photos: Path) -> None:
    cat = str(photos / "photos" / "cat.png")
    done = mmsearch(
        "search", "2:dog on beach", "--image", f"0.5:{cat}", "--not", "snow", "--type", "image", "--in", photos,
        "--ext", "PNG,jpg", "--after", "1990", "--before", "2090-05-31T18:00", "--json", library=indexed,
    )  # fmt: skip
    assert done.json["query"]["terms"] == [
        {"text": "dog on beach", "weight": 2.0},
        {"image": cat, "weight": 0.5},
        {"text": "snow", "weight": -0.5},
    ]
    assert done.json["query"]["filters"] == {
        "type": "image",
        "in": [str(photos)],
        "ext": [".png", ".jpg"],
        "after": "1990-01-01T00:00:00",
        "before": "2090-05-31T18:00:00",
    }


def test_query_without_filters_says_so(answer: Any) -> None:
    assert answer["query"] == {
        "terms": [{"text": "a cup of coffee", "weight": 1.0}],
        "filters": {},
        "like": [],
        "unlike": [],
        "random": None,
    }


def test_model_is_name_and_revision(answer: Any) -> None:
    name, _, revision = answer["model"].partition("@")
    assert name == "mmsearch-mini"
    assert revision


def test_library_is_its_folder(answer: Any, indexed: Path) -> None:
    assert answer["library"] == str(indexed)


def test_elapsed_ms_is_a_positive_number(answer: Any) -> None:
    assert answer["elapsed_ms"] > 0


def test_hits_have_just_these_fields(answer: Any) -> None:
    assert all(set(hit) == HIT_FIELDS for hit in answer["hits"])


def test_rank_counts_from_one(answer: Any) -> None:
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]


def test_path_is_absolute_and_there(answer: Any) -> None:
    assert all(os.path.isabs(hit["path"]) and os.path.exists(hit["path"]) for hit in answer["hits"])


def test_type_is_image_or_text(answer: Any) -> None:
    assert {hit["type"] for hit in answer["hits"]} == {"image", "text"}


def test_score_is_calibrated_and_similarity_raw(answer: Any) -> None:
    for hit in answer["hits"]:
        assert 0 <= hit["score"] <= 1
        assert -1 <= hit["similarity"] <= 1
    image, text = of_type(answer, "image"), of_type(answer, "text")
    assert image["score"] != image["similarity"]
    assert text["score"] != text["similarity"]


def test_width_and_height_are_the_pictures_own(answer: Any) -> None:
    assert (of_type(answer, "image")["width"], of_type(answer, "image")["height"]) == (600, 400)
    assert (of_type(answer, "text")["width"], of_type(answer, "text")["height"]) == (None, None)


def test_bytes_is_the_files_size(answer: Any) -> None:
    assert all(hit["bytes"] == os.path.getsize(hit["path"]) for hit in answer["hits"])


def test_modified_is_the_files_time_in_utc(answer: Any) -> None:
    for hit in answer["hits"]:
        moment = datetime.fromisoformat(hit["modified"])
        assert hit["modified"].endswith("+00:00")
        assert abs(moment.timestamp() - os.path.getmtime(hit["path"])) < 1


def test_taken_is_null_without_an_exif_date(answer: Any) -> None:
    assert all(hit["taken"] is None for hit in answer["hits"])


def test_snippet_line_and_offset_point_into_the_text(answer: Any) -> None:
    note = of_type(answer, "text")
    text = Path(note["path"]).read_text(encoding="utf-8")
    assert text[note["offset"] :].startswith(note["snippet"])
    assert note["line"] == text[: note["offset"]].count("\n") + 1
    image = of_type(answer, "image")
    assert (image["snippet"], image["line"], image["offset"]) == (None, None, None)


def test_no_hits_are_an_empty_list_and_code_1(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "a cat", "--ext", "xyz", "--json", library=indexed)
    assert done.code == 1
    assert done.json["hits"] == []
    assert done.json["nearest"] is None
    nonsense = mmsearch("search", "asdf qwer", "--json", library=indexed)
    assert nonsense.code == 1
    assert nonsense.json["hits"] == []
    assert set(nonsense.json["nearest"]) == HIT_FIELDS
    assert nonsense.json["nearest"]["rank"] == 0


def test_jsonl_is_a_hit_a_line(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "a cat", "--limit", "3", "--min-score", "0", "--jsonl", library=indexed)
    hits = [json.loads(line) for line in done.out.splitlines()]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert all(set(hit) == HIT_FIELDS | {"schema_version"} for hit in hits)


def test_batch_is_a_query_a_line(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text("a cat\n\n2:a motorcycle\n", encoding="utf-8")
    done = mmsearch("search", "--batch", queries, "--type", "image", library=indexed)
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [one["query"]["terms"] for one in answers] == [
        [{"text": "a cat", "weight": 1.0}],
        [{"text": "a motorcycle", "weight": 2.0}],
    ]
    assert [os.path.basename(one["hits"][0]["path"]) for one in answers] == ["cat.png", "motorcycle.png"]
    piped = mmsearch("search", "--batch", "-", "--type", "image", library=indexed, stdin="a cat\n2:a motorcycle\n")
    assert [json.loads(line)["hits"] for line in piped.out.splitlines()] == [one["hits"] for one in answers]


def test_the_report_of_index_has_these_fields(mmsearch: Mmsearch, home: Path) -> None:
    (home / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (home / "film.iso").write_bytes(b"\0" * 100)
    done = mmsearch("index", home, "--json")
    assert done.code == 0
    report = done.json
    assert report.pop("seconds") > 0
    assert report.pop("failures") == [{"path": str(home / "broken.jpg"), "reason": report_reason(done.json)}]
    assert report.pop("model").startswith("mmsearch-mini@")
    assert os.path.isdir(report.pop("library"))
    assert report == {
        "schema_version": 1, "added": 4, "updated": 0, "moved": 0, "unchanged": 0, "removed": 0, "failed": 1,
        "failing": 0, "others": 1, "unread": {".iso": 1}, "resumed": False, "stopped": False,
        "problems": [], "incomplete": [], "thinned": [], "offline": [], "unsettled": [], "absent": [], "unreached": [],
        "rebuilt": [],
        "encoded": 0, "searched": "mmsearch-mini@3", "switched": False, "newer": None, "catching_up": None,
        "lacking": 0, "hindered": None, "details_read": 0, "queued": 0, "pictured": 0,
        "stages": [], "sound": [],
    }  # fmt: skip


def report_reason(report: Any) -> str:
    reason = report["failures"][0]["reason"]
    assert reason
    return str(reason)


def test_the_status_has_these_fields(mmsearch: Mmsearch, indexed: Path, photos: Path) -> None:
    status = mmsearch("status", "--json", library=indexed).json
    assert set(status) == {
        "schema_version", "library", "model", "dimension", "images", "texts", "files", "unread", "contents", "items",
        "bytes",
        "interrupted", "roots", "failures", "models", "incomplete", "thinned", "stages", "queue",
    }  # fmt: skip
    assert (status["images"], status["texts"], status["items"]) == (14, 4, 18)
    assert status["bytes"] > 10_000
    root = status["roots"][0]
    assert (root["path"], root["files"], root["offline"]) == (str(photos), 18, False)
    assert root["rules"] == {"include": [], "exclude": [], "hidden": False, "ignore_files": True, "archives": False}
