"""Deliveries as directories: whole or absent, whatever kills whoever writes them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.model.cases import Document, Environment
from hashmatch.outbox import folder
from hashmatch.outbox.folder import FolderOutlet, write
from hashmatch.outbox.parcels import Again, Delivered, Parcel, Progress, Refused

DOCUMENT = Document("cybertip", "text/xml", "report.xml", b"<report/>", (("fileDetails", b"<fileDetails/>"),))
PARCEL = Parcel("d-1", "case-1", "key-1", Environment.TEST, DOCUMENT)
NAMES = {"report.xml", "fileDetails", "manifest.json"}


async def nothing(progress: Progress) -> None:
    raise AssertionError(f"a folder has no steps to save: {progress}")


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_a_delivery_is_a_directory_with_a_manifest(tmp_path: Path) -> None:
    outlet = FolderOutlet(tmp_path)
    assert await outlet.deliver(PARCEL, nothing) == Delivered("key-1", f"3 files in {tmp_path / 'key-1'}")
    await outlet.close()
    found = tree(tmp_path)
    assert set(found) == {f"key-1/{name}" for name in NAMES}
    assert json.loads(found["key-1/manifest.json"]) == {
        "delivery": "key-1",
        "delivery_id": "d-1",
        "case_id": "case-1",
        "environment": "test",
        "format": "cybertip",
        "media_type": "text/xml",
        "files": [
            {"name": "report.xml", "bytes": 9, "sha256": hashlib.sha256(b"<report/>").hexdigest()},
            {"name": "fileDetails", "bytes": 14, "sha256": hashlib.sha256(b"<fileDetails/>").hexdigest()},
        ],
    }
    assert repr(outlet) == f"<FolderOutlet {tmp_path}>"


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path, PARCEL)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key-1").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "key-1" / name).stat().st_mode) for name in NAMES} == {0o600}


def test_the_same_twice_is_one(tmp_path: Path) -> None:
    first = write(tmp_path, PARCEL)
    before = tree(tmp_path)
    assert write(tmp_path, replace(PARCEL, attempt=2)) == first
    assert tree(tmp_path) == before


def other_body(root: Path) -> Parcel:
    del root
    return replace(PARCEL, document=replace(DOCUMENT, body=b"<other/>"))


def one_more(root: Path) -> Parcel:
    (root / "key-1" / "more").write_bytes(b"")
    return PARCEL


def one_less(root: Path) -> Parcel:
    (root / "key-1" / "fileDetails").unlink()
    return PARCEL


def link_inside(root: Path) -> Parcel:
    place = root / "key-1" / "report.xml"
    place.rename(root / "kept")
    place.symlink_to(root / "kept")
    return PARCEL


def link_instead(root: Path) -> Parcel:
    (root / "key-1").rename(root / "kept")
    (root / "key-1").symlink_to(root / "kept")
    return PARCEL


def file_instead(root: Path) -> Parcel:
    (root / "key-2").write_bytes(b"")
    return replace(PARCEL, key="key-2")


def dead_link_instead(root: Path) -> Parcel:
    (root / "key-2").symlink_to(root / "nowhere")
    return replace(PARCEL, key="key-2")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (other_body, "another report.xml"),
        (one_more, "other files: more"),
        (one_less, "other files: fileDetails"),
        (link_inside, "another report.xml"),
        (link_instead, "no directory"),
        (file_instead, "no directory"),
        (dead_link_instead, "no directory"),
    ],
)
def test_what_is_there_and_not_the_same_is_refused_and_left(
    tmp_path: Path, change: Callable[[Path], Parcel], difference: str
) -> None:
    write(tmp_path, PARCEL)
    parcel = change(tmp_path)
    before = tree(tmp_path)
    assert write(tmp_path, parcel) == Refused(
        f"{tmp_path / parcel.key} holds something else ({difference}); nothing was changed, look at it"
    )
    assert tree(tmp_path) == before


BAD_NAMES = ["", ".", "..", "../x", "/etc/x", "a/b", "a\\b", ".hidden", "-rf", "a\0", "a\nb", "é", "x" * 201, "a b"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "manifest.json", "MANIFEST.JSON", "REPORT.XML"])
def test_a_part_whose_name_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    parcel = replace(PARCEL, document=replace(DOCUMENT, parts=((name, b"x"),)))
    assert write(tmp_path, parcel) == Refused(f"{name!a} cannot name a file of the delivery, or names two")
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_body_or_key_whose_name_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    parcel = replace(PARCEL, document=replace(DOCUMENT, file_name=name))
    assert write(tmp_path, parcel) == Refused(f"{name!a} cannot name a file of the delivery, or names two")
    assert write(tmp_path, replace(PARCEL, key=name)) == Refused(f"the key {name!a} cannot name a directory")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names only


def test_a_medium_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "medium"
    waits = Again(f"{root} is not there or no directory; is the medium mounted?")
    assert write(root, PARCEL) == waits
    root.write_bytes(b"")
    assert write(root, PARCEL) == waits


@pytest.mark.parametrize("call", ["fsync", "open", "mkdir", "rename"])
@pytest.mark.parametrize(
    ("number", "lasting"),
    [(errno.ENOSPC, False), (errno.EIO, False), (errno.EROFS, True), (errno.EACCES, True), (errno.ENAMETOOLONG, True)],
)
def test_errors_of_the_file_system_are_outcomes_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, lasting: object
) -> None:
    opened = os.open

    def fail(*args: Any, **more: Any) -> Any:
        if call == "open" and not args[1] & os.O_CREAT:
            return opened(*args, **more)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(folder.os if call in {"fsync", "open"} else folder.Path, call, fail)  # type: ignore[attr-defined]
        told = f"{tmp_path}: {os.strerror(number)}"
        expected = Refused(f"{told}; put it right, then retry") if lasting else Again(told)
        assert write(tmp_path, PARCEL) == expected
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names only
    assert isinstance(write(tmp_path, PARCEL), Delivered)


STEPS = ("mkdir", "open", "fsync", "rename")


def write_and_die(root: Path, at: int) -> int:
    """Write in a process that ends, without any cleaning up, before its ``at``-th step; return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = at

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(9)
            left -= 1
            return real(*args, **more)

        return step

    try:
        for name in STEPS:
            owner: Any = os if name in {"open", "fsync"} else Path
            setattr(owner, name, dying(getattr(owner, name)))
        outcome = write(root, PARCEL)
    finally:
        os._exit(0 if isinstance(outcome, Delivered) else 1)


