"""The exception tree: one table from failure to gRPC status and process exit code.

Theory of operation
-------------------
A class is raised where the failure is understood and translated exactly twice: ``service/guard.py`` turns ``status``
into a gRPC status, ``cli`` turns ``exit_code`` into the process's exit code. Nothing else looks at either. A class's
docstring is its default message; whoever raises it says more where more is known: the value, the limit, what to do.

The statuses are gRPC's names as plain text, so that the SDK, the kernels and the catalog can raise these errors
without importing grpc.

What this module deliberately does not do: it does not describe images that could not be looked at. A corrupt file or a
decompression bomb is an *answer* (``model.Refusal``), not an error.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Status(enum.StrEnum):
    """gRPC status names used by hashmatch (https://grpc.io/docs/guides/status-codes/)."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"


class ExitCode(enum.IntEnum):
    """What the command line's exit codes mean; documented in docs/reference/errors.md."""

    CLEAN = 0
    """Finished; nothing matched."""
    MATCHED = 1
    """Finished; at least one image matched, surely or possibly."""
    BAD_INPUT = 2
    """The command, its configuration or its input is wrong; the message says where."""
    SKIPPED = 3
    """Finished, nothing matched, but at least one item could not be looked at."""
    SERVICE = 4
    """The service, its sandbox or its index was not available."""
    INTEGRITY = 5
    """Stored data did not verify; nothing was served from it."""


class HashmatchError(Exception):
    """Something went wrong inside hashmatch; this is a bug, please report it."""

    status: ClassVar[Status] = Status.INTERNAL
    exit_code: ClassVar[ExitCode] = ExitCode.SERVICE

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.field = field
        """The request or configuration field at fault, in dotted form, where there is one."""

    @property
    def message(self) -> str:
        """The text for people, without the class name."""
        return str(self.args[0])

    @classmethod
    def reason(cls) -> str:
        """Return the stable machine-readable name, e.g. ``ROLLBACK_REFUSED`` for :class:`RollbackRefused`."""
        name = cls.__name__
        return "".join("_" + c if c.isupper() and i else c for i, c in enumerate(name)).upper()


# --- the caller's input ------------------------------------------------------------------------------------------


class BadInput(HashmatchError):
    """The request is not valid."""

    status = Status.INVALID_ARGUMENT
    exit_code = ExitCode.BAD_INPUT


class BadConfig(BadInput):
    """The configuration is not valid."""


class BadHash(BadInput):
    """The text is not a hash of the named algorithm."""


class UnknownAlgorithm(BadInput):
    """No algorithm of that name is installed; `hashmatch status` lists those that are."""


class BadFile(BadInput):
    """The file is not in the format that was asked for."""


class BadReport(BadInput):
    """The case cannot be reported in this format; the message names the field and the rule."""


class OutletForbidden(BadInput):
    """The harm domain of the case does not allow this report."""


class BadReceipt(BadInput):
    """The receipt is not one that this service signed for a match."""


class BadSignature(BadInput):
    """The webhook is not signed with this secret, or was signed too long ago."""


class JobRefused(BadInput):
    """The job file is of another list, in use by another process, or was made by another hashmatch."""


class SetNotFound(HashmatchError):
    """No hash set of that name exists; `hashmatch hashset list` shows those that do."""

    status = Status.NOT_FOUND
    exit_code = ExitCode.BAD_INPUT


class SetExists(HashmatchError):
    """A hash set of that name exists already."""

    status = Status.ALREADY_EXISTS
    exit_code = ExitCode.BAD_INPUT


class EntryNotFound(HashmatchError):
    """The hash set has no entry of that id."""

    status = Status.NOT_FOUND
    exit_code = ExitCode.BAD_INPUT


class CaseNotFound(HashmatchError):
    """No case of that id exists."""

    status = Status.NOT_FOUND
    exit_code = ExitCode.BAD_INPUT


class CaseConflict(HashmatchError):
    """The idempotency key was used for another request, or the case or delivery is not in a state that allows this."""

    status = Status.FAILED_PRECONDITION
    exit_code = ExitCode.BAD_INPUT


# --- who may what ------------------------------------------------------------------------------------------------


class Lack(enum.StrEnum):
    """Why it is not known who calls; for whoever watches the service, as callers are told no more than they knew."""

    NOTHING_SHOWN = "nothing_shown"
    NO_KEY = "no_key"
    """What was shown has not the form of a key."""
    UNKNOWN_KEY = "unknown_key"
    EXPIRED_KEY = "expired_key"
    REVOKED_KEY = "revoked_key"
    UNKNOWN_CERTIFICATE = "unknown_certificate"
    AMBIGUOUS_CERTIFICATE = "ambiguous_certificate"
    REVOKED_CALLER = "revoked_caller"


class Unauthenticated(HashmatchError):
    """The service knows its callers, and this one showed no key or certificate that is valid."""

    status = Status.UNAUTHENTICATED
    exit_code = ExitCode.BAD_INPUT

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        lack: Lack = Lack.NOTHING_SHOWN,
        owner: str = "",
    ) -> None:
        super().__init__(message, field=field)
        self.lack = lack
        """Why."""
        self.owner = owner
        """Whose key or certificate it was, where that was proved and it opens nothing any more."""


