"""Other people's malformed files: each gets an answer in bounded time; how many are salvaged may only grow."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute
from hashmatch.model import HashOptions

OPTIONS = HashOptions(algorithms=frozenset({"pdq"}), dihedral=False)


@pytest.mark.slow
def test_every_malformed_file_gets_an_answer_within_the_deadline() -> None:
    extra = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not extra:
        pytest.skip("HASHMATCH_EXTRA_DATA is not set")
    files = sorted(path for path in (Path(extra) / "malformed").rglob("*") if path.is_file())
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    for path in files:
        started_s = time.process_time()
        answer = compute.hash_picture(path.read_bytes(), DecodeConfig(), OPTIONS)
        slowest_s = max(slowest_s, time.process_time() - started_s)
        assert answer.detail or answer.refusal is None, path
        degraded = answer.media is not None and answer.media.degraded
        outcomes[answer.refusal or ("degraded" if degraded else "hashed")] += 1
    assert slowest_s < 5
    assert outcomes["hashed"] + outcomes["degraded"] >= 26, outcomes
