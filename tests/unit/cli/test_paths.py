"""Arguments to files, files to bytes; whatever is left out says why."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.cli.paths import Found, Skipped, SkipReason, check, read, read_stdin, walk
from hashmatch.errors import BadInput
from hashmatch.model import Refusal


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, a small tree with everything in it that can be met."""
    for name in ("b/2.jpg", "b/.hidden", "b/a/1.jpg", "a.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "b" / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "b" / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_directory_is_walked_by_name_hidden_files_included_and_links_are_not_followed(tree: Path) -> None:
    del tree
    assert list(walk(["b"])) == [
        Found("b/.hidden"),
        Found("b/2.jpg"),
        Found("b/a/1.jpg"),
        Skipped("b/link.jpg", SkipReason.SYMLINK, "symbolic links inside directories are not followed"),
        Skipped(
            "b/pipe", SkipReason.NOT_A_FILE, "a device, socket or pipe is not read; use - for standard input"
        ),
        Skipped("b/up", SkipReason.SYMLINK, "symbolic links inside directories are not followed"),
    ]  # fmt: skip


def test_arguments_keep_their_order_and_their_text(tree: Path) -> None:
    assert [item.path for item in walk(["./b/a/../2.jpg", str(tree / "a.jpg"), "-", "b/a/"])] == [
        "./b/a/../2.jpg",
        str(tree / "a.jpg"),
        "-",
        "b/a/1.jpg",
    ]


def test_a_link_named_as_an_argument_is_followed(tree: Path) -> None:
    (tree / "linked").symlink_to(tree / "b" / "a")
    assert list(walk(["b/link.jpg", "linked"])) == [Found("b/link.jpg"), Found("linked/1.jpg")]


def test_what_does_not_exist_is_a_skipped_item(tree: Path) -> None:
    del tree
    assert list(walk(["nothing.jpg", "a.jpg"])) == [
        Skipped("nothing.jpg", SkipReason.NOT_FOUND, "No such file or directory"),
        Found("a.jpg"),
    ]


@pytest.fixture
def deep_tree(tmp_path: Path) -> Iterator[str]:
    """Return a directory with one file, further down than Python's stack can reach; nor can shutil remove it."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 50):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    yield str(tmp_path)
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # noqa: S607 - wherever rm is


def test_a_tree_deeper_than_pythons_stack_is_walked(deep_tree: str) -> None:
    (item,) = walk([deep_tree])
    assert item.path == deep_tree + "/d" * (sys.getrecursionlimit() + 50) + "/x"


def test_a_name_that_is_no_text_is_walked(tmp_path: Path) -> None:
    name = b"\xff.jpg"
    (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    (item,) = walk([str(tmp_path)])
    assert os.fsencode(item.path).endswith(b"/\xff.jpg")
    assert read(item.path, 10) == b"x"


def test_one_existing_argument_is_enough(tree: Path) -> None:
    del tree
    check(["nothing", "a.jpg"])
    check(["-"])
    with pytest.raises(BadInput, match=r"^no such file or directory: x, y$") as caught:
        check(["x", "y"])
    assert caught.value.field == "path"
    with pytest.raises(BadInput, match=r": 0, 1, 2, 3, 4, \.\.\.$"):
        check([str(n) for n in range(6)])


def test_a_file_is_read_up_to_the_limit_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read(str(path), 5) == b"12345"
    assert read(str(path), 4) == Skipped(
        str(path), Refusal.TOO_LARGE, "5 bytes, more than decode.max_bytes allows (4); nothing was computed"
    )


def test_a_large_file_is_not_read_to_learn_that_it_is_large(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    outcome = read(str(path), 1 << 20)
    assert isinstance(outcome, Skipped)
    assert outcome.detail.startswith("1099511627776 bytes")


def test_standard_input_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"123")))
    assert read_stdin(["a", "-"], 3) == b"123"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1234")))
    assert read_stdin(["-"], 3) == Skipped(
        "-", Refusal.TOO_LARGE, "more than decode.max_bytes allows (3); nothing was computed"
    )  # fmt: skip


def test_standard_input_is_left_alone_when_nobody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert read_stdin(["a", "b"], 3) == b""


def test_a_file_that_went_away_is_a_skipped_item(tmp_path: Path) -> None:
    path = str(tmp_path / "gone")
    assert read(path, 1) == Skipped(path, SkipReason.NOT_FOUND, "No such file or directory")
    assert read(str(tmp_path), 1) == Skipped(str(tmp_path), SkipReason.UNREADABLE, "Is a directory")
