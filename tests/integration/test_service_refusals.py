"""Who was refused is in the audit, over real connections: every lack of a key, roles, sets, quotas; no secret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from hashmatch.audit.wording import REFUSED
from hashmatch.client import Access, AsyncClient, RetryPolicy
from hashmatch.client.access import NOBODY
from hashmatch.errors import PermissionDenied, QuotaExceeded, Unauthenticated
from hashmatch.identity import Role, tokens
from hashmatch.identity.tokens import Token
from hashmatch.service.auditing import Recorder
from hashmatch.service.refusing import Refusing
from hashmatch.service.watching import Watch
from tests.support.auditing import bodies, opened
from tests.support.identity import account, keyed, write
from tests.support.ports import PDQ_ZERO, FakeIndex, entry_ref
from tests.support.service import Scene, collect, serving

Act = Callable[[AsyncClient], Awaitable[object]]


def client(scene: Scene, token: Token | None) -> AsyncClient:
    access = NOBODY if token is None else Access(api_key=token.text)
    return AsyncClient(scene.target, access=access, retry=RetryPolicy(attempts=1), timeout_s=300)


def tried(data_dir: Path) -> Mapping[tuple[str, ...], int]:
    """Return how often the audit has which refusal."""
    counted: dict[tuple[str, ...], int] = {}
    for body in bodies(data_dir, REFUSED):
        kind = tuple(str(body.get(name, "")) for name in ("caller", "method", "error", "lack", "peer"))
        counted[kind] = counted.get(kind, 0) + body["count"]
    return counted


async def test_who_was_refused_is_in_the_audit_and_no_key_is(tmp_path: Path) -> None:
    present = dt.datetime.now(dt.UTC)
    former, expired = keyed(account("former"), expires_at=present)
    former, revoked = keyed(former)
    former = former.without_key(revoked.key_id, present)
    forum, good = keyed(account("forum", quota={"calls_per_day": 6}, sets=frozenset({"a"})))
    write(tmp_path / "keys.json", former, forum)
    unknown = tokens.made()
    index = FakeIndex([("pdq", PDQ_ZERO, entry_ref("e1", set_name="a"))], names=frozenset("a"))

    async def malformed(scene: Scene) -> None:
        async with grpc.aio.insecure_channel(scene.target) as channel:
            detect: Any = channel.unary_unary("/hashmatch.v1.DetectionService/Detect")
            for header in ("Basic abc", "Bearer hmk_"):
                with pytest.raises(grpc.aio.AioRpcError):
                    await detect(b"", metadata=(("authorization", header),))

    with opened(tmp_path) as log:
        refusing = Refusing(Recorder(log))
        scene = Scene(data_dir=tmp_path, index=index, watch=Watch())
        scene.watch.failed = refusing.failed
        async with serving(scene):
            for token in (None, unknown, expired, revoked, revoked):
                async with client(scene, token) as asking:
                    with pytest.raises(Unauthenticated):
                        await asking.detect(b"image")
            await malformed(scene)
            async with client(scene, good) as asking:
                with pytest.raises(PermissionDenied):
                    await asking.hash_sets()
                with pytest.raises(PermissionDenied):
                    await asking.detect(b"image", sets=["canary-b"])
                (item,) = await collect(asking.detect_stream([("1", b"image")], sets=["canary-b"]))
                assert "canary-b" in str(item.error)
                for _ in range(4):
                    await asking.detect(b"image")
                for _ in range(3):
                    with pytest.raises(QuotaExceeded):
                        await asking.detect(b"image")
        await refusing.close()
    assert tried(tmp_path) == {
        ("anonymous", "Detect", "UNAUTHENTICATED", "nothing_shown", "loopback"): 1,
        ("anonymous", "Detect", "UNAUTHENTICATED", "unknown_key", "loopback"): 1,
        ("anonymous", "Detect", "UNAUTHENTICATED", "no_key", "loopback"): 2,
        ("former", "Detect", "UNAUTHENTICATED", "expired_key", "loopback"): 1,
        ("former", "Detect", "UNAUTHENTICATED", "revoked_key", "loopback"): 2,
        ("forum", "ListHashSets", "PERMISSION_DENIED", "", "loopback"): 1,
        ("forum", "Detect", "PERMISSION_DENIED", "", "loopback"): 1,
        ("forum", "DetectStream", "PERMISSION_DENIED", "", ""): 1,
        ("forum", "Detect", "QUOTA_EXCEEDED", "", "loopback"): 3,
    }
    text = "".join(path.read_text() for path in sorted((tmp_path / "audit").glob("*/*.jsonl")))
    assert [token.text[21:69] for token in (unknown, expired, revoked, good) if token.text[21:69] in text] == []
    assert "canary-b" not in text


async def test_a_method_that_asks_for_no_role_is_never_refused(tmp_path: Path) -> None:
    forum, _ = keyed(account("forum", roles=(Role.DETECT,)))
    write(tmp_path / "keys.json", forum)
    with opened(tmp_path) as log:
        scene = Scene(data_dir=tmp_path)
        scene.watch.failed = Refusing(Recorder(log)).failed
        async with serving(scene), client(scene, None) as asking:
            await asking.wait_ready()
    assert bodies(tmp_path, REFUSED) == []
