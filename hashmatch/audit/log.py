"""The audit log of one process: a ledger of its own, among those of a directory.

Theory of operation
-------------------
A ledger has one writer, and several processes may serve from one data directory. So a directory of logs holds ledgers
with numbers, and a process that starts takes the first that nobody writes to::

    audit/digest.key         secret of the keyed digests, shared by all
    audit/signing.key        signs heads, unless audit.key names another; .pub is for whoever verifies
    audit/001  audit/002     ledgers

A ledger that is damaged is not repaired and not written to: it is left for whoever verifies it, the next number is
begun, and a record there says so.

Answers do not wait: :meth:`AuditLog.post` puts a closure into the ledger's queue. When the disk refuses, records wait
in memory; :attr:`AuditLog.trouble` says so to health and status, and with ``audit.required`` :meth:`AuditLog.admit`
refuses every call until something could be written again. What finds no room any more is counted in the ledger.

Records are kept for ``audit.keep_days``: :meth:`AuditLog.retain` removes what is older from this log and, where it is
asked to, from those that no process writes any more, whose newest file is then ended so that it can go in its turn.

What this module deliberately does not do: it does not know what a call is; ``wording`` makes the bodies, and the
service hands them over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hashmatch.audit.digests import Pseudonyms, load_pseudonyms, make_secret
from hashmatch.errors import BadInput, LedgerCorrupt, LedgerInUse, LedgerUnavailable
from hashmatch.ledger import Options, State, Writer
from hashmatch.ledger.records import time_text
from hashmatch.ledger.removal import due, latest
from hashmatch.sections import AuditConfig
from hashmatch.signatures import SigningKey, kept, kept_signing_key, load_signing_key, write_secret

DIRECTORY: Final = "audit"
"""In the data directory, where the configuration names no other."""
SECRET_FILE: Final = "digest.key"  # noqa: S105  a name
KEY_FILE: Final = "signing.key"
MAX_LEDGERS: Final = 999
RETRY_MS: Final = 1_000.0
_DAY_NS: Final = 86_400_000_000_000

_log = logging.getLogger("hashmatch.audit")

Body = Mapping[str, object]


class AuditLog:
    """Where the records of this process go. Every method may be called from any thread and returns at once."""

    def __init__(
        self, ledger: Writer, pseudonyms: Pseudonyms, *, required: bool, others: _Others | None = None
    ) -> None:
        self._ledger = ledger
        self._required = required
        self._others = others
        self.pseudonyms = pseudonyms

    def __repr__(self) -> str:
        return f"<AuditLog in {self._ledger!r}>"

    @classmethod
    def open(cls, config: AuditConfig, data_dir: Path, about: Body) -> Self:
        """Take the first log that nobody writes to.

        Parameters
        ----------
        config : AuditConfig
            Where, and the limits.
        data_dir : Path
            Holds the directory of logs unless the configuration names one.
        about : mapping
            What every file of the log begins with: version, posture of the sandbox, digest of the configuration.

        Raises
        ------
        BadInput
            A key cannot be read or made.
        LedgerUnavailable
            The disk refuses, or all logs are in use.

        """
        directory = directory_of(config, data_dir)
        make_directory(directory)
        key = signing_key(config, directory)
        pseudonyms = kept(directory / SECRET_FILE, make_secret, load_pseudonyms)
        options = Options(
            rotate_bytes=config.rotate_bytes,
            head_every_records=config.head_every_records,
            head_every_s=config.head_every_s,
            fsync_ms=config.fsync_ms,
            retry_ms=RETRY_MS,
            max_queued=config.queue,
        )
        damaged: list[str] = []
        for number in range(1, MAX_LEDGERS + 1):
            path = directory / f"{number:03d}"
            try:
                ledger = Writer.open(path, key, about=about, options=options)
            except LedgerInUse:
                continue
            except LedgerCorrupt as error:
                _log.error("an audit log is damaged and was set aside: %s", error)
                damaged.append(path.name)
                continue
            others = _Others(directory, path.name, key, about, options)
            audit = cls(ledger, pseudonyms, required=config.required, others=others)
            for name in damaged:
                audit.post("audit.set_aside", {"log": name})
            return audit
        raise LedgerUnavailable(f"{directory}: all of {MAX_LEDGERS} logs are in use or damaged")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def trouble(self) -> str:
        """Why nothing can be recorded now; empty while it can."""
        return self._ledger.trouble

    @property
    def admits(self) -> bool:
        """Whether calls are let through: not in trouble, or not required."""
        return not (self._required and self._ledger.trouble)

    def admit(self) -> None:
        """Refuse a call that could not be recorded. Raises LedgerUnavailable, only with ``audit.required``."""
        if not self.admits:
            raise LedgerUnavailable(f"calls are refused while the audit log cannot be written: {self.trouble}")

    def post(self, kind: str, body: Body | Callable[[], Body]) -> None:
        """Record something soon; ``body`` may be made later, in the log's thread.

        Raises
        ------
        LedgerUnavailable
            There is no room; only with ``audit.required``. Otherwise the ledger counts what is missing.

        """
        if self._ledger.trouble and callable(body):
            body = body()  # what waits for a disk must not hold answers of any size
        try:
            self._ledger.post(kind, body)
        except LedgerUnavailable:
            if self._required:
                raise

    def retain(self, keep_days: int, now_ns: int, *, others: bool) -> int:
        """Remove what is older, with a signed record of it; return how many records went. Blocks.

        Parameters
        ----------
        keep_days : int
            How long records are kept.
        now_ns : int
            The time, nanoseconds since 1970.
        others : bool
            Also from logs of the directory that nobody writes.

        A log that is damaged, or that the disk refuses, loses nothing, and the log says so.

        """
        before, rule = time_text(now_ns - keep_days * _DAY_NS), f"audit.keep_days = {keep_days}"
        count = _removed(self._ledger, before, rule)
        if others and self._others is not None:
            count += sum(_removed(ledger, before, rule) for ledger in self._others.older_than(before))
        return count

    def state(self) -> State:
        """Return how the log does."""
        return self._ledger.state()

    def close(self) -> None:
        """Write what waits and sign a head; what cannot be written is logged."""
        try:
            self._ledger.close()
        except LedgerUnavailable as error:
            _log.error("%s", error)


@dataclass(frozen=True, slots=True)
class _Others:
    """The logs of a directory but one."""

    directory: Path
    own: str
    key: SigningKey
    about: Body
    options: Options

    def older_than(self, before: str) -> Iterator[Writer]:
        """Open, one after the other, those that nobody writes and that have records from before a time."""
        for path in ledgers(self.directory):
            if path.name == self.own:
                continue
            try:
                ended = latest(path) < before
                if not ended and due(path, before) is None:
                    continue
                # where even the newest record is that old, a new file is begun, so that the whole of this one can go
                options = dataclasses.replace(self.options, rotate_bytes=1) if ended else self.options
                with Writer.open(path, self.key, about=self.about, options=options) as ledger:
                    yield ledger
            except LedgerInUse:
                continue
            except (BadInput, LedgerCorrupt, LedgerUnavailable) as error:
                _log.error("nothing is removed from an audit log: %s", error)


def _removed(ledger: Writer, before: str, rule: str) -> int:
    try:
        count = ledger.remove_older(before, rule)
    except (BadInput, LedgerCorrupt, LedgerUnavailable) as error:
        _log.error("nothing is removed from an audit log: %s", error)
        return 0
    if count:
        _log.info("%d records of the audit from before %s were removed: %s", count, before, rule)
    return count


def directory_of(config: AuditConfig, data_dir: Path) -> Path:
    """Return where the logs are."""
    return Path(config.directory) if config.directory else data_dir / DIRECTORY


def ledgers(directory: Path) -> list[Path]:
    """Return the logs of a directory, in order. Raises BadInput where there is none."""
    try:
        found = sorted(path for path in directory.iterdir() if path.is_dir() and path.name.isdecimal())
    except OSError as error:
        raise BadInput(f"cannot read the audit logs in {directory}: {error.strerror}", field="directory") from error
    if not found:
        raise BadInput(f"there is no audit log in {directory}", field="directory")
    return found


def make_directory(directory: Path) -> None:
    """Make the directory of logs. Raises LedgerUnavailable."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnavailable(f"audit directory {directory}: {error.strerror}") from error


def signing_key(config: AuditConfig, directory: Path) -> SigningKey:
    """Return the key that signs heads, with its public half beside it where it is the directory's own.

    Raises
    ------
    BadInput
        It cannot be read or made.

    """
    if config.key:
        return load_signing_key(Path(config.key))
    key = kept_signing_key(directory / KEY_FILE)
    public = directory / f"{KEY_FILE}.pub"
    if not public.exists():
        with contextlib.suppress(BadInput):  # another process was faster
            write_secret(public, key.verify_key.to_pem())
    return key