class PermissionDenied(HashmatchError):
    """The caller is known and may not do this; the message names the role or the set that is missing."""

    status = Status.PERMISSION_DENIED
    exit_code = ExitCode.BAD_INPUT


# --- load and life cycle -----------------------------------------------------------------------------------------


class Overloaded(HashmatchError):
    """All workers are busy and the queue is full; try again after the hinted delay."""

    status = Status.RESOURCE_EXHAUSTED

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after_s: float = 0.25) -> None:
        super().__init__(message, field=field)
        self.retry_after_s = retry_after_s
        """When trying again may succeed, in seconds from now."""


class QuotaExceeded(Overloaded):
    """The caller has used up its quota for now; try again after the hinted delay."""


class DeadlineExceeded(HashmatchError):
    """The caller's deadline passed before the answer was ready."""

    status = Status.DEADLINE_EXCEEDED


class IndexNotLoaded(HashmatchError):
    """No index is loaded yet, so nothing can be said about any image."""

    status = Status.UNAVAILABLE


class CatalogUnavailable(HashmatchError):
    """The catalog database could not be read or written just now."""

    status = Status.UNAVAILABLE


class JobUnavailable(HashmatchError):
    """The job file could not be read or written just now."""

    status = Status.UNAVAILABLE


class ImportAborted(HashmatchError):
    """The stream of entries broke off before its end; nothing was imported."""

    status = Status.UNAVAILABLE


class ServiceUnavailable(HashmatchError):
    """The hashmatch service could not be reached."""

    status = Status.UNAVAILABLE


class SourceUnavailable(HashmatchError):
    """The exchange could not be reached, or kept failing."""

    status = Status.UNAVAILABLE


class SourceRefused(HashmatchError):
    """The exchange refused the credentials, or answered what asking again does not change."""

    status = Status.FAILED_PRECONDITION
    exit_code = ExitCode.BAD_INPUT


class SnapshotFailed(HashmatchError):
    """The next snapshot of the index could not be written; what was being served still is."""

    status = Status.UNAVAILABLE


class NotOffered(HashmatchError):
    """The service is configured not to do this."""

    status = Status.FAILED_PRECONDITION
    exit_code = ExitCode.BAD_INPUT


class LedgerUnavailable(HashmatchError):
    """The log could not be written just now; what was not acknowledged may be missing from it."""

    status = Status.UNAVAILABLE


class LedgerInUse(LedgerUnavailable):
    """Another process writes this log; it has one writer."""


class SandboxUnavailable(HashmatchError):
    """No confined worker could be started, and images are never decoded outside one."""

    status = Status.FAILED_PRECONDITION


class BadFrame(HashmatchError):
    """A message between the pool and a confined process is not valid."""


# --- integrity ---------------------------------------------------------------------------------------------------


class IntegrityError(HashmatchError):
    """Stored data did not verify."""

    status = Status.DATA_LOSS
    exit_code = ExitCode.INTEGRITY


class SegmentCorrupt(IntegrityError):
    """A segment file did not verify against its checksums; it was not loaded."""


class CatalogCorrupt(IntegrityError):
    """The catalog database is damaged or was written by a newer hashmatch."""


class LedgerCorrupt(IntegrityError):
    """A log does not end in a record that follows from the one before; nothing was written to it."""


class JobCorrupt(IntegrityError):
    """The job file is damaged."""


class RollbackRefused(IntegrityError):
    """The offered generation is not newer than the one being served."""

    status = Status.FAILED_PRECONDITION


class ManifestRefused(IntegrityError):
    """A signed list did not verify, or does not follow the one before; nothing was imported."""

    status = Status.FAILED_PRECONDITION
