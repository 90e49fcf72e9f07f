"""The memory that carries a picture: its size is fixed, its reader cannot write, nothing stays in it."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.sandbox.memory import PictureMemory

CAPACITY = 3 << 20


@pytest.fixture
def memory() -> Iterator[PictureMemory]:
    made = PictureMemory(CAPACITY)
    yield made
    made.close()


def test_a_reader_sees_the_picture_and_then_nothing(memory: PictureMemory) -> None:
    image = bytes(range(256)) * 8_000
    with mmap.mmap(memory.descriptor, CAPACITY, mmap.MAP_SHARED, mmap.PROT_READ) as reader:
        memory.put(image)
        assert reader[: len(image)] == image
        memory.wipe(len(image))
        assert reader[:] == bytes(CAPACITY)


def test_wiping_stops_where_it_is_told(memory: PictureMemory) -> None:
    memory.put(b"abcdef")
    memory.wipe(4)
    assert memory._mapping[:8] == b"\0\0\0\0ef\0\0"


def test_a_reader_cannot_write(memory: PictureMemory) -> None:
    with pytest.raises(PermissionError):
        mmap.mmap(memory.descriptor, CAPACITY, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(PermissionError):
        os.write(memory.descriptor, b"x")


@pytest.mark.parametrize("size", [0, CAPACITY - 1, CAPACITY + 1])
def test_the_size_is_sealed(memory: PictureMemory, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, size)


def test_the_mapping_is_left_out_of_dumps(memory: PictureMemory) -> None:
    inode = os.fstat(memory.descriptor).st_ino
    (flags,) = re.findall(rf" {inode} +/memfd:hashmatch-picture.*?\nVmFlags: ([^\n]*)", smaps(), re.DOTALL)
    assert "dd" in flags.split()
    assert ("lo" in flags.split()) == memory.locked


def test_closing_leaves_no_descriptor() -> None:
    def opened() -> int:
        """Count those of this memory: others come and go in the threads of this process."""
        return sum(name.startswith("/memfd:hashmatch-picture") for name in leads())

    def leads() -> Iterator[str]:
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield str(entry.readlink())

    before = opened()
    memory = PictureMemory(CAPACITY)
    assert opened() > before
    memory.close_descriptor()
    memory.close_descriptor()
    memory.close()
    assert opened() == before


def smaps() -> str:
    return Path("/proc/self/smaps").read_text(encoding="utf-8")
