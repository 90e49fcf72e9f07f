"""Why FAISS's own binary indexes are not used for storage: each trap, shown, so that we notice when one is mended.

When a test here fails after an upgrade, FAISS has changed: read docs/adr/0005-segments.md again before rejoicing.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

CODE_BYTES = 32


def flat_index(rows: int) -> faiss.IndexBinaryFlat:
    index = faiss.IndexBinaryFlat(8 * CODE_BYTES)
    index.add(np.random.default_rng(rows).integers(0, 256, (rows, CODE_BYTES), dtype=np.uint8))
    return index


def test_the_radius_is_strict() -> None:
    index = faiss.IndexBinaryFlat(8 * CODE_BYTES)
    index.add(np.zeros((1, CODE_BYTES), dtype=np.uint8))
    query = np.zeros((1, CODE_BYTES), dtype=np.uint8)
    query[0, 0] = 0b111
    assert index.range_search(query, 3)[0][-1] == 0
    assert index.range_search(query, 4)[0][-1] == 1


@pytest.mark.parametrize(("rows", "found"), [(1, 0), (2, 0), (3, 3), (4, 0), (5, 5), (8, 0), (64, 0), (65, 65)])
def test_a_multi_hash_index_loses_equal_entries_when_it_is_saved(rows: int, found: int, tmp_path: Path) -> None:
    """A bucket's length is written in as many bits as 2^k = n needs, and n itself does not fit."""
    codes = np.repeat(np.random.default_rng(7).integers(0, 256, (1, CODE_BYTES), dtype=np.uint8), rows, axis=0)
    multi_hash = faiss.IndexBinaryMultiHash(8 * CODE_BYTES, 16, 16)
    index = faiss.IndexBinaryIDMap2(multi_hash)
    index.add_with_ids(codes, np.arange(rows))
    assert index.range_search(codes[:1], 32)[0][-1] == rows
    faiss.write_index_binary(index, str(tmp_path / "index"))
    loaded = faiss.read_index_binary(str(tmp_path / "index"))
    assert loaded.ntotal == rows
    assert loaded.range_search(codes[:1], 32)[0][-1] == found


def test_a_mapped_index_dies_when_it_is_added_to(tmp_path: Path) -> None:
    faiss.write_index_binary(flat_index(100), str(tmp_path / "index"))
    program = (
        "import sys, faiss, numpy as np\n"
        "index = faiss.read_index_binary(sys.argv[1], faiss.IO_FLAG_MMAP_IFC)\n"
        f"found = index.search(np.zeros((1, {CODE_BYTES}), dtype=np.uint8), 1)\n"
        "print('searched', found[0].shape, flush=True)\n"
        f"index.add(np.zeros((1, {CODE_BYTES}), dtype=np.uint8))\n"
        "print('added')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "index")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
    )
    assert ran.stdout == "searched (1, 1)\n"
    assert ran.returncode in {-signal.SIGABRT, -signal.SIGSEGV, 1}
