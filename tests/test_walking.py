"""What a person's folders look like, and which files mmsearch finds there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import Invalid
from mmsearch.indexing.ignore_rules import Patterns, parsed_line
from mmsearch.indexing.walking import FoundFile, WalkProblem, WalkRules, walk

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")


def make(root: Path, *names: str) -> Path:
    """Files with their name as content; a name that ends in / is an empty folder."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    return root


def found(root: Path, rules: WalkRules | None = None) -> list[str]:
    results = walk(os.fsencode(root), rules or WalkRules())
    return [
        os.fsdecode(os.path.relpath(result.path, os.fsencode(root))).replace(os.sep, "/")
        for result in results
        if isinstance(result, FoundFile)
    ]


def problems(root: Path, rules: WalkRules | None = None) -> dict[str, str]:
    return {
        os.fsdecode(os.path.relpath(result.path, os.fsencode(root))): result.reason
        for result in walk(os.fsencode(root), rules or WalkRules())
        if isinstance(result, WalkProblem)
    }


def test_a_photo_folder_is_walked_in_order_with_sizes_and_times(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.jpg", "a/1.jpg", "a/deep/x.txt", "Z.png", "empty/")
    assert found(tmp_path) == ["Z.png", "a/1.jpg", "a/2.jpg", "a/deep/x.txt", "b.jpg"]
    first = next(walk(os.fsencode(tmp_path), WalkRules()))
    status = (tmp_path / "Z.png").stat()
    assert first == FoundFile(os.fsencode(tmp_path / "Z.png"), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def test_a_file_named_by_hand_is_taken_whatever_the_rules(tmp_path: Path) -> None:
    make(tmp_path, ".hidden.jpg")
    rules = WalkRules(exclude=("*.jpg",), include=("*.png",))
    results = list(walk(os.fsencode(tmp_path / ".hidden.jpg"), rules))
    assert [result.path for result in results] == [os.fsencode(tmp_path / ".hidden.jpg")]


def test_a_missing_root_is_a_problem_not_an_empty_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "unmounted") == {".": "no such file or directory"}


def test_the_walk_is_lazy(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    results = walk(os.fsencode(tmp_path), WalkRules())
    next(results)
    (tmp_path / "b" / "3.jpg").write_text("new")
    assert len(list(results)) == 2


def test_machine_folders_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("keep.jpg", ".hidden.jpg", ".config/x.txt", "node_modules/lib/x.js", "@eaDir/thumb.jpg"),
        *("#recycle/old.jpg", "Thumbs.db", "THUMBS.DB.txt", ".Trash-1000/gone.jpg", "env/pyvenv.cfg"),
        *("env/lib/logo.png", "$RECYCLE.BIN/a.jpg", "sub/System Volume Information/b.txt"),
        *("letter.docx", "~$letter.docx", "~letter.docx"),
    )
    assert found(tmp_path) == ["THUMBS.DB.txt", "keep.jpg", "letter.docx", "~letter.docx"]
    assert found(tmp_path, WalkRules(hidden=True)) == [
        *(".config/x.txt", ".hidden.jpg", "THUMBS.DB.txt", "keep.jpg", "letter.docx", "~letter.docx"),
    ]


def test_an_exclude_with_a_bang_takes_in_what_is_left_out_by_default(tmp_path: Path) -> None:
    make(tmp_path, "node_modules/a.png", "node_modules/.b.png", ".notes/c.txt", ".other/d.txt")
    assert found(tmp_path, WalkRules(exclude=("!node_modules", "!/.notes"))) == [
        *(".notes/c.txt", "node_modules/a.png"),
    ]


def test_include_narrows_and_exclude_comes_before_it(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a.txt", "2023/b.jpg", "2023/b.txt", "2024/c.jpg", "2023/raw/d.jpg")
    assert found(tmp_path, WalkRules(include=("*.jpg",))) == [
        *("2023/b.jpg", "2023/raw/d.jpg", "2024/c.jpg", "a.jpg"),
    ]
    assert found(tmp_path, WalkRules(include=("2023/",))) == ["2023/b.jpg", "2023/b.txt", "2023/raw/d.jpg"]
    assert found(tmp_path, WalkRules(include=("2023/", "!*.txt"), exclude=("raw",))) == ["2023/b.jpg"]
    assert found(tmp_path, WalkRules(include=("!*.jpg",))) == ["2023/b.txt", "a.txt"]


def test_a_typed_pattern_may_begin_with_a_hash(tmp_path: Path) -> None:
    make(tmp_path, "#drafts/a.txt", "b.txt")
    assert found(tmp_path, WalkRules(exclude=("#drafts",))) == ["b.txt"]


@pytest.mark.parametrize(
    "pattern",
    ["", "!", "photos[", "back\\", "[[:nonsense:]]x", "[]", "[!]", "x[]", "[^]", "[[:alpha:]", "a/[]/b"],
)
def test_a_pattern_that_is_none_is_refused_at_once_by_name(tmp_path: Path, pattern: str) -> None:
    for option, rules in (("exclude", WalkRules(exclude=(pattern,))), ("include", WalkRules(include=(pattern,)))):
        with pytest.raises(Invalid, match=f"{option} pattern") as caught:
            walk(os.fsencode(tmp_path), rules)
        assert repr(pattern) in str(caught.value)


def test_ignore_files_nest_and_the_deeper_one_wins(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "b.txt", "sub/a.log", "sub/b.txt", "sub/deep/a.log", "out/x.txt", "out/keep.txt")
    (tmp_path / ".ignore").write_text("*.log\nout/\n!out/keep.txt\n")
    (tmp_path / "sub" / ".mmsearchignore").write_text("!a.log\nb.txt\n")
    assert found(tmp_path) == ["b.txt", "sub/a.log", "sub/deep/a.log"]
    (tmp_path / "sub" / "deep" / ".mmsearchignore").write_text("a.log\n")
    assert found(tmp_path) == ["b.txt", "sub/a.log"]
    assert len(found(tmp_path, WalkRules(ignore_files=False))) == 7


def test_ignore_files_above_the_root_count(tmp_path: Path) -> None:
    make(tmp_path, "repo/photos/a.jpg", "repo/photos/b.png", "repo/.git/HEAD")
    (tmp_path / ".ignore").write_text("*.png\n")
    (tmp_path / "repo" / ".gitignore").write_text("*.jpg\n")
    (tmp_path / ".gitignore").write_text("*\n")  # outside the work tree: not obeyed
    assert found(tmp_path / "repo" / "photos") == []
    (tmp_path / "repo" / ".gitignore").write_text("photos/\n")  # but the root itself was asked for
    assert found(tmp_path / "repo" / "photos") == ["a.jpg"]


def test_a_gitignore_outside_git_loses_no_photos(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "project/b.jpg", "project/c.txt", "project/.git/HEAD")
    (tmp_path / ".gitignore").write_text("*.jpg\n")
    (tmp_path / "project" / ".gitignore").write_text("*.txt\n")
    assert found(tmp_path) == ["a.jpg", "project/b.jpg"]


def test_a_repository_inside_another_has_its_own_rules_only(tmp_path: Path) -> None:
    make(tmp_path, ".git/HEAD", "a.jpg", "inner/.git/HEAD", "inner/b.jpg", "inner/c.txt", "inner/d/e.txt")
    (tmp_path / ".gitignore").write_text("*.jpg\n")
    (tmp_path / "inner" / ".gitignore").write_text("*.txt\n")
    (tmp_path / "inner" / "d" / ".gitignore").write_text("!e.txt\n")
    assert found(tmp_path) == ["inner/b.jpg", "inner/d/e.txt"]


@posix_only
def test_a_linked_photo_folder_does_not_become_part_of_the_repository(tmp_path: Path) -> None:
    make(tmp_path, "repo/.git/HEAD", "repo/a.jpg", "photos/b.jpg", "photos/c.png")
    (tmp_path / "repo" / "linked").symlink_to(tmp_path / "photos")
    (tmp_path / "repo" / ".gitignore").write_text("*.jpg\n")
    (tmp_path / "photos" / ".gitignore").write_text("*.png\n")
    assert found(tmp_path / "repo") == ["linked/b.jpg", "linked/c.png"]


def test_a_gitignore_that_takes_all_folders_in_again_does_not_open_git_itself(tmp_path: Path) -> None:
    make(tmp_path, ".git/HEAD", "node_modules/x.py", "src/a.py", "src/a.txt")
    (tmp_path / ".gitignore").write_text("*\n!*/\n!*.py\n")
    assert found(tmp_path) == ["src/a.py"]


def test_a_bad_line_in_an_ignore_file_is_told_and_the_others_count(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "b.txt")
    (tmp_path / ".ignore").write_bytes(b"\xef\xbb\xbf# mine\r\n[z-a\r\n*.log\r\n")
    assert found(tmp_path) == ["b.txt"]
    assert problems(tmp_path) == {".ignore": "line 2 is not a pattern: a [ is never closed"}


@pytest.mark.parametrize("name", [".gitignore", ".ignore", ".mmsearchignore"])
@pytest.mark.parametrize("line", ["[]", "[!]", "x[]", "[", "a/[^]", "[[:alpha:]", "[[:nonsense:]]"])
def test_a_line_that_git_skips_is_skipped_and_told(tmp_path: Path, name: str, line: str) -> None:
    make(tmp_path, ".git/HEAD", "a.log", "b.txt", "]", "x]", "x[]", "[]")
    (tmp_path / name).write_text(f"{line}\n*.log\n")
    assert found(tmp_path) == sorted(["[]", "]", "b.txt", "x[]", "x]"])
    assert list(problems(tmp_path)) == [name]
    assert problems(tmp_path)[name].startswith("line 1 is not a pattern: ")


def test_an_ignore_file_that_is_too_large_is_cut_at_a_line(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "b.txt", "other.txt")
    # The limit lies within the last line, behind its star.
    (tmp_path / ".ignore").write_text("*.log\n#" + "-" * (1_000_000 - 9) + "\n*.nothing\nb.txt\n")
    assert found(tmp_path) == ["b.txt", "other.txt"]
    assert problems(tmp_path) == {".ignore": "ignore file over 1,000,000 bytes, its first 2 lines are obeyed"}
    (tmp_path / ".ignore").write_text("*" * 1_000_001)
    assert found(tmp_path) == ["a.log", "b.txt", "other.txt"]
    assert problems(tmp_path) == {".ignore": "ignore file over 1,000,000 bytes, its first 0 lines are obeyed"}


@pytest.mark.parametrize(
    "line", ["*a" * 11 + "b", "**/" * 12 + "x", "*a" * 400 + "b", "a*/**/" * 300 + "x", "[ab]*?*" * 200 + "c"]
)
def test_no_pattern_takes_for_ever(tmp_path: Path, line: str) -> None:
    folder = "/".join(["a" * 200] * 15)
    make(tmp_path, f"{folder}/{'a' * 250}", "a/b/x.txt")
    (tmp_path / ".ignore").write_text(f"{line}\n/{line}\n!/{line}/\n")
    assert found(tmp_path) == ["a/b/x.txt", f"{folder}/{'a' * 250}"]


def test_thousands_of_plain_lines_are_looked_up_and_the_last_one_decides(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "b.txt", "sub/a.log", "sub/c.log", "d/e.txt", "d.txt", "f/d")
    lines = ["a.log", "*.log", "!/sub/c.log", "d/", "!a.log", "/sub/a.log", "b.*", "!b.txt"]
    patterns = Patterns(
        os.fsencode(tmp_path),
        [parsed_line(line) for line in [*map(str, range(8_000)), *lines, *map(str, range(8_000))]],
    )
    assert patterns.tried_one_by_one == 1
    verdicts = {
        "a.log": False,
        "b.txt": False,
        "b.jpg": True,
        "sub/a.log": True,
        "sub/b.log": True,
        "sub/c.log": False,
        "sub/sub/c.log": True,
        "7999": True,
        "8000": None,
        "d": None,
        "sub/4711": True,
    }
    for path, expected in verdicts.items():
        assert patterns.verdict(os.fsencode(tmp_path / path), is_folder=False) is expected, path
    assert patterns.verdict(os.fsencode(tmp_path / "f/d"), is_folder=True) is True


# ** stands alone between slashes: git takes a**/b for ab, a slip of its own.
GLOB = st.lists(
    st.sampled_from(
        [
            *("a", "b", "*", "?", "[ab]", "[!a]", "[^b-z]", "\\*", ".c", "[[:alpha:]]", "ab", "[]a]", " "),
            *("[]", "[!]", "x[]", "[a", "[z-a]", "[b-ac]", "[!z-a]", "[[:alpha:]", "[[:alpha]", "[[:no:]]", "[a-]"),
            *("[a/b]", "[--b]", "[\\]a]", "b\\", "[[:cntrl:]b]", "[a-[:alpha:]]", "[[:alpha:]-c]", "[!]a-]"),
        ]
    ),
    min_size=1,
    max_size=3,
)
PATTERNS = st.builds(
    lambda start, segments, end: start + "/".join(segments) + end,
    st.sampled_from(["", "", "!", "/", "!/"]),
    st.lists(GLOB.map("".join).filter(lambda glob: "**" not in glob) | st.just("**"), min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)


@needs_git
@posix_only
@settings(max_examples=60)
@given(lines=st.lists(PATTERNS, min_size=1, max_size=4))
def test_ignored_is_what_git_ignores(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("repo")
    make(root, "a", "b", "ab", "a.c", "*", "d/a", "d/b.c", "d/ab/a", "b.c/a", "e/d/a", "e/d/b/ab", "e/a.c")
    (root / ".gitignore").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", root], check=True, env=environment)
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard"],
        *(),
        check=True,
        capture_output=True,
        env=environment,
    )
    not_ignored = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name} - {".gitignore"}
    assert set(found(root)) == not_ignored


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse or fold such names")
def test_names_in_any_bytes_survive_and_can_be_matched(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    os.mkdir(os.path.join(root, b"new\nfolder"))
    names = [
        b"new\nfolder/x.jpg",
        b"caf\xe9.jpg",
        b"caf\xc3\xa9.jpg",
        b"two\nlines.jpg",
        b'quo"te.jpg',
        b"Case.jpg",
        b"case.jpg",
    ]
    for name in names:
        with open(os.path.join(root, name), "wb") as file:
            file.write(name)
    paths = {os.path.relpath(result.path, root) for result in walk(root, WalkRules())}
    assert paths == set(names)
    rules = WalkRules(exclude=(os.fsdecode(b"caf\xe9.*"), "two*", "case.jpg", "x.*"))
    left = {os.path.basename(result.path) for result in walk(root, rules)}
    assert left == {b"caf\xc3\xa9.jpg", b'quo"te.jpg', b"Case.jpg"}


@posix_only
def test_links_come_last_and_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "photos/zoo/1.jpg", "photos/2.jpg", "outside/3.jpg", "outside/4.jpg", "alone/5.jpg")
    photos = tmp_path / "photos"
    (photos / "a-link-out").symlink_to(tmp_path / "outside")
    (photos / "b-link-out-again").symlink_to(tmp_path / "outside")
    (photos / "c-file").symlink_to(tmp_path / "alone" / "5.jpg")
    (photos / "d-file-inside").symlink_to(photos / "2.jpg")
    (photos / "e-file-in-linked").symlink_to(tmp_path / "outside" / "3.jpg")
    (photos / "zoo" / "up").symlink_to(photos)
    (photos / "zoo" / "parent").symlink_to(tmp_path)
    (photos / "zoo" / "me").symlink_to("me")
    (photos / "gone").symlink_to("nowhere")
    (tmp_path / "outside" / "back").symlink_to(tmp_path)
    assert found(photos) == ["2.jpg", "zoo/1.jpg", "a-link-out/3.jpg", "a-link-out/4.jpg", "c-file"]
    loop = "symbolic link to a folder that holds it"
    assert problems(photos) == {
        "a-link-out/back": loop,
        "gone": "dangling symbolic link",
        "zoo/me": "too many levels of symbolic links",
        "zoo/parent": loop,
        "zoo/up": loop,
    }


@posix_only
def test_a_link_to_the_parent_of_a_folder_already_linked_is_walked_once(tmp_path: Path) -> None:
    make(tmp_path, "root/", "other/dir/1.jpg", "other/2.jpg")
    (tmp_path / "root" / "a").symlink_to(tmp_path / "other" / "dir")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "other")
    assert found(tmp_path / "root") == ["a/1.jpg", "b/2.jpg"]
    assert problems(tmp_path / "root") == {}


@posix_only
def test_rules_hold_for_links_too(tmp_path: Path) -> None:
    make(tmp_path, "root/a.jpg", "outside/b.jpg", "outside/c.txt")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "dead.txt").symlink_to("nowhere")
    assert found(tmp_path / "root", WalkRules(exclude=("linked/*.txt", "dead.*"))) == ["a.jpg", "linked/b.jpg"]
    assert problems(tmp_path / "root", WalkRules(exclude=("dead.*",))) == {}
    assert found(tmp_path / "root", WalkRules(exclude=("linked/",))) == ["a.jpg"]


