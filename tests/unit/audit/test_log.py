"""The logs of a directory: one per process, damaged ones set aside, and what happens when the disk refuses."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from hashmatch.audit.log import ledgers, make_directory, signing_key
from hashmatch.errors import BadInput, LedgerUnavailable
from hashmatch.ledger import Writer
from hashmatch.sections import AuditConfig
from hashmatch.signatures import SigningKey, load_verify_key, write_secret
from tests.support.auditing import ABOUT, bodies, in_trouble, opened, recorded
from tests.support.ledger import SMALL, Ticks, found, segment_files


def test_each_process_has_a_log_of_its_own_and_takes_one_up_again(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.post("set.created", {"set": "one"})
        second.post("set.created", {"set": "two"})
    with opened(tmp_path) as third:
        third.post("set.created", {"set": "three"})
    assert [path.name for path in ledgers(tmp_path / "audit")] == ["001", "002"]
    assert [body["set"] for body in bodies(tmp_path, "set.created")] == ["one", "three"]
    assert [body["set"] for body in bodies(tmp_path, "set.created", "002")] == ["two"]


def test_keys_are_made_once_and_the_public_half_verifies(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.post("set.created", {})
        second.post("set.created", {})
        assert first.pseudonyms == second.pseudonyms
    directory = tmp_path / "audit"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(path.name for path in directory.iterdir()) == [
        "001", "002", "digest.key", "signing.key", "signing.key.pub",
    ]  # fmt: skip
    key = load_verify_key(directory / "signing.key.pub")
    assert found(directory / "001", keys=[key])[1] == found(directory / "002", keys=[key])[1] == []


def test_another_key_and_directory_may_be_named(tmp_path: Path) -> None:
    key = SigningKey.generate()
    write_secret(tmp_path / "own.key", key.to_pem())
    config = AuditConfig(directory=str(tmp_path / "elsewhere"), key=str(tmp_path / "own.key"))
    with opened(tmp_path / "data", config) as log:
        log.post("set.created", {})
    assert found(tmp_path / "elsewhere" / "001", keys=[key.verify_key])[1] == []
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "elsewhere" / "signing.key").exists()


def test_a_damaged_log_is_left_as_it_is_and_the_next_one_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as log:
        for name in ("one", "two"):
            log.post("set.created", {"set": name})
    (path,) = segment_files(tmp_path / "audit" / "001")
    damaged = path.read_bytes().replace(b'"set":"one"', b'"set":"six"')
    path.write_bytes(damaged)
    with opened(tmp_path):
        pass
    assert path.read_bytes() == damaged
    assert bodies(tmp_path, "audit.set_aside", "002") == [{"log": "001"}]
    assert "an audit log is damaged and was set aside: " in caplog.text


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=rf"^audit directory {tmp_path}/file/audit: Not a directory$"):
        opened(tmp_path / "file")


def test_what_is_no_directory_of_logs_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"^there is no audit log in {tmp_path}$"):
        ledgers(tmp_path)
    with pytest.raises(BadInput, match=rf"^cannot read the audit logs in {tmp_path}/none: No such file or directory$"):
        ledgers(tmp_path / "none")


DAY_NS = 86_400_000_000_000
NOW_NS = time.time_ns()


def old(tmp_path: Path, log: str, *days: int) -> None:
    """Write a log so many days ago, in small files."""
    directory = tmp_path / "audit"
    make_directory(directory)
    key, clock = signing_key(AuditConfig(), directory), Ticks()
    for day in days:
        clock.ns = NOW_NS - day * DAY_NS
        with Writer.open(directory / log, key, about=ABOUT, options=SMALL, clock=clock) as ledger:
            for number in range(5):
                ledger.append("detect", {"number": number})


def left(tmp_path: Path, log: str) -> tuple[list[str], int, str]:
    """Return what is wrong with a log, how many records were removed from it, and by which rule."""
    summary, findings = found(tmp_path / "audit" / log, keys=[load_verify_key(tmp_path / "audit" / "signing.key.pub")])
    return [str(finding.wrong) for finding in findings], summary.removed, summary.rule


def test_what_was_kept_for_long_enough_is_removed_from_this_log_and_from_those_that_nobody_writes(
    tmp_path: Path,
) -> None:
    old(tmp_path, "001", 400, 100)
    old(tmp_path, "002", 400)
    old(tmp_path, "003", 1)
    before = [segment_files(tmp_path / "audit" / log)[-1].read_bytes() for log in ("002", "003")]
    with opened(tmp_path) as log, opened(tmp_path, AuditConfig(directory=str(tmp_path / "audit"))) as second:
        assert log.retain(365, NOW_NS, others=False) == left(tmp_path, "001")[1] > 0
        assert left(tmp_path, "002")[1] == 0
        assert log.retain(365, NOW_NS, others=True) == 0, "the second is written"
        second.close()
        assert log.retain(365, NOW_NS, others=True) > 0
        assert log.retain(365, NOW_NS, others=True) == 0
    assert left(tmp_path, "001")[0::2] == left(tmp_path, "002")[0::2] == ([], "audit.keep_days = 365")
    assert left(tmp_path, "003") == ([], 0, "")
    assert segment_files(tmp_path / "audit" / "003")[-1].read_bytes() == before[1], "nothing was written there"


def test_a_log_whose_newest_record_is_old_goes_whole(tmp_path: Path) -> None:
    old(tmp_path, "001", 400)
    old(tmp_path, "002", 400)
    numbers = [record["body"] for record in recorded(tmp_path, "002")]
    with opened(tmp_path) as log:
        assert log.retain(365, NOW_NS, others=True) > len(numbers)
        assert log.retain(365, NOW_NS, others=True) == 0
    assert recorded(tmp_path, "002") == []
    assert left(tmp_path, "002")[0] == []


def test_a_damaged_log_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old(tmp_path, "001", 400)
    old(tmp_path, "002", 400)
    path = segment_files(tmp_path / "audit" / "002")[0]
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":7'))
    before = {file: file.read_bytes() for file in segment_files(tmp_path / "audit" / "002")}
    with opened(tmp_path) as log:
        assert log.retain(365, NOW_NS, others=True) > 0
    assert before.items() <= {file: file.read_bytes() for file in segment_files(tmp_path / "audit" / "002")}.items()
    assert "nothing is removed from an audit log: " in caplog.text
    assert "follows a record with another digest" in caplog.text


def test_calls_are_refused_in_trouble_only_where_the_audit_is_required(tmp_path: Path) -> None:
    with opened(tmp_path, AuditConfig(required=True)) as log:
        log.admit()
        in_trouble(log, "No space left on device")
        with pytest.raises(
            LedgerUnavailable,
            match=r"^calls are refused while the audit log cannot be written: No space left on device$",
        ):
            log.admit()
        log.post("set.created", {})
    with opened(tmp_path) as log:
        in_trouble(log, "No space left on device")
        log.admit()
        assert log.trouble == log.state().trouble == "No space left on device"


def test_what_waits_for_a_disk_holds_no_answers(tmp_path: Path) -> None:
    made: list[str] = []

    def body() -> dict[str, object]:
        made.append("now")
        return {}

    with opened(tmp_path) as log:
        in_trouble(log, "Input/output error")
        log.post("detect", body)
        assert made == ["now"]
    assert len(recorded(tmp_path)) == 1


def test_a_log_that_is_closed_takes_nothing_and_says_so_where_it_is_required(tmp_path: Path) -> None:
    for required in (False, True):
        log = opened(tmp_path, AuditConfig(required=required))
        log.close()
        if required:
            with pytest.raises(LedgerUnavailable, match=r": the ledger is closed$"):
                log.post("detect", {})
        else:
            log.post("detect", {})
