"""One table from failure to status and exit code."""

from __future__ import annotations

import grpc
import pytest

from hashmatch import errors
from hashmatch.errors import ExitCode, HashmatchError, Status


def every_class(root: type[HashmatchError] = HashmatchError) -> list[type[HashmatchError]]:
    return [root, *(found for child in root.__subclasses__() for found in every_class(child))]


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_the_docstring_is_the_default_message(cls: type[HashmatchError]) -> None:
    assert cls().message == (cls.__doc__ or "").strip()
    assert cls().message.endswith(".")
    assert cls("said better", field="a.b").message == "said better"
    assert cls("said better", field="a.b").field == "a.b"


def test_statuses_are_grpc_names() -> None:
    assert {status.value for status in Status} <= {code.name for code in grpc.StatusCode}


def test_reasons_are_unique_and_stable() -> None:
    names = [cls.reason() for cls in every_class()]
    assert len(set(names)) == len(names)
    assert errors.RollbackRefused.reason() == "ROLLBACK_REFUSED"
    assert errors.HashmatchError.reason() == "HASHMATCH_ERROR"


@pytest.mark.parametrize(
    ("cls", "status", "code"),
    [
        (errors.BadHash, Status.INVALID_ARGUMENT, ExitCode.BAD_INPUT),
        (errors.SetNotFound, Status.NOT_FOUND, ExitCode.BAD_INPUT),
        (errors.Overloaded, Status.RESOURCE_EXHAUSTED, ExitCode.SERVICE),
        (errors.IndexNotLoaded, Status.UNAVAILABLE, ExitCode.SERVICE),
        (errors.SegmentCorrupt, Status.DATA_LOSS, ExitCode.INTEGRITY),
        (errors.RollbackRefused, Status.FAILED_PRECONDITION, ExitCode.INTEGRITY),
    ],
)
def test_status_and_exit_code(cls: type[HashmatchError], status: Status, code: ExitCode) -> None:
    assert (cls.status, cls.exit_code) == (status, code)
