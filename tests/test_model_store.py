"""Models on this disk: fetched once and checked, brought over as a file, made fast, listed, removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Answer, Mmsearch
from fake_hub import COMMIT, FakeHub, serving

from mmsearch import Library, MmsearchError
from mmsearch.cli.installing import install_extra
from mmsearch.encoding.facts import MANIFEST
from mmsearch.models.hub import HubFile, wanted_files
from mmsearch.models.installed import (
    ModelSource,
    check_files,
    folder_of,
    installed_model,
    installed_models,
    put_in_place,
    seal,
    writing_model,
)
from mmsearch.models.known import KNOWN_MODELS, KNOWN_SOUND_MODELS
from mmsearch.models.opening import open_encoder
from mmsearch.models.packing import export_model, import_model
from mmsearch.records import BUILTIN_MODEL

pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
from tiny_clip import make_tiny_clap, make_tiny_clip, make_tiny_siglip, make_tiny_student

NAME = "some/tiny-clip"
WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "sentence_transformers", "huggingface_hub", "onnx"):
    sys.modules[name] = None
from mmsearch.__main__ import run
run()
"""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("repositories")
    made = {
        NAME: make_tiny_clip(folder / "clip"),
        "some/tiny-siglip": make_tiny_siglip(folder / "siglip"),
        "laion/clap-htsat-unfused": make_tiny_clap(folder / "clap"),
        "sentence-transformers/clip-ViT-B-32": make_tiny_clip(folder / "known"),
        "sentence-transformers/clip-ViT-B-32-multilingual-v1": make_tiny_student(folder / "student"),
    }
    (made[NAME] / "README.md").write_text("A tiny model.")
    (made[NAME] / "pytorch_model.bin").write_bytes(b"the same weights in an older form")
    (made[NAME] / "modeling.py").write_text("raise SystemExit('code that came with the model was run')")
    (made[NAME] / "onnx").mkdir()
    (made[NAME] / "onnx" / "model.onnx").write_bytes(b"the same weights in another form")
    return made


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own for the models of this disk; no hub's cache of this machine is looked at."""
    monkeypatch.setenv("MMSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    return tmp_path / "models"


@pytest.fixture
def hub(repositories: dict[str, Path], models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving(repositories) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


@pytest.fixture
def fetched(repositories: dict[str, Path], models: Path) -> Path:
    """The folder of a model that is on this disk, put there without a hub."""
    partial = models / "tiny.partial"
    models.mkdir()
    shutil.copytree(repositories["sentence-transformers/clip-ViT-B-32"], partial)
    seal(str(partial), "tiny", [ModelSource("some/tiny", COMMIT, "")])
    put_in_place(str(partial), "tiny")
    return models / "tiny"


def sentence(answer: Answer) -> str:
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert "Traceback" not in answer.err
    return answer.err


# Fetching


@pytest.mark.slow
def test_a_model_is_fetched_once_and_needs_no_network_then(
    hub: FakeHub, mmsearch: Mmsearch, command: Mmsearch, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = mmsearch("models", "pull", NAME)
    assert (done.code, done.err) == (0, "")
    assert f"mmsearch index FOLDER --model {NAME}" in done.out
    model = installed_model(NAME)
    assert model is not None
    assert [(one.repository, one.commit) for one in model.sources] == [(NAME, COMMIT)]
    names = set(model.files)
    assert "model.safetensors" in names
    assert not {"pytorch_model.bin", "modeling.py", "onnx/model.onnx"} & names
    assert sorted(os.listdir(model.folder)) == sorted([*names, MANIFEST])
    sent = len(hub.sent)
    assert command("models", "pull", NAME).code == 0
    assert len(hub.sent) == sent
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert command("index", home, "--model", NAME).code == 0
    found = command("search", "a cat", "--min-score", "0", "--json").json
    assert found["model"].startswith(f"{NAME}@")
    assert len(found["hits"]) == 4


def test_a_known_text_student_comes_with_the_tower_that_it_was_made_for(hub: FakeHub, command: Mmsearch) -> None:
    name = "clip-ViT-B-32-multilingual-v1"
    assert command("models", "pull", f"sentence-transformers/{name}").code == 0
    model = installed_model(name)
    assert model is not None
    assert {one.split("/")[0] for one in model.files} == {"text", "image"}
    encoder = open_encoder(name)
    assert encoder.encode("text", ["eine Katze"]).shape == (1, encoder.identity.dimension)


def test_a_student_that_is_not_known_is_told_whose_pictures_to_take(hub: FakeHub, command: Mmsearch) -> None:
    hub.repositories = {**hub.repositories, "some/student": next(
        path for name, path in hub.repositories.items() if "multilingual" in name
    )}  # fmt: skip
    assert "does not encode both" in sentence(command("models", "pull", "some/student"))
    assert installed_models() == []
    assert command("models", "pull", "some/student", "--images-by", NAME).code == 0


def test_a_revision_is_a_model_of_its_own(hub: FakeHub, command: Mmsearch) -> None:
    pulled = command("models", "pull", NAME, "--revision", "v1", "--json").json
    assert pulled["name"] == f"{NAME}@v1"
    assert command("models", "pull", f"{NAME}@v1").code == 0
    assert [model.name for model in installed_models()] == [f"{NAME}@v1"]
    assert "no revision v2" in sentence(command("models", "pull", NAME, "--revision", "v2"))
    assert "no revision a/b" in sentence(command("models", "pull", NAME, "--revision", "a/b"))
    assert "cannot be called" in sentence(command("models", "pull", NAME, "--revision", "a b"))


@pytest.mark.slow
def test_a_download_that_breaks_off_says_which_file_and_goes_on_later(hub: FakeHub, command: Mmsearch) -> None:
    hub.cut.add("model.safetensors")
    said = sentence(command("models", "pull", NAME))
    assert "model.safetensors" in said
    assert "mmsearch models import" in said
    assert installed_models() == []
    first = list(hub.sent)
    hub.cut.clear()
    assert command("models", "pull", NAME).code == 0
    again = hub.sent[len(first) :]
    assert "config.json" in first
    assert "config.json" not in again
    assert "model.safetensors" in again


@pytest.mark.slow
def test_a_killed_download_leaves_no_model_and_goes_on_later(hub: FakeHub, mmsearch: Mmsearch, models: Path) -> None:
    hub.cut.add("model.safetensors")
    process = subprocess.Popen([sys.executable, "-m", "mmsearch", "models", "pull", NAME], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "model.safetensors" not in hub.sent:
        time.sleep(0.01)
    assert "model.safetensors" in hub.sent
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert installed_models() == []
    hub.cut.clear()
    assert mmsearch("models", "pull", NAME).code == 0
    assert not [name for name in os.listdir(models) if name.endswith(".partial")]
    assert not list(Path(folder_of(NAME)).rglob("*.incomplete"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])  # known by a SHA-256, and by a git blob id
def test_what_arrives_with_other_bytes_is_refused(hub: FakeHub, command: Mmsearch, name: str) -> None:
    hub.twisted = {name}
    assert f"{name} of {NAME} did not arrive" in sentence(command("models", "pull", NAME))
    assert installed_models() == []
    hub.twisted = set()
    assert command("models", "pull", NAME).code == 0


def test_a_damaged_model_is_told_of_and_mended_by_pulling_it_again(hub: FakeHub, command: Mmsearch, home: Path) -> None:
    command("models", "pull", NAME)
    weights = Path(folder_of(NAME), "model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    said = sentence(command("index", home, "--model", NAME))
    assert f"{weights}, a file of the model {NAME}, has {len(content) - 1:,} bytes" in said
    weights.unlink()
    assert f"{weights}, a file of the model {NAME}, is missing" in sentence(command("index", home, "--model", NAME))
    weights.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    sent = len(hub.sent)
    assert command("models", "pull", NAME).code == 0
    assert hub.sent[sent:] == ["model.safetensors"]
    assert weights.read_bytes() == content


def test_a_model_is_mended_as_it_was_and_not_with_what_is_newest(hub: FakeHub, command: Mmsearch) -> None:
    command("models", "pull", NAME)
    identity = open_encoder(NAME).identity
    (Path(folder_of(NAME)) / "config.json").write_text("{}")
    hub.asked.clear()
    assert command("models", "pull", NAME).code == 0
    assert hub.asked == [COMMIT]
    assert open_encoder(NAME).identity == identity


def test_a_pair_is_mended_as_a_pair(hub: FakeHub, command: Mmsearch) -> None:
    student = next(path for name, path in hub.repositories.items() if "multilingual" in name)
    hub.repositories = {**hub.repositories, "some/student": student}
    assert command("models", "pull", "some/student", "--images-by", NAME).code == 0
    Path(folder_of("some/student"), "image", "config.json").unlink()
    assert command("models", "pull", "some/student").code == 0
    assert open_encoder("some/student").encode("text", ["x"]).shape == (1, 16)


def test_a_damaged_manifest_is_mended_too(hub: FakeHub, command: Mmsearch) -> None:
    command("models", "pull", NAME)
    manifest = Path(folder_of(NAME), MANIFEST)
    for damage in ("{", "[]", '{"files": {"x": {"bytes": 1e999, "sha256": ""}}}'):
        manifest.write_text(damage)
        assert command("models").code == 0
        sent = len(hub.sent)
        assert command("models", "pull", NAME).code == 0
        assert hub.sent[sent:] == []
        assert installed_model(NAME) is not None


def test_what_is_there_stays_while_the_hub_is_out_of_reach(
    hub: FakeHub, command: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("models", "pull", NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be fetched" in sentence(command("models", "pull", NAME, "--trust-remote-code"))
    assert installed_model(NAME) is not None
    _ = open_encoder(NAME).identity


def test_an_exchange_that_was_cut_off_is_ended(fetched: Path, models: Path, command: Mmsearch) -> None:
    fetched.rename(models / "tiny~old.partial")
    (models / "tiny~scratch.partial").mkdir()
    assert installed_models() == []
    assert command("models", "export", "tiny", models.parent / "x.zip").code == 2
    with writing_model("tiny"):
        assert [model.name for model in installed_models()] == ["tiny"]
        assert sorted(name for name in os.listdir(models) if name[0] != ".") == ["tiny"]


def test_a_model_that_is_a_link_to_a_folder_is_replaced_and_removed(
    fetched: Path, models: Path, command: Mmsearch, tmp_path: Path
) -> None:
    export_model("tiny", str(tmp_path / "tiny.zip"))
    elsewhere = fetched.rename(tmp_path / "elsewhere")
    for _ in range(2):
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.symlink_to(elsewhere)
        assert import_model(str(tmp_path / "tiny.zip")).name == "tiny"
        assert sorted(name for name in os.listdir(models) if name[0] != ".") == ["tiny"]
    shutil.rmtree(fetched)
    fetched.symlink_to(elsewhere)
    assert command("models", "remove", "tiny").code == 0
    assert (elsewhere / "model.safetensors").exists()


def test_models_that_cannot_be_written_are_told_of(models: Path, mmsearch: Mmsearch) -> None:
    models.mkdir()
    models.chmod(0o555)
    try:
        assert "cannot be written" in sentence(mmsearch("models", "remove", NAME, as_anybody=True))
    finally:
        models.chmod(0o755)


def test_an_optimised_model_that_is_gone_is_made_and_not_fetched(command: Mmsearch, models: Path, home: Path) -> None:
    said = sentence(command("index", home, "--model", "tiny-int8"))
    assert "`mmsearch models optimise tiny`" in said


def test_a_full_disk_is_told_as_such(hub: FakeHub, command: Mmsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")  # as write() says it, without a name

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    said = sentence(command("models", "pull", NAME))
    assert "No space left on device" in said
    assert "MMSEARCH_MODELS" in said


def test_one_at_a_time_fetches_a_model(hub: FakeHub, command: Mmsearch) -> None:
    with writing_model(NAME):
        assert f"The model {NAME} is being written by process {os.getpid()}" in sentence(
            command("models", "pull", NAME)
        )
        assert command("models", "pull", "some/tiny-siglip").code == 0


def test_what_the_hub_does_not_have_and_what_is_no_such_model(hub: FakeHub, command: Mmsearch, tmp_path: Path) -> None:
    assert "The hub has no model some/thing" in sentence(command("models", "pull", "some/thing"))
    assert "cannot be called" in sentence(command("models", "pull", "../../etc"))
    assert "built in" in sentence(command("models", "pull", BUILTIN_MODEL))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    hub.repositories = {"some/other": tmp_path / "other"}
    assert "cannot be loaded" in sentence(command("models", "pull", "some/other"))
    assert installed_models() == []


def test_without_a_network_one_sentence_says_what_to_do(
    models: Path, command: Mmsearch, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    said = sentence(command("models", "pull", NAME))
    assert "http://127.0.0.1:9" in said
    assert f"`mmsearch models export {NAME} FILE`" in said
    assert not [name for name in os.listdir(models) if not name.startswith(".")]
    said = sentence(command("index", home, "--model", NAME))
    assert f"{models}/some--tiny-clip is missing" in said
    assert f"`mmsearch models pull {NAME}`" in said
    assert "There is no model in a folder /no/such" in sentence(command("index", home, "--model", "/no/such"))


def test_code_that_comes_along_is_fetched_only_when_it_is_trusted() -> None:
    files = [
        HubFile(name, 1, "", "") for name in ("model.bin", "a/model.bin", "a/x.safetensors", "x.py", "../y", "p.png")
    ]
    assert [one.name for one in wanted_files(files, False)] == ["model.bin", "a/x.safetensors"]
    assert [one.name for one in wanted_files(files, True)] == ["model.bin", "a/x.safetensors", "x.py"]


def test_code_that_comes_along_is_run_only_when_it_is_trusted(
    fetched: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder

    ran = tmp_path / "ran"
    # Else it is run from the home of who tests, where it would stay.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    described = json.loads((fetched / "config.json").read_text())
    described["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    described["model_type"] = "own"
    (fetched / "config.json").write_text(json.dumps(described))
    (fetched / "own.py").write_text(
        f"open({str(ran)!r}, 'w').close()\nfrom transformers import CLIPConfig, CLIPModel\n"
        "class OwnConfig(CLIPConfig):\n    model_type = 'own'\n"
        "class OwnModel(CLIPModel):\n    config_class = OwnConfig\n"
    )
    with pytest.raises(MmsearchError, match="cannot be loaded"):
        _ = SentenceTransformersEncoder(str(fetched), "tiny").identity
    assert not ran.exists()
    _ = SentenceTransformersEncoder(str(fetched), "tiny", trust_remote_code=True).towers
    assert ran.exists()


# Bringing over


def test_a_model_is_brought_over_as_a_single_file(
    fetched: Path, models: Path, command: Mmsearch, tmp_path: Path
) -> None:
    before = open_encoder("tiny").identity
    file = tmp_path / "tiny.zip"
    exported = command("models", "export", "tiny", file)
    assert exported.code == 0, exported.err
    assert command("models", "remove", "tiny").code == 0
    assert not fetched.exists()
    assert command("models", "import", file).code == 0
    assert open_encoder("tiny").identity == before
    model = installed_model("tiny")
    assert model is not None
    check_files(model, digests=True)
    assert model.sources == (ModelSource("some/tiny", COMMIT, ""),)


def rewritten(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
        for name in change.keys() - set(old.namelist()):
            new.writestr(name, change[name])
    return target


def test_a_file_that_was_changed_on_its_way_is_refused(fetched: Path, models: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.zip"
    export_model("tiny", str(file))
    before = sorted(models.rglob("[!.]*"))
    (tmp_path / "cut.zip").write_bytes(file.read_bytes()[:-100])
    flipped = bytearray(file.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "flipped.zip").write_bytes(flipped)
    (tmp_path / "none.zip").write_text("no archive")
    rewritten(file, tmp_path / "longer.zip", {"config.json": (fetched / "config.json").read_bytes() + b" "})
    rewritten(file, tmp_path / "shorter.zip", {"config.json": b"{}"})
    manifest = json.loads((fetched / MANIFEST).read_text())
    for number, name in enumerate(
        ("../evil", "/evil", "a/../../evil", "C:\\evil", "a\\..\\evil", "", ".. /x", "x ", "NUL", "con.txt", "a\nb")
    ):
        files = {**manifest["files"], name: {"bytes": 1, "sha256": "0"}}
        rewritten(file, tmp_path / f"evil{number}.zip", {MANIFEST: json.dumps({**manifest, "files": files}).encode()})
    rewritten(file, tmp_path / "named.zip", {MANIFEST: json.dumps({**manifest, "name": "../../evil"}).encode()})
    rewritten(file, tmp_path / "builtin.zip", {MANIFEST: json.dumps({**manifest, "name": BUILTIN_MODEL}).encode()})
    rewritten(file, tmp_path / "list.zip", {MANIFEST: b"[1, 2]"})
    endless = {**manifest, "files": {"x": {"bytes": float("inf"), "sha256": ""}}}
    rewritten(file, tmp_path / "endless.zip", {MANIFEST: json.dumps(endless).encode()})
    rewritten(file, tmp_path / "large.zip", {MANIFEST: b" " * 2_000_000})
    with zipfile.ZipFile(tmp_path / "compressed.zip", "w", zipfile.ZIP_DEFLATED) as compressed:
        for path in fetched.iterdir():
            compressed.write(path, path.name)
    for changed in sorted(tmp_path.glob("*.zip")):
        if changed != file:
            with pytest.raises(MmsearchError):
                import_model(str(changed))
            assert sorted(models.rglob("[!.]*")) == before, changed
    assert not (tmp_path / "evil").exists()


def test_trust_is_not_brought_over(fetched: Path, models: Path, tmp_path: Path) -> None:
    manifest = json.loads((fetched / MANIFEST).read_text())
    (fetched / MANIFEST).write_text(json.dumps({**manifest, "trust_remote_code": True}))
    export_model("tiny", str(tmp_path / "tiny.zip"))
    assert not import_model(str(tmp_path / "tiny.zip")).trust_remote_code
    assert import_model(str(tmp_path / "tiny.zip"), trust_remote_code=True).trust_remote_code


def test_the_model_that_is_built_in_is_on_every_machine_already(
    indexed: Path, command: Mmsearch, tmp_path: Path
) -> None:
    file = tmp_path / "x.zip"
    # Searches of this library use it: what is said is not that another model is to be chosen.
    for words in (("export", file), ("pull",), ("optimise",), ("remove",)):
        said = sentence(command("models", words[0], "mmsearch-mini", *words[1:], library=indexed))
        assert "mmsearch-mini is built in: it comes with mmsearch wherever that is installed" in said
    assert not file.exists()


def test_exporting_what_is_damaged_or_not_there_is_one_sentence(
    fetched: Path, command: Mmsearch, tmp_path: Path
) -> None:
    assert "is not on this disk" in sentence(command("models", "export", "other", tmp_path / "x.zip"))
    assert "is a folder" in sentence(command("models", "export", "tiny", tmp_path))
    assert "cannot be written" in sentence(command("models", "export", "tiny", tmp_path / "no" / "x.zip"))
    weights = fetched / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "is damaged" in sentence(command("models", "export", "tiny", tmp_path / "x.zip"))
    assert not (tmp_path / "x.zip").exists()
    assert "cannot be read" in sentence(command("models", "import", tmp_path / "x.zip"))


def test_a_library_that_calls_a_known_model_by_its_long_name(
    repositories: dict[str, Path], models: Path, command: Mmsearch, home: Path
) -> None:
    long, short = "sentence-transformers/clip-ViT-B-32", "clip-ViT-B-32"
    partial = models / "x.partial"
    models.mkdir()
    shutil.copytree(repositories[long], partial)
    seal(str(partial), short, [ModelSource(long, COMMIT, "")])
    put_in_place(str(partial), short)
    with Library(home.parent / "library") as library:
        library.index([home], model=short)
    identity = open_encoder(long).identity
    with closing(sqlite3.connect(home.parent / "library" / "library.db")) as connection, connection:
        connection.execute("UPDATE models SET name = ?, fingerprint = ?", (identity.name, identity.fingerprint))
    for name in (long, short):
        assert command("search", "a cat", "--model", name, "--min-score", "0").code == 0, name
    assert command("search", "a cat", "--min-score", "0").code == 0


# Making fast


@pytest.mark.slow
def test_an_optimised_model_is_taken_by_the_same_name_and_needs_no_torch(
    fetched: Path, models: Path, mmsearch: Mmsearch, home: Path, tmp_path: Path
) -> None:
    made = mmsearch("models", "optimise", "tiny", "--photos", home)
    assert made.code == 0, made.err
    assert "exact export: cosine with the original 1.0" in made.out
    assert [model.name for model in installed_models()] == ["tiny", "tiny-int8"]
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(tmp_path / "library")}
    for arguments in (["index", str(home), "--model", "tiny"], ["search", "a cat", "--min-score", "0", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *arguments],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"].startswith("tiny-int8@")
    with Library(tmp_path / "library") as library:
        assert library.search("a cat", model="tiny").model.startswith("tiny-int8@")
    exported = tmp_path / "tiny-int8.zip"
    assert mmsearch("models", "export", "tiny-int8", exported).code == 0
    assert mmsearch("models", "import", exported).code == 0


def test_what_was_made_here_is_not_fetched(fetched: Path, command: Mmsearch) -> None:
    assert "`mmsearch models optimise tiny`" in sentence(command("models", "pull", "tiny-int8"))


def test_without_torch_the_original_says_what_to_install(fetched: Path, home: Path, tmp_path: Path) -> None:
    for model in ("tiny", str(fetched)):
        arguments = ["index", str(home), "--model", model, "--library", str(tmp_path / "library")]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert install_extra("clip") in done.stderr


@pytest.mark.slow
def test_a_library_of_the_original_stays_with_it(fetched: Path, library: Library, home: Path) -> None:
    from mmsearch.models.optimise.building import optimise

    library.index([home], model="tiny")
    optimise("tiny")
    (home / "ships.txt").write_text("A text about ships.")
    report = library.index([home], model="tiny")
    assert report.model.startswith("tiny@")
    assert (report.added, report.unchanged) == (1, 4)
    assert library.index([home], model="tiny-int8").encoded == 5


@pytest.mark.slow
def test_eval_measures_the_original_and_what_was_made_of_it(
    fetched: Path, command: Mmsearch, home: Path, tmp_path: Path
) -> None:
    from mmsearch.models.optimise.building import optimise

    optimise("tiny")
    data = tmp_path / "captions.jsonl"
    lines = [
        {"file": str(home / name), "captions": [text]} for name, text in (("cat.png", "a cat"), ("coffee.png", "x"))
    ]
    data.write_text("\n".join(json.dumps(line) for line in lines))
    measured = command("eval", data, "--model", "tiny", "--model", "tiny-int8", "--json").json["evaluations"]
    assert [one["model"].split("@")[0] for one in measured] == ["tiny", "tiny-int8"]


@pytest.mark.slow
def test_a_siglip_is_pulled_and_made_fast_in_one_go(hub: FakeHub, command: Mmsearch, home: Path) -> None:
    command("index", home)  # its pictures are those to compare with
    done = command("models", "pull", "some/tiny-siglip", "--optimise")
    assert done.code == 0, done.err
    assert "(2 pictures)" in done.out
    names = ("some/tiny-siglip", "some/tiny-siglip-int8")
    vectors = [open_encoder(name).encode("text", ["A Cat", "a dog"]) for name in names]
    assert float(np.min(np.sum(vectors[0] * vectors[1], axis=1))) > 0.9


# Listing and removing


def test_the_list_tells_what_is_here_and_what_is_known(fetched: Path, command: Mmsearch, home: Path) -> None:
    command("index", home)
    command("index", home, "--model", "tiny")
    listed = command("models")
    assert (listed.code, listed.err) == (0, "")
    lines = listed.out.splitlines()
    assert any(BUILTIN_MODEL in line and "searches use it: 4 files" in line for line in lines)
    assert any("tiny " in line and "4 files encoded" in line for line in lines)
    for known in KNOWN_MODELS:
        assert known.name in listed.out
    told = command("models", "--json").json
    assert [one["name"] for one in told["installed"]] == ["tiny"]
    assert [one["searched"] for one in told["library"]] == [True, False]
    assert told["known"][0]["name"] == BUILTIN_MODEL


def test_a_model_of_sound_is_fetched_and_asked_beside_the_one_in_use(
    hub: FakeHub, command: Mmsearch, home: Path
) -> None:
    name = KNOWN_SOUND_MODELS[0].name
    assert command("models", "pull", name).code == 0
    optimised = command("models", "optimise", name)
    assert optimised.code == 2 and "only models of pictures and texts" in optimised.err
    assert command("index", home, "--model", name).code == 0
    listed = command("models")
    assert any(name in line and "searches ask it for sound: 0 files" in line for line in listed.out.splitlines())
    assert [one["hears"] for one in command("models", "--json").json["library"]] == [False, True]
    assert f"models drop {name}" in sentence(command("models", "remove", name))
    assert command("models", "drop", name).code == command("models", "remove", name).code == 0
    assert command("search", "a cat").code == 0


def test_the_known_models_are_a_choice_from_small_to_best() -> None:
    assert 6 <= len(KNOWN_MODELS) <= 10
    assert len({model.name for model in KNOWN_MODELS}) == len(KNOWN_MODELS)
    recalls = [model.recall_english for model in KNOWN_MODELS if model.recall_english]
    assert min(recalls) == KNOWN_MODELS[1].recall_english, "the first is the weakest"
    many = [model for model in KNOWN_MODELS if model.languages != "English"]
    assert max((model.recall_german or 0) for model in many) > 85


def test_a_model_that_searches_use_is_not_removed(fetched: Path, command: Mmsearch, home: Path) -> None:
    command("index", home, "--model", "tiny")
    assert "models use" in sentence(command("models", "remove", "tiny"))
    command("index", home, "--model", BUILTIN_MODEL)
    command("models", "use", BUILTIN_MODEL)
    assert command("models", "remove", "tiny", "--json").json["bytes"] > 1000
    assert "There is no model tiny" in sentence(command("models", "remove", "tiny"))
    assert "is not on this disk" in sentence(command("search", "a cat", "--model", "tiny"))
    assert command("search", "a cat").code == 0


# What is known without loading


def test_a_search_that_was_asked_before_loads_no_torch(fetched: Path, command: Mmsearch, home: Path) -> None:
    from test_light_imports import HEAVY, loaded_by

    library = home.parent / "library"
    command("index", home, "--model", "tiny")
    arguments = ["search", "a cat", "--min-score", "0"]
    assert command(*arguments).code == 0
    assert loaded_by(arguments, HEAVY, library) == "loaded []"


def test_weights_that_change_are_noticed_though_nothing_is_loaded(fetched: Path, models: Path) -> None:
    before = open_encoder(str(fetched)).identity
    assert open_encoder(str(fetched)).identity == before
    weights = fetched / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert open_encoder(str(fetched)).identity.fingerprint != before.fingerprint
