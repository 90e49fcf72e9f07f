"""Writing is all or nothing; what cannot be opened is the caller's to put right."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from hashmatch.cli.files import opened_for_reading, opened_for_writing
from hashmatch.errors import BadInput


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    with opened_for_writing(str(target)) as stream:
        stream.write(b"half")
        stream.flush()
        assert not target.exists()
        stream.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    target.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), opened_for_writing(str(target)) as stream:
        stream.write(bytes(1 // 0))
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_no_regular_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with opened_for_writing(str(pipe)) as stream:
        stream.write(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    writing = opened_for_writing(str(tmp_path / "none" / "list.csv"))
    with pytest.raises(BadInput, match=r"^cannot write .*/none/list.csv: No such file or directory$") as caught:
        writing.__enter__()
    assert caught.value.field == "output"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    del tmp_path
    writing = opened_for_writing("/dev/full")
    stream = writing.__enter__()
    stream.write(b"x")
    with pytest.raises(BadInput, match=r"^cannot write /dev/full: No space left on device$"):
        writing.__exit__(None, None, None)


def test_a_dash_is_the_standard_streams(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_for_writing("-") as stream:
        stream.write(b"\x00binary")
    assert capfdbinary.readouterr().out == b"\x00binary"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"in")))
    with opened_for_reading("-") as (source, size_bytes):
        assert (source.read(), size_bytes) == (b"in", None)


def test_a_file_is_read_and_its_size_known(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    with opened_for_reading(str(tmp_path / "x")) as (stream, size_bytes):
        assert (stream.read(), size_bytes) == (b"12345", 5)
    with opened_for_reading("/dev/null") as (stream, size_bytes):
        assert (stream.read(), size_bytes) == (b"", None)


@pytest.mark.parametrize(("name", "reason"), [("none", "No such file or directory"), (".", "Is a directory")])
def test_what_cannot_be_read_is_bad_input(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(BadInput) as caught:
        opened_for_reading(str(path)).__enter__()
    assert caught.value.message == f"cannot read {path}: {reason}"
