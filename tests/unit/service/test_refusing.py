"""Which failures are refusals, what is recorded of them, and that a flood of them fills no log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hashmatch.audit.wording import KINDS, REFUSED
from hashmatch.errors import (
    BadInput,
    HashmatchError,
    Lack,
    LedgerUnavailable,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    SetNotFound,
    Unauthenticated,
)
from hashmatch.identity import ANONYMOUS, Caller, acting
from hashmatch.service.auditing import Recorder
from hashmatch.service.refusing import Refusing, peer_kind
from tests.support.auditing import bodies, opened, recorded
from tests.support.service import until

METHOD = "/hashmatch.v1.DetectionService/Detect"
CANARY = "canary-51f0"


class Told:
    """An auditor that writes down what it is told, or has no room."""

    def __init__(self, *, room: bool = True) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self._room = room

    def admit(self) -> None:
        """Refuse nothing."""

    def event(self, kind: str, body: Mapping[str, object]) -> None:
        """Note it."""
        self.events.append((kind, body))
        if not self._room:
            raise LedgerUnavailable

    def entry(self, kind: str, set_id: str, entry_id: str, body: Mapping[str, object]) -> None:
        """Nobody decides about entries here."""
        raise NotImplementedError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionDenied(CANARY), {"caller": "forum", "error": "PERMISSION_DENIED"}),
        (QuotaExceeded(CANARY), {"caller": "forum", "error": "QUOTA_EXCEEDED"}),
        (
            Unauthenticated(CANARY, lack=Lack.UNKNOWN_KEY),
            {"caller": "forum", "error": "UNAUTHENTICATED", "lack": "unknown_key"},
        ),
        (
            Unauthenticated(CANARY, lack=Lack.REVOKED_KEY, owner="former"),
            {"caller": "former", "error": "UNAUTHENTICATED", "lack": "revoked_key"},
        ),
    ],
)
def test_a_refusal_is_recorded_in_words_of_closed_lists(error: HashmatchError, expected: dict[str, object]) -> None:
    told = Told()
    with acting(Caller("forum", frozenset())):
        Refusing(told).failed(METHOD, error, "ipv4:192.0.2.7:4711")
    assert told.events == [(REFUSED, {"method": "Detect", "peer": "remote", "count": 1, **expected})]
    assert REFUSED in KINDS


@pytest.mark.parametrize("error", [BadInput(CANARY), Overloaded(CANARY), SetNotFound(CANARY), ValueError(CANARY)])
def test_another_failure_is_no_refusal(error: Exception) -> None:
    told = Told()
    Refusing(told).failed(METHOD, error)
    assert told.events == []


def test_what_cannot_be_recorded_is_refused_all_the_same() -> None:
    told = Told(room=False)
    Refusing(told).failed(METHOD, PermissionDenied())
    assert [kind for kind, _ in told.events] == [REFUSED]


async def test_a_window_ends_by_itself_and_with_the_service() -> None:
    told = Told()
    refusing = Refusing(told, window_s=0.01)
    await refusing.start()
    for _ in range(3):
        refusing.failed(METHOD, PermissionDenied())
    assert [body["count"] for _, body in told.events] == [1]
    await until(lambda: len(told.events) == 2)
    assert [body["count"] for _, body in told.events] == [1, 2]
    await refusing.close()
    late = Refusing(told)
    await late.start()
    late.failed(METHOD, PermissionDenied())
    late.failed(METHOD, PermissionDenied())
    assert repr(late) == "<Refusing: <Refusals: 1 kinds, 1 to be told>>"
    await late.close()
    assert [body["count"] for _, body in told.events] == [1, 2, 1, 1]


async def test_a_flood_leaves_two_records_of_each_kind(tmp_path: Path) -> None:
    with opened(tmp_path) as log, acting(ANONYMOUS):
        refusing = Refusing(Recorder(log))
        for _ in range(10_000):
            refusing.failed(METHOD, Unauthenticated(CANARY, lack=Lack.NO_KEY), "ipv4:127.0.0.1:1")
        await refusing.close()
    first, rest = bodies(tmp_path, REFUSED)
    expected = {
        "caller": "anonymous",
        "method": "Detect",
        "error": "UNAUTHENTICATED",
        "lack": "no_key",
        "peer": "loopback",
    }
    assert first == {**expected, "count": 1}
    assert {**rest, **expected, "count": 9_999} == rest
    assert rest["since"] <= rest["until"]
    assert CANARY not in str(recorded(tmp_path))


@pytest.mark.parametrize(
    ("untrusted_peer", "kind"),
    [
        ("", ""),
        ("unix:", "unix"),
        ("unix:/run/hashmatch.sock", "unix"),
        ("unix-abstract:name", "unix"),
        ("ipv4:127.0.0.1:4711", "loopback"),
        ("ipv4:127.8.9.1:4711", "loopback"),
        ("ipv6:[::1]:4711", "loopback"),
        ("ipv6:%5B::1%5D:4711", "loopback"),
        ("ipv6:[::ffff:127.0.0.1]:4711", "loopback"),
        ("ipv4:192.0.2.7:4711", "remote"),
        ("ipv6:[2001:db8::1]:4711", "remote"),
        ("ipv6:[::10]:4711", "remote"),
        ("whatever", "remote"),
    ],
)
def test_where_a_call_comes_from(untrusted_peer: str, kind: str) -> None:
    assert peer_kind(untrusted_peer) == kind