@posix_only
def test_pipes_and_sockets_are_told_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / ".ignore")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert found(tmp_path) == ["a.jpg"]
        assert problems(tmp_path) == {
            "pipe.jpg": "a named pipe, not a regular file",
            "sock": "a socket, not a regular file",
        }
        assert problems(tmp_path, WalkRules(include=("a.*",))) == {}


WALK_AS_NOBODY = """
import os, sys
from mmsearch.indexing.walking import WalkRules, walk
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for result in walk(os.fsencode(sys.argv[1]), WalkRules()):
    print(os.path.basename(result.path).decode(), getattr(result, "reason", "found"))
"""


@posix_only
def test_a_folder_without_permission_is_told_and_the_walk_goes_on(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "a.jpg", "private/b.jpg", "z.jpg")
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (root / "private").chmod(0)
    try:
        output = subprocess.run(
            [sys.executable, "-c", WALK_AS_NOBODY, str(root)],
            *(),
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        ).stdout
    finally:
        (root / "private").chmod(0o700)
    assert output.splitlines() == ["a.jpg found", "private permission denied", "z.jpg found"]


def test_what_vanishes_while_walking_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/1.jpg", "c.jpg")
    results = walk(os.fsencode(tmp_path), WalkRules())
    next(results)
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "c.jpg").unlink()
    assert list(results) == []


def test_a_very_deep_tree_is_walked(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("bottom")
    assert found(tmp_path) == ["d/" * 300 + "x.txt"]


def test_importing_the_walk_is_cheap() -> None:
    code = "import sys, mmsearch.indexing.walking; print(sorted({'PIL', 'pathspec', 'numpy'} & set(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert output.stdout.strip() == "[]"
