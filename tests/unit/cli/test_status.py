"""What is said of a server, and what the probes of a data directory find."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Styled
from hashmatch.cli.serve import adjusted
from hashmatch.cli.status import FIELDS, _catalog, _emphasised, _snapshot, flat, of_server
from hashmatch.config import Config
from hashmatch.errors import ExitCode
from hashmatch.model import HarmDomain
from hashmatch.publish import SnapshotFile
from hashmatch.service.runtime import SEGMENTS
from tests.support.service import STATUS


def test_what_a_server_said_has_every_documented_key() -> None:
    record = of_server("localhost:1", STATUS)
    assert set(record) == set(FIELDS)
    assert (record["server"], record["data_dir"], record["started_at"]) == (
        "localhost:1",
        None,
        "2026-11-21T00:00:00.000Z",
    )
    assert record["catalog"] == {"hash_sets": 1, "entries": 3}
    assert record["quarantined"] == [
        {"set": "known", "entry_id": "e", "at": "2026-11-21T00:00:00.000Z", "reason": "9 matches within 60 s"}
    ]


def test_people_see_what_has_a_value_by_dotted_name() -> None:
    shown = dict(flat(of_server("localhost:1", STATUS)))
    assert "data_dir" not in shown
    assert shown["libraries.pillow"] == "13.0.0"
    assert shown["index.values.pdq"] == "3"
    assert shown["quarantined.known/e"] == "2026-11-21T00:00:00.000Z: 9 matches within 60 s"
    assert shown["sandbox.confined"] == "yes"
    assert shown["sandbox.protections.seccomp"].startswith("active")
    assert shown["traffic.calls./hashmatch.v1.DetectionService/Detect.OK"] == "8"
    assert shown["traffic.matches.known.match"] == "2"
    assert shown["outbox.ncmec.queued"] == "3"
    assert shown["failing"] == "follower"
    assert dict(flat({"a": ["x", "y"], "b": {"c": False, "d": None}})) == {"a": "x, y", "b.c": "no"}
    missing = {"protections": [{"name": "landlock", "active": False, "detail": "not in this kernel"}]}
    assert list(flat(missing)) == [("protections.landlock", "NOT ACTIVE: not in this kernel")]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("index.generation", "7", "7"),
        ("sandbox.confined", "yes", Styled("yes", "green")),
        ("quarantined.known/e", "why", Styled("why", "bold yellow")),
        ("index.verified", "no", Styled("no", "bold red")),
        ("catalog.error", "damaged", Styled("damaged", "bold red")),
        ("sandbox.protections.seccomp", "NOT ACTIVE: x", Styled("NOT ACTIVE: x", "bold red")),
    ],
)
def test_good_and_bad_are_told_apart(name: str, value: str, expected: object) -> None:
    assert _emphasised(name, value) == expected


def test_an_empty_data_directory_is_no_failure(tmp_path: Path) -> None:
    options = GlobalOptions(data_dir=tmp_path / "none")
    assert _catalog(options, Config()) == ({"exists": False}, [], ExitCode.CLEAN)
    assert _snapshot(options) == ({"snapshot": None}, ExitCode.CLEAN)
    assert not (tmp_path / "none").exists()


def test_a_catalog_is_counted_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    options = GlobalOptions(data_dir=tmp_path)
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
    counted = {"exists": True, "hash_sets": 1, "entries": 0, "withdrawn": 0, "sequence": 1}
    assert _catalog(options, Config()) == (counted, [], ExitCode.CLEAN)
    (tmp_path / CATALOG).write_bytes(b"no database" * 100)
    record, _, code = _catalog(options, Config())
    assert code is ExitCode.INTEGRITY
    assert CATALOG in str(record["error"])


def test_a_snapshot_that_does_not_verify_is_an_integrity_failure(tmp_path: Path) -> None:
    (tmp_path / SEGMENTS).mkdir()
    file = SnapshotFile.at(tmp_path / SEGMENTS, 7, 42)
    file.path.write_bytes(b"no segment" * 100)
    record, code = _snapshot(GlobalOptions(data_dir=tmp_path))
    assert code is ExitCode.INTEGRITY
    assert (record["snapshot"], record["sequence"], record["file"]) == (7, 42, file.path.name)
    assert record["verified"] is False
    assert record["error"]
    file.path.unlink()
    file.path.mkdir()
    record, code = _snapshot(GlobalOptions(data_dir=tmp_path))
    assert (record["verified"], code) == (False, ExitCode.SERVICE)


def test_the_address_on_the_command_line_replaces_the_configured_one() -> None:
    assert adjusted(Config(), None, None) == Config()
    changed = adjusted(Config(), "127.0.0.1:9", None)
    assert changed.server.listen == "127.0.0.1:9"
    assert changed.decode == Config().decode
