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

What this module deliberately does not do: it does not know what a call is; ``wording`` makes the bodies, and the
service hands them over.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from hashmatch.audit.digests import Pseudonyms, load_pseudonyms, make_secret
from hashmatch.errors import BadInput, LedgerCorrupt, LedgerInUse, LedgerUnavailable
from hashmatch.ledger import Options, State, Writer
from hashmatch.sections import AuditConfig
from hashmatch.signatures import SigningKey, load_signing_key, write_secret

DIRECTORY: Final = "audit"
"""In the data directory, where the configuration names no other."""
SECRET_FILE: Final = "digest.key"  # noqa: S105  a name
KEY_FILE: Final = "signing.key"
MAX_LEDGERS: Final = 999
RETRY_MS: Final = 1_000.0

_log = logging.getLogger("hashmatch.audit")

Body = Mapping[str, object]
_T = TypeVar("_T")


class AuditLog:
    """Where the records of this process go. Every method may be called from any thread and returns at once."""

    def __init__(self, ledger: Writer, pseudonyms: Pseudonyms, *, required: bool) -> None:
        self._ledger = ledger
        self._required = required
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
        pseudonyms = _kept(directory / SECRET_FILE, make_secret, load_pseudonyms)
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
            audit = cls(ledger, pseudonyms, required=config.required)
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

    def state(self) -> State:
        """Return how the log does."""
        return self._ledger.state()

    def close(self) -> None:
        """Write what waits and sign a head; what cannot be written is logged."""
        try:
            self._ledger.close()
        except LedgerUnavailable as error:
            _log.error("%s", error)


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
    key = _kept(directory / KEY_FILE, lambda path: write_secret(path, SigningKey.generate().to_pem()), load_signing_key)
    public = directory / f"{KEY_FILE}.pub"
    if not public.exists():
        with contextlib.suppress(BadInput):  # another process was faster
            write_secret(public, key.verify_key.to_pem())
    return key


def _kept(path: Path, make: Callable[[Path], None], load: Callable[[Path], _T]) -> _T:
    """Load a file, having made it where there is none. Raises BadInput."""
    if not path.exists():
        with contextlib.suppress(BadInput):  # another process was faster; if not, loading says what is wrong
            make(path)
    return load(path)
