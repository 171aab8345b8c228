"""Searching starts fast: no heavy package is loaded that it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from serving import running

HEAVY = (
    "torch",
    "starlette",
    "uvicorn",
    "transformers",
    "sentence_transformers",
    "scipy",
    "sqlite_utils",
    "PIL",
    "hnswlib",
    "sklearn",
    "psycopg",
    "fsspec",
    "mmsearch.files.remote",
)
SCRIPT = """
import sys
sys.argv = ["mmsearch", *{arguments!r}]
from mmsearch.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code, file=sys.stderr)
print("loaded", sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


def loaded_by(arguments: list[str], heavy: tuple[str, ...], library: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arguments=arguments, heavy=heavy)],
        env={**os.environ, "MMSEARCH_LIBRARY": str(library)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "code 0" in done.stderr, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["search", "a cat"], ["search", "a cat", "--json", "--type", "image"], ["status"], ["models"]]
)
def test_a_search_by_words_loads_nothing_heavy(indexed: Path, arguments: list[str]) -> None:
    assert loaded_by(arguments, HEAVY, indexed) == "loaded []"


def test_a_query_that_was_asked_before_loads_no_encoder(indexed: Path) -> None:
    encoders = ("mmsearch.encoding.builtin", "mmsearch.encoding.crops", "mmsearch.encoding.onnx_model", "zipfile")
    loaded_by(["search", "a cat"], encoders, indexed)
    assert loaded_by(["search", "a cat"], encoders, indexed) == "loaded []"


def test_what_explains_hits_is_loaded_when_that_is_asked_for(indexed: Path) -> None:
    parts = ("searching.explaining", "searching.heat", "encoding.split_graph")
    explaining = tuple(f"mmsearch.{part}" for part in parts)
    assert loaded_by(["search", "a cat"], explaining, indexed) == "loaded []"
    assert loaded_by(["search", "a cat", "--explain"], explaining, indexed) == f"loaded {sorted(explaining)}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *(
            [name, "--help"]
            for name in ("search", "duplicates", "index", "eval", "train", "adapters", "models", "mcp", "serve")
        ),
    ],
)
def test_help_loads_no_engine_at_all(indexed: Path, arguments: list[str]) -> None:
    assert loaded_by(arguments, (*HEAVY, "numpy", "onnxruntime", "tokenizers", "sqlite3"), indexed) == "loaded []"


def test_a_tree_that_has_not_changed_loads_nothing_that_reads_files(indexed: Path) -> None:
    formats = [f"document.{name}" for name in ("pages", "pdf", "mail", "old_office", "word", "epub", "zipped")]
    others = ["image_reading", "image_pixels", "subtitles", "video.film", "video.sound", "video.tags"]
    readers = tuple(f"mmsearch.reading.{name}" for name in (*formats, *others))
    assert all(find_spec(name) for name in readers)
    assert loaded_by(["index", "--dry-run"], (*readers, "html", "email", "av"), indexed) == "loaded []"


def test_an_assistant_is_greeted_before_anything_of_the_engine_is_loaded(indexed: Path) -> None:
    engine = (*HEAVY, "numpy", "onnxruntime", "tokenizers", "sqlite3", "mmsearch.library")
    requests = [
        '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}',
        '{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}',
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arguments=["mcp"], heavy=engine)], input="\n".join(requests),
        env={**os.environ, "MMSEARCH_LIBRARY": str(indexed)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count('"result"') == 2
    assert done.stderr.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize("arguments", [["a cat"], ["a cat", "--json", "--in", "{photos}"], ["--sort", "name"]])
def test_a_search_by_a_server_loads_no_engine(indexed: Path, photos: Path, arguments: list[str]) -> None:
    engine = (
        "numpy",
        "onnxruntime",
        "tokenizers",
        "sqlite3",
        "mmsearch.store",
        "mmsearch.library",
        "mmsearch.encoding",
    )
    filled = [one.format(photos=photos) for one in arguments]
    with running(indexed) as server:
        asked = ["search", *filled, "--server", server.address]
        assert loaded_by(asked, (*HEAVY, *engine, "mmsearch.models", "mmsearch.nearest"), indexed) == "loaded []"


def test_a_search_of_a_library_loads_nothing_that_asks_servers(indexed: Path) -> None:
    assert loaded_by(["search", "a cat"], ("http.client", "ssl", "mmsearch.client"), indexed) == "loaded []"


def test_a_picture_of_the_library_is_searched_without_any_model(indexed: Path, photos: Path) -> None:
    arguments = ["search", "--image", str(photos / "photos" / "cat.png")]
    assert loaded_by(arguments, (*HEAVY, "onnxruntime", "tokenizers"), indexed) == "loaded []"


def test_a_query_that_was_asked_before_needs_no_model(indexed: Path) -> None:
    arguments = ["search", "a cup of coffee", "--not", "tea"]
    assert loaded_by(arguments, (*HEAVY, "onnxruntime"), indexed) in ("loaded []", "loaded ['onnxruntime']")
    assert loaded_by(arguments, (*HEAVY, "onnxruntime", "tokenizers"), indexed) == "loaded []"


def test_a_search_runs_on_one_thread(indexed: Path) -> None:
    script = (
        "import sys, os; sys.argv = ['mmsearch', 'search', 'a cat']\n"
        "from mmsearch.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(len(os.listdir('/proc/self/task')), file=sys.stderr)"
    )
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("this system does not list threads")
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(indexed), "RAYON_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert int(done.stderr) <= 2, "the matrix library of numpy started threads of its own"
