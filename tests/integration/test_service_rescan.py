"""Rescans over gRPC: one answer for each batch, in order, and nothing read ahead without bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from hashmatch.cli.main import main
from hashmatch.client.aio import AsyncClient
from hashmatch.client.results import HashedImage
from hashmatch.client.sync import Client
from hashmatch.errors import BadInput, SetNotFound
from hashmatch.model import EntryHash, Verdict
from hashmatch.v1 import detection_pb2, detection_pb2_grpc
from tests.support.ports import PDQ_ZERO, FakeIndex, entry_ref, flipped
from tests.support.service import Scene, collect, loopback, serving

FAR = flipped(PDQ_ZERO, 128)
NEW = EntryHash("pdq", FAR, 100)
OLD = EntryHash("pdq", PDQ_ZERO, 100)


def scene(**settings: int) -> Scene:
    """Return an index with one old and one new entry: the fake's generations are counts of rows."""
    rows = [("pdq", PDQ_ZERO, entry_ref("old")), ("pdq", FAR, entry_ref("new"))]
    return Scene(loopback(**settings), index=FakeIndex(rows))


async def test_batches_are_answered_in_order_after_the_generation() -> None:
    batches = [[HashedImage((OLD,), "x")], [HashedImage((NEW,), "y"), HashedImage((OLD,), "z")], []]
    async with serving(scene()) as here, AsyncClient(here.target) as client:
        answers = await collect(client.rescan(batches, since="1"))
    assert [(answer.checked, [report.request_id for report in answer.reports]) for answer in answers] == [
        (0, []),
        (1, []),
        (2, ["y"]),
        (0, []),
    ]
    assert {(answer.generation, answer.everything) for answer in answers} == {("7.1", False)}
    (report,) = answers[2].reports
    assert (report.verdict, report.hits[0].entry.entry_id) == (Verdict.MATCH, "new")
    assert here.published == 1, "what the catalog has committed is looked at"


async def test_the_synchronous_client_asks_the_same() -> None:
    async with serving(scene()) as here:

        def ask() -> list[int]:
            with Client(here.target) as client:
                return [len(answer.reports) for answer in client.rescan([[HashedImage((NEW,))]], since="1")]

        assert await asyncio.to_thread(ask) == [0, 1]


async def test_nothing_known_of_the_generation_is_everything() -> None:
    async with serving(scene()) as here, AsyncClient(here.target) as client:
        answers = await collect(client.rescan([[HashedImage((OLD,), "x")]], since="99"))
    assert [(answer.everything, len(answer.reports)) for answer in answers] == [(True, 0), (True, 1)]


async def test_an_item_that_is_not_valid_does_not_end_the_stream() -> None:
    batches = [[HashedImage((EntryHash("pdq", b"short"),)), HashedImage((NEW,))], [HashedImage((NEW,))]]
    async with serving(scene()) as here, AsyncClient(here.target) as client:
        answers = await collect(client.rescan(batches, since="1"))
    assert [len(answer.reports) for answer in answers] == [0, 1, 1]
    assert [(item.position, item.field) for item in answers[1].rejected] == [(0, "item.hashes[0].value")]


async def test_a_batch_over_the_limit_and_an_unknown_set_end_it() -> None:
    async with serving(scene(max_batch=2)) as here, AsyncClient(here.target) as client:
        with pytest.raises(BadInput, match="items: 3 items with 0 hashes are more than one call may carry"):
            await collect(client.rescan([[HashedImage(())] * 3], since="0"))
        with pytest.raises(SetNotFound):
            await collect(client.rescan([], since="0", sets=["nonesuch"]))


async def test_only_the_first_message_says_since_when() -> None:
    async with serving(scene()) as here, grpc.aio.insecure_channel(here.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        for requests in (
            [detection_pb2.RescanRequest()],
            [detection_pb2.RescanRequest(since="0"), detection_pb2.RescanRequest(since="0")],
            [detection_pb2.RescanRequest(since="0"), detection_pb2.RescanRequest(sets=["hotline"])],
            [],
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await collect(stub.Rescan(iter(requests)))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "since: " in (caught.value.details() or "")


async def test_a_sender_is_held_back_while_its_answers_are_not_read() -> None:
    """The window is gRPC's: some messages fit into its buffers, an endless stream does not."""
    sent = 0
    padding = [HashedImage((EntryHash("pdq", flipped(PDQ_ZERO, 64), 100),), "p" * 100) for _ in range(2_000)]

    async def endless() -> AsyncIterator[list[HashedImage]]:
        nonlocal sent
        while True:
            sent += 1
            yield padding

    async with serving(scene()) as here, AsyncClient(here.target) as client:
        rescanning = client.rescan(endless(), since="2")
        async for answer in rescanning:
            assert answer.checked in {0, len(padding)}
            if sent >= 5:
                break
        seen = sent
        await rescanning.aclose()
        assert seen < 50


async def test_what_the_callers_iterable_raises_comes_out() -> None:
    def broken() -> Iterator[list[HashedImage]]:
        yield [HashedImage((OLD,))]
        raise RuntimeError("no more")

    async with serving(scene()) as here, AsyncClient(here.target) as client:
        with pytest.raises(RuntimeError, match="no more"):
            await collect(client.rescan(broken(), since="0"))


async def test_the_command_line_asks_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [("known.jpg", PDQ_ZERO), ("met.jpg", FAR)]
    kept = [json.dumps({"path": path, "algorithm": "pdq", "value": value.hex()}) for path, value in values]
    (tmp_path / "kept.jsonl").write_text("\n".join(kept))
    async with serving(scene()) as here:
        arguments = ["rescan", str(tmp_path / "kept.jsonl"), "--since", "1", "--server", here.target, "--json"]
        for batch in ("1", "100"):
            assert await asyncio.to_thread(main, [*arguments, "--batch", batch]) == 1
            met, summary = map(json.loads, capsys.readouterr().out.splitlines())
            assert (met["path"], met["verdict"], met["hits"][0]["entry_id"]) == ("met.jpg", "match", "new")
            assert summary == {"generation": "7.1", "everything": False, "checked": 2, "met": 1, "rejected": 0}
