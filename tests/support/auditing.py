"""Audit logs to test with, and what is in them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from hashmatch.audit import AuditLog
from hashmatch.ledger import Writer
from hashmatch.sections import AuditConfig
from tests.support.ledger import segment_files

QUICK = AuditConfig(fsync_ms=0)
ABOUT = {"tool": "hashmatch", "version": "1.2.3"}


def opened(data_dir: Path, config: AuditConfig = QUICK) -> AuditLog:
    """Open an audit log."""
    return AuditLog.open(config, data_dir, ABOUT)


def recorded(data_dir: Path, log: str = "001") -> list[dict[str, Any]]:
    """Return every record of a log, its own headers left out."""
    return [
        record
        for path in segment_files(data_dir / "audit" / log)
        for record in map(json.loads, path.read_bytes().splitlines())
        if not record["kind"].startswith("ledger.")
    ]


def bodies(data_dir: Path, kind: str, log: str = "001") -> list[dict[str, Any]]:
    """Return the bodies of all records of one kind."""
    return [record["body"] for record in recorded(data_dir, log) if record["kind"] == kind]


def in_trouble(audit: AuditLog, trouble: str) -> None:
    """Let a log say that nothing can be written, as it does while the disk refuses, and try again at its end only."""
    ledger: Writer = audit._ledger
    ledger._options = dataclasses.replace(ledger._options, retry_ms=300_000)
    ledger._trouble = trouble
