"""Who may what, over real connections: every role and every method, keys that end, quotas, sets, and what is shown."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.client import Access, AsyncClient, HashedImage, RetryPolicy
from hashmatch.client.access import NOBODY
from hashmatch.config import AccessConfig, Config, QuotaConfig
from hashmatch.errors import (
    BadInput,
    CaseNotFound,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    SetNotFound,
    Unauthenticated,
)
from hashmatch.identity import METHODS, Role, tokens
from hashmatch.identity.tokens import Token
from hashmatch.model import Entry, EntryHash, HarmDomain, Opinion, Stance, Verdict
from hashmatch.service.casework import Casework
from hashmatch.service.desk import Desk
from hashmatch.signatures import SigningKey
from tests.support.identity import account, keyed, write
from tests.support.ports import PDQ_ZERO, FakeIndex, entry_ref
from tests.support.service import Scene, collect, loopback, serving, until

ONCE = RetryPolicy(attempts=1)
KNOWN = HashedImage((EntryHash("pdq", PDQ_ZERO, quality=100),))


def present() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def client(scene: Scene, token: Token | None) -> AsyncClient:
    return AsyncClient(
        scene.target, access=NOBODY if token is None else Access(api_key=token.text), retry=ONCE, timeout_s=300
    )


@contextlib.asynccontextmanager
async def known(tmp_path: Path, *roles: Role, **given: Any) -> AsyncIterator[tuple[Scene, Token]]:
    """Serve with one caller who has these roles."""
    server = given.pop("server", loopback())
    index = FakeIndex(
        [("pdq", PDQ_ZERO, entry_ref("e1", set_name="a")), ("pdq", PDQ_ZERO, entry_ref("e2", set_name="b"))],
        names=frozenset("ab"),
    )
    one, token = keyed(account(roles=roles, **given))
    write(tmp_path / "keys.json", one)
    async with serving(Scene(server, index=index, data_dir=tmp_path)) as scene:
        yield scene, token


# --- roles -----------------------------------------------------------------------------------------------------------


def outcomes(target: str, methods: list[str], token: Token | None) -> dict[str, grpc.StatusCode]:
    """Call methods with one empty message each, whatever they take, and return how that ended.

    By gRPC's synchronous client: the asynchronous one says INTERNAL where a call is refused while it still writes.
    """
    metadata = () if token is None else (("authorization", f"Bearer {token.text}"),)
    ended = {}
    with grpc.insecure_channel(target) as channel:
        for method in methods:
            calling: Any = channel.stream_stream(method)
            call = calling(iter([b""]), metadata=metadata, timeout=300)
            with contextlib.suppress(grpc.RpcError):
                for _ in call:
                    pass
            ended[method] = call.code()
    return ended


@contextlib.contextmanager
def desk(tmp_path: Path) -> Any:
    """Open a desk over an empty catalog."""
    config = Config()
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        yield Desk(Casework(catalog, config, SigningKey.generate()), config)


ENDLESS = "/grpc.health.v1.Health/Watch"
REFUSED = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize("role", sorted(Role))
async def test_every_role_opens_its_methods_and_no_other(tmp_path: Path, role: Role) -> None:
    one, token = keyed(account(roles=(role,)))
    write(tmp_path / "keys.json", one)
    with desk(tmp_path) as at_work:
        scene = Scene(loopback(reflection=True), data_dir=tmp_path, desk=at_work)
        async with serving(scene):
            methods = sorted(METHODS.keys() - {ENDLESS})
            ended = await asyncio.to_thread(outcomes, scene.target, methods, token)
            unknown = await asyncio.to_thread(outcomes, scene.target, methods, None)
    opened = {method for method, code in ended.items() if code not in REFUSED}
    assert opened == {method for method, needed in METHODS.items() if needed <= {role} and method != ENDLESS}
    assert grpc.StatusCode.UNIMPLEMENTED not in ended.values()
    assert {method for method, code in unknown.items() if code is not grpc.StatusCode.UNAUTHENTICATED} == {
        method for method, needed in METHODS.items() if not needed and method != ENDLESS
    }


async def test_a_method_that_needs_two_roles_is_opened_by_both(tmp_path: Path) -> None:
    method = "/hashmatch.v1.ReportService/RenderReport"
    one, token = keyed(account(roles=(Role.REPORT, Role.DETAIL)))
    write(tmp_path / "keys.json", one)
    with desk(tmp_path) as at_work:
        async with serving(Scene(data_dir=tmp_path, desk=at_work)) as scene:
            ended = await asyncio.to_thread(outcomes, scene.target, [method], token)
    assert ended == {method: grpc.StatusCode.NOT_FOUND}


async def test_health_is_open_and_watched_without_a_key(tmp_path: Path) -> None:
    async with known(tmp_path, Role.DETECT) as (scene, _), grpc.aio.insecure_channel(scene.target) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        watching.cancel()


async def test_who_lacks_a_role_is_told_which(tmp_path: Path) -> None:
    async with known(tmp_path, Role.DETECT) as (scene, token), client(scene, token) as asking:
        with pytest.raises(PermissionDenied) as raised:
            await asking.hash_sets()
    assert raised.value.message == "ListHashSets needs the role hashset-read, which uploads does not have"


async def test_without_a_keys_file_everybody_is_local(tmp_path: Path) -> None:
    async with serving(Scene(data_dir=tmp_path)) as scene, client(scene, tokens.made()) as asking:
        assert (await asking.status()).version


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_without_a_valid_key_nothing_is_answered(tmp_path: Path) -> None:
    one, expired = keyed(account(), expires_at=present())
    one, gone = keyed(one)
    one = one.without_key(gone.key_id, present())
    write(tmp_path / "keys.json", one)
    forged = Token(gone.key_id, f"hmk_{gone.key_id}_{tokens.made().text[21:]}")
    said = {}
    async with serving(Scene(data_dir=tmp_path)) as scene:
        for name, token in (("none", None), ("forged", forged), ("expired", expired), ("revoked", gone)):
            async with client(scene, token) as asking:
                with pytest.raises(Unauthenticated) as raised:
                    await asking.detect(b"image")
            said[name] = raised.value.message
    assert said["none"] == "authorization: no key was sent; see docs/guide/access.md"
    assert said["forged"] == "authorization: this key is not known here"
    assert said["expired"].startswith(f"authorization: the key {expired.key_id} is expired since ")
    assert said["revoked"].startswith(f"authorization: the key {gone.key_id} is revoked since ")


async def test_a_refusal_comes_before_the_body_is_read(tmp_path: Path) -> None:
    """The caller has sent its headers and not one byte of a message."""
    held = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        await held.wait()
        yield b""

    async with known(tmp_path, Role.DETECT) as (scene, _), grpc.aio.insecure_channel(scene.target) as channel:
        detect: Any = channel.stream_unary("/hashmatch.v1.DetectionService/Detect")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await detect(silent(), timeout=300)
        held.set()
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_there_is_no_room_for_is_refused_before_it_is_read_and_costs_no_quota(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        await held.wait()
        yield b""

    async with (
        known(tmp_path, Role.DETECT, quota={"calls_per_day": 2, "calls_burst": 2}) as (scene, token),
        grpc.aio.insecure_channel(scene.target) as channel,
    ):
        scene.full = True
        mine = (("authorization", f"Bearer {token.text}"),)
        for method in ("Detect", "DetectHashes"):
            calling: Any = channel.stream_unary(f"/hashmatch.v1.DetectionService/{method}")
            with pytest.raises(grpc.aio.AioRpcError, match="there is no room") as raised:
                await calling(silent(), metadata=mine, timeout=300)
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.aio.AioRpcError, match="no key was sent"):  # strangers learn nothing of the load
                await calling(silent(), timeout=300)
        async with client(scene, token) as asking:
            with pytest.raises(Overloaded) as hinted:
                await asking.detect(b"image")
            assert hinted.value.retry_after_s == 0.25
            scene.full = False
            assert (await asking.detect(b"image")).verdict is Verdict.MATCH
            await asking.detect_hashes([KNOWN])
        held.set()


async def test_keys_come_and_go_while_connections_stay_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hashmatch.service")
    server = loopback(access=AccessConfig(poll_ms=10))
    async with known(tmp_path, Role.DETECT, server=server) as (scene, token), client(scene, token) as asking:
        await asking.detect(b"image")
        one, other = keyed(account())
        write(tmp_path / "keys.json", one)
        await until(lambda: "the keys file was read again: 1 callers" in caplog.text)
        with pytest.raises(Unauthenticated, match="this key is not known here"):
            await asking.detect(b"image")
        async with client(scene, other) as after:
            await after.detect(b"image")
            (tmp_path / "keys.json").write_text("nonsense")
            await until(lambda: "cannot be used, and who was known before still is" in caplog.text)
            await after.detect(b"image")
            (tmp_path / "keys.json").unlink()
            await until(lambda: "the keys file is gone" in caplog.text)
            await after.detect(b"image")
            with pytest.raises(Unauthenticated):
                await asking.detect(b"image")


# --- quotas ----------------------------------------------------------------------------------------------------------


async def test_calls_beyond_the_quota_are_refused_with_a_hint(tmp_path: Path) -> None:
    quota = {"calls_per_s": 1, "calls_burst": 3, "calls_per_day": 3}
    async with known(tmp_path, Role.DETECT, quota=quota) as (scene, token), client(scene, token) as asking:
        for _ in range(3):
            await asking.detect(b"image")
        with pytest.raises(QuotaExceeded, match=r"\(calls_per_day\); try again in") as raised:
            await asking.detect(b"image")
        await asking.wait_ready()
    assert 0 < raised.value.retry_after_s <= 86_400
    cause: Any = raised.value.__cause__
    status = rpc_status.from_call(cause)
    assert cause.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    assert [detail.Unpack(info) or detail.Unpack(retry) for detail in status.details] == [True, True]
    assert (info.reason, retry.retry_delay.seconds > 0) == ("QUOTA_EXCEEDED", True)


async def test_bytes_are_counted_and_a_message_that_never_fits_is_said_so(tmp_path: Path) -> None:
    server = loopback(quota=QuotaConfig(bytes_per_day=5_000))
    async with known(tmp_path, Role.DETECT, server=server) as (scene, token), client(scene, token) as asking:
        await asking.detect(bytes(4_000))
        with pytest.raises(QuotaExceeded, match=r"\(bytes_per_day\)"):
            await asking.detect(bytes(4_000))
        with pytest.raises(BadInput, match=r"more than this caller's quota \(bytes_per_day\) ever allows at once"):
            await asking.detect(bytes(6_000))
        await asking.detect(bytes(500))


async def test_a_stream_is_slowed_down_and_not_refused(tmp_path: Path) -> None:
    quota = {"calls_per_s": 50, "calls_burst": 1}
    async with known(tmp_path, Role.DETECT, quota=quota) as (scene, token), client(scene, token) as asking:
        answers = await collect(asking.detect_stream((str(number), b"image") for number in range(12)))
    assert sorted(int(answer.item_id) for answer in answers) == list(range(12))
    assert [answer.error for answer in answers] == [None] * 12


async def test_callers_do_not_use_up_each_others_quota(tmp_path: Path) -> None:
    one, first = keyed(account("a1", quota={"calls_per_day": 1}))
    two, second = keyed(account("b1", quota={"calls_per_day": 1}))
    write(tmp_path / "keys.json", one, two)
    async with serving(Scene(data_dir=tmp_path)) as scene, client(scene, first) as a, client(scene, second) as b:
        await a.detect(b"image")
        await b.detect(b"image")
        for asking in (a, b):
            with pytest.raises(QuotaExceeded):
                await asking.detect(b"image")


# --- what is shown, and of which sets --------------------------------------------------------------------------------


async def test_a_caller_without_detail_gets_a_verdict_and_no_more(tmp_path: Path) -> None:
    async with known(tmp_path, Role.DETECT) as (scene, token), client(scene, token) as asking:
        (hashed,) = await asking.detect_hashes([KNOWN])
        (streamed,) = await collect(asking.detect_stream([("1", b"image")]))
        answers = await collect(asking.rescan([[KNOWN]], since="0"))
        reports = [await asking.detect(b"image"), hashed, streamed.report, *answers[-1].reports]
    assert len(reports) == 4
    for report in reports:
        assert report is not None
        assert (report.verdict, report.reduced, report.rule, report.hashes) == (Verdict.MATCH, True, "", ())
        assert [hit.entry.set_name for hit in report.hits] == ["a", "b"]
        assert {(hit.entry.entry_id, hit.distance, hit.algorithm, hit.chance) for hit in report.hits} == {
            ("", 0, "", None)
        }


async def test_a_caller_with_detail_gets_everything(tmp_path: Path) -> None:
    async with known(tmp_path, Role.DETECT, Role.DETAIL) as (scene, token), client(scene, token) as asking:
        report = await asking.detect(b"image")
    assert (report.reduced, report.rule) == (False, "within_match_distance")
    assert [hit.entry.entry_id for hit in report.hits] == ["e1", "e2"]


async def test_a_caller_sees_hits_of_its_own_sets_only(tmp_path: Path) -> None:
    sets = frozenset({"a", "not-there-yet"})
    async with known(tmp_path, Role.DETECT, Role.DETAIL, sets=sets) as (scene, token), client(scene, token) as asking:
        (hashed,) = await asking.detect_hashes([KNOWN])
        reports = [await asking.detect(b"image"), await asking.detect(b"image", sets=["a"]), hashed]
        for name in ("b", "nowhere"):
            with pytest.raises(PermissionDenied) as raised:
                await asking.detect(b"image", sets=[name])
            assert raised.value.message == f"sets: {name!r} is not among the sets that uploads may use"
        with pytest.raises(SetNotFound):
            await asking.detect(b"image", sets=["not-there-yet"])
    assert [[hit.entry.set_name for hit in report.hits] for report in reports] == [["a"]] * 3


async def test_a_caller_none_of_whose_sets_is_there_finds_nothing_rather_than_everything(tmp_path: Path) -> None:
    async with known(tmp_path, Role.DETECT, sets=frozenset({"c"})) as (scene, token), client(scene, token) as asking:
        report = await asking.detect(b"image")
    assert (report.verdict, report.hits) == (Verdict.NO_MATCH, ())


async def test_a_caller_reads_and_changes_its_own_sets_only(tmp_path: Path) -> None:
    roles = (Role.HASHSET_READ, Role.HASHSET_WRITE)
    async with known(tmp_path, *roles, sets=frozenset({"a"})) as (scene, token), client(scene, token) as asking:
        scene.catalog.create_set("b", HarmDomain.OTHER)
        await asking.create_hash_set("a", HarmDomain.OTHER)
        assert [item.name for item in await asking.hash_sets()] == ["a"]
        opinion = Opinion("x.example", Stance.AGREE, "seen")
        calls: list[Callable[[], Any]] = [
            lambda: asking.create_hash_set("c", HarmDomain.OTHER),
            lambda: asking.hash_set("b"),
            lambda: collect(asking.export_entries("b")),
            lambda: asking.import_entries("b", []),
            lambda: asking.withdraw_entry("b", "e", reason="why", actor="anna"),
            lambda: asking.dispute_entry("b", "e", reason="why", actor="anna"),
            lambda: asking.reinstate_entry("b", "e", reason="why", actor="anna"),
            lambda: asking.vote_entry("b", "e", opinion, actor="anna"),
            lambda: asking.entry("b", "e"),
            lambda: asking.history("b"),
        ]
        for call in calls:
            with pytest.raises(PermissionDenied, match="is not among the sets that uploads may use"):
                await call()


async def test_who_decided_is_written_under_the_callers_name(tmp_path: Path) -> None:
    roles = (Role.HASHSET_READ, Role.HASHSET_WRITE)
    async with known(tmp_path, *roles) as (scene, token), client(scene, token) as asking:
        await asking.create_hash_set("a", HarmDomain.OTHER)
        await asking.import_entries("a", [Entry("e", (EntryHash("sha256", bytes(32)),))])
        await asking.dispute_entry("a", "e", reason="why", actor="other/ben")
        await asking.withdraw_entry("a", "e", reason="why", actor="sync:ncmec")
        assert [event.actor for event in await asking.history("a", "e")] == ["uploads/other/ben", "uploads/sync:ncmec"]


async def test_no_log_holds_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "asyncio")
    one, good = keyed(account(roles=(Role.DETECT,), quota={"calls_per_day": 2}))
    one, expired = keyed(one, expires_at=present())
    write(tmp_path / "keys.json", one)
    unknown = tokens.made()
    broken = dataclasses.replace(unknown, text=unknown.text + "x")
    async with serving(Scene(data_dir=tmp_path)) as scene:
        scene.hasher.error = ValueError("a defect")
        for token, _ in itertools.product((good, expired, unknown, broken), range(3)):
            async with client(scene, token) as asking:
                for call in (asking.detect(b"image"), asking.hash_sets()):
                    with contextlib.suppress(Exception):
                        await call
        shown = repr(scene.endpoint) + repr(Access(api_key=good.text))
    text = "\n".join(record.getMessage() + repr(record.args) + str(record.exc_text) for record in caplog.records)
    secrets = [token.text[21:69] for token in (good, expired, unknown)]
    assert [secret for secret in secrets if secret in text + shown] == []
    assert "UNAUTHENTICATED UNAUTHENTICATED" in text
    assert "PERMISSION_DENIED PERMISSION_DENIED" in text
    assert "RESOURCE_EXHAUSTED QUOTA_EXCEEDED" in text
    assert "ValueError at" in text


async def test_a_case_of_other_sets_is_not_found(tmp_path: Path) -> None:
    """Without a receipt there is no case to be had; that ids of others tell nothing is for test_purview."""
    one, token = keyed(account(roles=(Role.REPORT,), sets=frozenset({"a"})))
    write(tmp_path / "keys.json", one)
    with desk(tmp_path) as at_work:
        async with serving(Scene(data_dir=tmp_path, desk=at_work)) as scene, client(scene, token) as asking:
            with pytest.raises(CaseNotFound):
                await asking.get_report("c001")
            assert await collect(asking.list_reports()) == []