def test_whatever_step_it_is_killed_at_a_delivery_is_whole_or_absent_and_comes_through(tmp_path: Path) -> None:
    statuses = []
    for at in range(40):
        root = tmp_path / str(at)
        root.mkdir()
        statuses.append(write_and_die(root, at))
        if (root / "key-1").exists():
            assert {path.name for path in (root / "key-1").iterdir()} == NAMES
        assert write(root, PARCEL) == Delivered("key-1", f"3 files in {root / 'key-1'}")
        assert set(tree(root)) == {f"key-1/{name}" for name in NAMES}
        assert [path.name for path in root.iterdir()] == ["key-1"]
        if statuses[-1] == 0:
            break
    assert statuses == [9] * (len(statuses) - 1) + [0]
    assert len(statuses) - 1 == 1 + 3 * 2 + 2 + 1 + 2  # mkdir; open, fsync each; twice the directory; rename; the root


def test_only_old_leftovers_of_others_are_removed(tmp_path: Path) -> None:
    for name in (".tmp-key-1-aa", ".tmp-key-2-bb", ".tmp-key-3-cc", "key-9"):
        (tmp_path / name).mkdir()
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "key-9")
    os.utime(tmp_path / ".tmp-key-3-cc", (0, 0))
    write(tmp_path, PARCEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-key-2-bb", ".tmp-link", "key-1", "key-9"]


@given(st.text(max_size=40), st.text(max_size=40), st.binary(max_size=50))
def test_no_name_writes_outside(tmp_path_factory: pytest.TempPathFactory, key: str, name: str, content: bytes) -> None:
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "root"
    root.mkdir()
    parcel = Parcel("d", "c", key, Environment.TEST, Document("x", "y", name, content))
    outcome = write(root, parcel)
    assert [path.name for path in outer.iterdir()] == ["root"]
    assert isinstance(outcome, Refused) or tree(root)[f"{key}/{name}"] == content
