"""A writer that is killed loses nothing that it acknowledged; and a second verifier agrees with ours."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.ledger import Writer
from tests.support.ledger import ABOUT, KEY, SMALL, found, raw_lines, segment_files, write_ledger, wrongs

BY_HAND = Path(__file__).parents[1] / "support" / "ledger_by_hand.py"


def kill_loop(directory: Path, loops: int, seed: int) -> int:
    """Kill a writer again and again on one ledger; return how often its tail was torn or it held more than was said."""
    choice, acknowledged = random.Random(seed), set[int]()
    repaired = 0
    for loop in range(loops):
        command = [sys.executable, "-m", "tests.support.ledger_process", str(directory), str(loop * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(choice.randint(1, 150)):
                acknowledged.add(int(process.stdout.readline()))
            process.kill()
            acknowledged.update(
                int(line) for line in process.stdout.read().splitlines(keepends=True) if line[-1:] == b"\n"
            )
        torn = wrongs(directory)
        assert torn in ([], ["torn_tail"], ["malformed_head"]), "nothing but an end that was torn"
        repaired += bool(torn)
        with Writer.open(directory, KEY, about=ABOUT, options=SMALL) as ledger:
            ledger.append("note", {"number": -1})
        summary, findings = found(directory)
        assert findings == []
        assert summary.unvouched == 0
        numbers = [json.loads(line)["body"].get("number") for line in raw_lines(directory) if b'"kind":"note"' in line]
        assert acknowledged <= set(numbers), "what was acknowledged is there"
        assert len([number for number in numbers if number >= 0]) == len({number for number in numbers if number >= 0})
    return repaired


def test_every_acknowledged_record_survives_kill_9(tmp_path: Path) -> None:
    kill_loop(tmp_path / "ledger", 6, seed=22)


@pytest.mark.slow
def test_every_acknowledged_record_survives_kill_9_many_times(tmp_path: Path) -> None:
    kill_loop(tmp_path / "ledger", 200, seed=2022)


def by_hand(directory: Path, key: Path) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-I", str(BY_HAND), str(directory), str(key)], capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_openssl_and_thirty_lines_of_python_agree(tmp_path: Path) -> None:
    directory, key = tmp_path / "ledger", tmp_path / "key.pem"
    key.write_text(KEY.verify_key.to_pem(), encoding="ascii")
    write_ledger(directory, 12)
    write_ledger(directory, 5, first=12)
    summary, findings = found(directory)
    assert findings == []
    assert by_hand(directory, key) == (0, f"{summary.records} records, {summary.heads} heads\n")
    heads = directory / "heads.jsonl"
    good = heads.read_bytes()
    second = json.loads(good.splitlines()[1])["signatures"][0]["sig"].encode()
    first = json.loads(good.splitlines()[0])["signatures"][0]["sig"].encode()
    heads.write_bytes(good.replace(second, first))
    assert by_hand(directory, key) == (1, "head 1 is not signed with key.pem\n")
    assert wrongs(directory) == ["bad_signature"]
    heads.write_bytes(good)
    path = segment_files(directory)[0]
    path.write_bytes(path.read_bytes().replace(b'"number":1}', b'"number":2}', 1))
    assert by_hand(directory, key) == (1, "record 3 does not follow\n")
    assert wrongs(directory) == ["broken_chain"]


LIMITED = """
import resource, sys
from pathlib import Path
from hashmatch.errors import LedgerUnavailable
from hashmatch.ledger import Options, Writer
from tests.support.ledger import ABOUT, KEY

ledger = Writer.open(Path(sys.argv[1]), KEY, about=ABOUT, options=Options(fsync_ms=0, retry_ms=10))
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
number = 0
try:
    while True:
        ledger.append("note", {"number": number})
        number += 1
except LedgerUnavailable as error:
    print(number, error)
ledger.post("note", {"number": number})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.append("note", {"number": number + 1})
ledger.close()
"""


def test_a_file_that_the_kernel_lets_grow_no_further_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """A real refusal in the middle of a write: the kernel takes part of the line and then says EFBIG."""
    directory = tmp_path / "ledger"
    ran = subprocess.run([sys.executable, "-c", LIMITED, str(directory)], capture_output=True, text=True, check=True)
    acknowledged = int(ran.stdout.split()[0])
    assert acknowledged > 0
    assert ran.stdout == f"{acknowledged} {directory} cannot be written: File too large\n"
    numbers = [json.loads(line)["body"].get("number") for line in raw_lines(directory)]
    assert numbers == [None, *range(acknowledged + 2)]
    assert wrongs(directory) == []
