"""How a method is served depends on when it is known who calls; whether it may be is told over real connections."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from hashmatch.config import AccessConfig, QuotaConfig, ServerConfig
from hashmatch.errors import Overloaded
from hashmatch.identity import Role
from hashmatch.service.admission import Admission
from hashmatch.service.keyring import Keyring
from tests.support.identity import account, keyed, write

DETECT = "/hashmatch.v1.DetectionService/Detect"
HEALTH = "/grpc.health.v1.Health/Check"


async def served(admission: Admission, method: str, *keys: str) -> bool:
    """Return whether gRPC is to read the single message of a call before it calls anything."""

    async def find(_: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)

    metadata = [("authorization", key) for key in keys]
    details: Any = SimpleNamespace(method=method, invocation_metadata=metadata)
    handler = await admission.intercept_service(find, details)
    assert handler.request_streaming == (handler.stream_unary is not None)
    return not handler.request_streaming


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Admission, str, str]:
    """Admit those with a key; return one that opens detection, and one that does not."""
    one, token = keyed(account(name="one", roles=(Role.DETECT,)))
    two, other = keyed(account(name="two", roles=(Role.AUDIT,)))
    write(tmp_path / "keys.json", one, two)
    keyring = Keyring(ServerConfig(access=AccessConfig(keys_file=str(tmp_path / "keys.json"))), tmp_path)
    keyring.load()
    return Admission(keyring, QuotaConfig()), f"Bearer {token.text}", f"Bearer {other.text}"


async def test_who_is_known_by_metadata_is_served_without_a_stream(keys: tuple[Admission, str, str]) -> None:
    admission, good, _ = keys
    assert await served(admission, DETECT, good)
    assert await served(admission, HEALTH)  # open to all


async def test_of_who_is_not_known_yet_or_is_refused_nothing_is_read(keys: tuple[Admission, str, str]) -> None:
    admission, good, without_role = keys
    assert not await served(admission, DETECT)  # a certificate may follow
    assert not await served(admission, DETECT, without_role)
    assert not await served(admission, DETECT, good + "x")
    assert not await served(admission, DETECT, good, good)
    assert not await served(admission, "/hashmatch.v1.DetectionService/NoSuch", good)


async def test_what_there_is_no_room_for_is_not_read(keys: tuple[Admission, str, str]) -> None:
    admission, good, _ = keys

    def no_room() -> None:
        raise Overloaded("there is no room", retry_after_s=1)

    admission.rooms = {DETECT: no_room}
    assert not await served(admission, DETECT, good)
    assert await served(admission, HEALTH)
    admission.rooms = {DETECT: lambda: None}
    assert await served(admission, DETECT, good)


async def test_where_nobody_is_asked_nothing_is_waited_for() -> None:
    assert await served(Admission(Keyring(ServerConfig()), QuotaConfig()), DETECT)
