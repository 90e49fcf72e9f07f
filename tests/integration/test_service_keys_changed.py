"""A caller is changed while the service runs: the same key opens something else, and the audit says what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.cli.main import main
from hashmatch.client import Access, AsyncClient, RetryPolicy
from hashmatch.config import AccessConfig, AuditConfig, Config
from hashmatch.errors import PermissionDenied
from hashmatch.signatures import load_verify_key
from tests.support.auditing import bodies, recorded
from tests.support.ledger import found
from tests.support.reporting import served_at
from tests.support.sandbox import patient
from tests.support.service import loopback, until

CONFIG = Config(server=loopback(access=AccessConfig(poll_ms=10)), sandbox=patient(), audit=AuditConfig(fsync_ms=1))


def keys(data_dir: Path, *arguments: str) -> None:
    assert main(["--data", str(data_dir), "keys", *arguments]) == 0


def digest(data_dir: Path) -> str:
    return hashlib.sha256((data_dir / "keys.json").read_bytes()).hexdigest()


def recorded_changes(data_dir: Path, count: int) -> Callable[[], bool]:
    return lambda: len(bodies(data_dir, "access.changed")) == count


async def test_the_same_key_opens_something_else_and_the_audit_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "uploads.key"
    data_dir = tmp_path / "data"
    keys(data_dir, "create", "uploads", "--role", "detect", "--out", str(out))
    begun = digest(data_dir)
    access = Access.from_files(api_key_file=str(out))
    async with (
        served_at(data_dir, CONFIG) as target,
        AsyncClient(target, access=access, retry=RetryPolicy(attempts=1)) as client,
    ):
        with pytest.raises(PermissionDenied):
            await client.hash_sets()
        keys(data_dir, "change", "uploads", "--role", "detect", "--role", "hashset-read", "--quota", "calls_per_s=50")
        await until(recorded_changes(data_dir, 1))
        assert await client.hash_sets() == []
        keys(data_dir, "change", "uploads", "--description", "the upload path")
        keys(data_dir, "revoke", "uploads")
        await until(recorded_changes(data_dir, 2))
    (loaded,) = bodies(data_dir, "access.loaded")
    assert loaded == {"caller": "local", "callers": 1, "sha256": begun}
    changed, revoked = bodies(data_dir, "access.changed")
    assert changed["changes"] == [
        {
            "name": "uploads",
            "change": "changed",
            "roles": {"before": ["detect"], "after": ["detect", "hashset-read"]},
            "quota": {"before": {}, "after": {"calls_per_s": 50}},
        }
    ]
    (end,) = revoked["changes"]
    assert (end["name"], end["revoked_at"]["before"], revoked["sha256"]) == ("uploads", None, digest(data_dir))
    key = load_verify_key(data_dir / "audit" / "signing.key.pub")
    assert found(data_dir / "audit" / "001", keys=[key])[1] == []
    assert out.read_text().strip()[21:] not in str(recorded(data_dir)) + capsys.readouterr().out
