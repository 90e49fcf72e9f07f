"""Both Python clients against a real service: the way of a report, what is refused, and files that pass through."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import datetime as dt
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cases.receipt import KEY_FILE, issued, service_key
from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.client import AsyncClient, Client, HashedImage
from hashmatch.config import Config
from hashmatch.errors import (
    BadInput,
    BadReceipt,
    BadReport,
    CaseConflict,
    CaseNotFound,
    HashmatchError,
    OutletForbidden,
)
from hashmatch.model import Digests, HarmDomain
from hashmatch.model.cases import (
    CaseState,
    Decision,
    Environment,
    Facts,
    Keep,
    Locator,
    ServiceKind,
    Subject,
    Visibility,
)
from hashmatch.model.deliveries import DeliveryDecision, DeliveryState, RelayedFile
from hashmatch.model.figures import Counter
from tests.support import cases
from tests.support.catalog import pdq
from tests.support.receivers.hooks import Hooks
from tests.support.receivers.ispws import served
from tests.support.reporting import configured, digests, known, present, relaying, served_at

OCCURRED = dt.datetime(2026, 11, 27, 10, tzinfo=dt.timezone(dt.timedelta(hours=1)))
FACTS = Facts(
    occurred_at=OCCURRED,
    viewed_by_human=False,
    exif_viewed=False,
    service_kind=ServiceKind.MARKETPLACE,
    locator=Locator(urls=("https://pictures.example.org/p/17",)),
    decision=Decision(visibility=Visibility.REMOVED, also_illegal=False),
    subject=Subject("user-17"),
    keep_subject=Keep.CASE,
)


class Threaded:
    """The synchronous client, each call in a thread, so that one scenario serves both."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*given: Any, **named: Any) -> Any:
            return await asyncio.to_thread(method, *given, **named)

        async def each(**named: Any) -> AsyncIterator[Any]:
            for item in await asyncio.to_thread(lambda: list(method(**named))):
                yield item

        return each if name == "list_reports" else call


@contextlib.asynccontextmanager
async def asynchronous(target: str) -> AsyncIterator[Any]:
    async with AsyncClient(target) as client:
        yield client


@contextlib.asynccontextmanager
async def synchronous(target: str) -> AsyncIterator[Any]:
    with Client(target) as client:
        yield Threaded(client)


both = pytest.mark.parametrize("kind", [asynchronous, synchronous])
relays = pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning")
"""aiohttp's reader of multipart bodies, in the simulator, gives this where a boundary falls across its chunks."""


@contextlib.asynccontextmanager
async def connected(kind: Any, data_dir: Path, config: Config) -> AsyncIterator[Any]:
    async with served_at(data_dir, config) as target, kind(target) as client:
        yield client


def receipt(data_dir: Path, domain: HarmDomain = HarmDomain.CSAM, file: Digests | None = None) -> bytes:
    """Return what a service with that directory would have signed."""
    made = replace(cases.report(cases.hit(domain)), created_at=present())
    return issued(made if file is None else replace(made, digests=file), service_key(data_dir / KEY_FILE))


async def refused(call: Any, error: type[HashmatchError], field: str, message: str) -> None:
    with pytest.raises(error) as caught:
        await call
    assert type(caught.value) is error
    assert caught.value.field == field
    assert message in caught.value.message


async def stands(client: Any, case_id: str, state: DeliveryState) -> None:
    """Return once the only delivery of a case stands there."""
    async with asyncio.timeout(300):
        while (delivery := (await client.get_report(case_id)).deliveries[0]).state is not state:
            assert delivery.state is not DeliveryState.DEAD, delivery.reason
            await asyncio.sleep(0.02)


async def counters(client: Any, begun: dt.date) -> collections.Counter[Counter]:
    """Return the figures since a day; midnight may come at any time."""
    counted = collections.Counter[Counter]()
    for row in await client.statistics(begun, present().date()):
        counted[row.counter] += row.count
    return counted


@both
async def test_the_way_of_a_report(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(tmp_path / "data")
    begun = present().date()
    async with (
        Hooks(present) as hooks,
        connected(kind, tmp_path / "data", configured(hooks, monkeypatch, two_person=True)) as client,
    ):
        (match,) = await client.detect_hashes([HashedImage((pdq(2**255 + 1, 100),))])
        case = await client.create_report(match.receipt, FACTS, actor="anna", idempotency_key="k")
        assert (case.domain, case.occurred_at, case.subject) == (HarmDomain.CSAM, OCCURRED, Subject("user-17"))
        assert (case.service_kind, case.decision) == (ServiceKind.MARKETPLACE, FACTS.decision)
        assert (case.matches[0].distance, case.hashes[0].value) == (0, pdq(2**255 + 1).value)
        assert await client.create_report(match.receipt, FACTS, actor="anna", idempotency_key="k") == case
        held = await client.send_report(case.case_id, "hook", Environment.TEST, actor="anna", name="stix")
        assert (held.state, held.format, held.requested_by) == (DeliveryState.HELD, "stix", "anna")
        release = DeliveryDecision.RELEASE
        message = "anna asked for this delivery; another person must release it"
        await refused(client.decide_delivery(held.delivery_id, release, actor="anna"), CaseConflict, "actor", message)
        released = await client.decide_delivery(held.delivery_id, release, actor="ben", reason="looks right")
        assert released.released_by == "ben"
        await stands(client, case.case_id, DeliveryState.DELIVERED)
        (body,) = hooks.taken.values()
        document = await client.render_report(case.case_id, "stix", subject=Subject(screen_name="somebody"))
        assert (document.format, json.loads(document.body)["type"]) == ("stix", json.loads(body)["type"])
        finding = await client.confirm_match(case.case_id, actor="anna", reason="seen")
        assert (finding.voted, finding.skipped, finding.case.case_id) == (1, (), case.case_id)
        hold = await client.hold_material(case.case_id, "store://17", actor="anna", days=30)
        assert (hold.deadline - hold.created_at, hold.released_at) == (dt.timedelta(days=30), None)
        ended = await client.release_material(case.case_id, hold.hold_id, actor="anna", reason="handed over")
        assert ended.released_at is not None
        for upheld in (False, True):
            told = await client.record_complaint(case.case_id, upheld=upheld, actor="anna", reason="looked at again")
            assert told.case_id == case.case_id
        counted = await counters(client, begun)
        assert (counted[Counter.COMPLAINTS], counted[Counter.COMPLAINTS_UPHELD]) == (2, 1)
        closed = await client.close_report(case.case_id, actor="anna", reason="done")
        assert closed.state is CaseState.CLOSED
        assert (await client.reopen_report(case.case_id, actor="anna")).state is CaseState.OPEN
        file = await client.get_report(case.case_id)
        assert [event.what for event in file.events] == [
            *("opened", "held", "release", "arrive", "confirm", "hold", "hold released"),
            *("complaint", "complaint upheld", "close", "reopen"),
        ]
        assert file.events[2].actor == "ben"
        assert file.holds == (ended,)
        counted = await counters(client, begun)
        assert [counted[one] for one in (Counter.CASES, Counter.REPORTED, Counter.CONFIRMED)] == [1, 1, 1]
    with SqliteCatalog.open(tmp_path / "data" / CATALOG) as catalog:
        (opinion,) = catalog.get_entry("known", "a1").opinions
    assert (opinion.who, opinion.stance.value) == ("example.org", "agree")


@both
async def test_cases_are_listed_page_by_page_and_rejected(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    known(data_dir)
    async with Hooks(present) as hooks, connected(kind, data_dir, configured(hooks, monkeypatch)) as client:
        opened = [
            await client.create_report(receipt(data_dir, domain), FACTS, actor="anna")
            for domain in (HarmDomain.CSAM, HarmDomain.WILDLIFE, HarmDomain.CSAM)
        ]
        assert [case async for case in client.list_reports(page_size=1)] == opened
        csam = [case async for case in client.list_reports(domain=HarmDomain.CSAM, state=CaseState.OPEN)]
        assert csam == [opened[0], opened[2]]
        assert [case async for case in client.list_reports(after=opened[1].case_id)] == [opened[2]]
        finding = await client.reject_match(opened[0].case_id, actor="anna", reason="another picture")
        assert (finding.voted, finding.case.state) == (0, CaseState.REJECTED)
        (skipped,) = finding.skipped
        assert (skipped.position, skipped.field) == (0, "matches")
        assert "test-csam" in skipped.reason
        assert [case.case_id async for case in client.list_reports(state=CaseState.REJECTED)] == [opened[0].case_id]


@both
async def test_several_cases_are_one_document_or_none(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    known(data_dir)
    facts = replace(
        FACTS,
        decision=Decision(
            visibility=Visibility.REMOVED,
            legal_basis="Directive 2011/93/EU, Article 5, as transposed",
            explanation="It matches a list of confirmed material.",
            decided_at=OCCURRED,
        ),
        territorial_scope=("NL",),
    )
    async with Hooks(present) as hooks, connected(kind, data_dir, configured(hooks, monkeypatch)) as client:
        made = [await client.create_report(receipt(data_dir), facts, actor="anna", idempotency_key=key) for key in "ab"]
        wild = await client.create_report(receipt(data_dir, HarmDomain.WILDLIFE), facts, actor="anna")
        first, second = (case.case_id for case in made)
        document = await client.render_report(second, "dsa-sor", further=[first])
        alone = [json.loads((await client.render_report(one, "dsa-sor")).body) for one in (second, first)]
        assert json.loads(document.body)["statements"] == alone
        again = await client.render_report(second, "dsa-sor", further=[first])
        assert again == document
        assert (await client.render_report(first, "dsa-sor", further=[second])).file_name != document.file_name
        await refused(
            client.render_report(first, "cybertip", further=[second, wild.case_id]),
            OutletForbidden,
            "cases[2].domain",
            "cases[2].domain: wildlife is never reported as cybertip",
        )
        await refused(
            client.render_report(first, "stix", further=[second]),
            BadInput,
            "format",
            "format: stix tells one case at a time; cybertip, dsa16, dsa-sor, iccam, letter take several",
        )
        await refused(
            client.render_report(first, "dsa-sor", further=[second, first]),
            BadInput,
            "cases[2]",
            "cases[2]: is cases[0] again",
        )
        await refused(
            client.render_report(first, "dsa-sor", further=[second], subject=Subject("user-17")),
            BadInput,
            "subject",
            "subject: is of one case; render that one alone",
        )
        await refused(client.render_report(first, "dsa-sor", further=["x"]), CaseNotFound, "case_id", "'x'")
        await refused(
            client.render_report(first, "cybertip", further=[second]),
            BadReport,
            "cases[0].viral",
            "cases[1].subject.account_id: is that of cases[0] too",
        )


@both
async def test_what_is_wrong_is_the_error_that_the_service_named(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    known(data_dir)
    async with Hooks(present) as hooks, connected(kind, data_dir, configured(hooks, monkeypatch)) as client:
        good = receipt(data_dir)
        forged = client.create_report(good[:-1] + bytes([good[-1] ^ 1]), FACTS, actor="anna")
        await refused(forged, BadReceipt, "receipt", "the signature does not fit")
        naive = client.create_report(good, replace(FACTS, occurred_at=OCCURRED.replace(tzinfo=None)), actor="anna")
        await refused(naive, BadInput, "facts.occurred_at", "has no zone; give an offset")
        late = client.create_report(good, replace(FACTS, occurred_at=OCCURRED.replace(year=2999)), actor="anna")
        await refused(late, BadReport, "occurred_at", "is in the future (future)")
        await refused(client.get_report("x"), CaseNotFound, "case_id", "there is no case 'x'")
        case = await client.create_report(good, FACTS, actor="anna", idempotency_key="k")
        other = client.create_report(good, replace(FACTS, note="other"), actor="anna", idempotency_key="k")
        await refused(other, CaseConflict, "idempotency_key", "'k' was used for another request")
        wrong_world = client.send_report(case.case_id, "hook", Environment.PRODUCTION, actor="anna", name="stix")
        await refused(wrong_world, BadInput, "environment", "the outlet hook is test, and production was asked for")
        await refused(
            client.relay_file("x", [b"file"], md5=b"short"), BadInput, "md5", "expected 16 bytes on the first message"
        )
        await refused(
            client.relay_file("x", [b"file"], md5=b"m" * 16), CaseNotFound, "delivery_id", "there is no delivery 'x'"
        )
        assert [one.case_id async for one in client.list_reports()] == [case.case_id]
    assert hooks.requests == []


FILE = b"\xff\xd8\xff\xe0 made up, no picture " * 40_000
MD5 = hashlib.md5(FILE, usedforsecurity=False).digest()


async def waiting(client: Any, data_dir: Path) -> tuple[str, str]:
    """Open a case of the file, and return its id and that of a delivery that waits for the file."""
    case = await client.create_report(receipt(data_dir, file=digests(FILE)), FACTS, actor="anna")
    sent = await client.send_report(case.case_id, "ncmec", Environment.TEST, actor="anna", with_file=True)
    await stands(client, case.case_id, DeliveryState.WAITING)
    return case.case_id, sent.delivery_id


async def relayed_after_another(client: Any, case_id: str, delivery_id: str) -> RelayedFile:
    """Relay the file as soon as the call before, which broke off, has been dealt with: it may still have the delivery.

    That the delivery waits does not tell: the call before may be about to take it.
    """
    async with asyncio.timeout(300):
        while True:
            await stands(client, case_id, DeliveryState.WAITING)
            with contextlib.suppress(CaseConflict):
                relayed: RelayedFile = await client.relay_file(delivery_id, [FILE[:10], b"", FILE[10:]], md5=MD5)
                return relayed


@both
@relays
async def test_a_file_passes_through(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = tmp_path / "data"
    known(data_dir)
    async with served() as ispws, connected(kind, data_dir, relaying(ispws, monkeypatch)) as client:
        case_id, delivery_id = await waiting(client, data_dir)
        changed = await client.relay_file(delivery_id, [FILE[:-1], b"!"], md5=MD5)
        assert (changed.file_id, changed.delivery.state) == ("", DeliveryState.WAITING)
        assert changed.delivery.reason

        def broken() -> Iterator[bytes]:
            yield FILE[:100]
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await client.relay_file(delivery_id, broken(), md5=MD5)
        relayed = await relayed_after_another(client, case_id, delivery_id)
        assert (len(relayed.file_id), relayed.size_bytes) == (32, len(FILE))
        await stands(client, case_id, DeliveryState.DELIVERED)
        (finished,) = ispws.finished()
        assert b"<fileViewedByEsp>false</fileViewedByEsp>" in next(iter(finished.files.values())).details


async def run(*arguments: str, code: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a command; return the one line of its JSON, and that of its error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hashmatch", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode == code, said
    return json.loads(out or b"{}"), json.loads(said or b"{}")


@relays
async def test_the_command_relays_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir, upload = tmp_path / "data", tmp_path / "upload.jpg"
    known(data_dir)
    upload.write_bytes(FILE)
    relay = ("report", "relay")
    async with (
        served() as ispws,
        served_at(data_dir, relaying(ispws, monkeypatch)) as target,
        AsyncClient(target) as client,
    ):
        case_id, delivery_id = await waiting(client, data_dir)
        _, said = await run(*relay, delivery_id, "/dev/null", "--server", target, code=2)
        assert said["message"] == "file: /dev/null is read twice, and must be a regular file"
        _, said = await run(*relay, "x", str(upload), "--server", target, code=2)
        assert said["message"] == "delivery_id: there is no delivery 'x'"
        ispws.plan("upload", "hash")
        line, _ = await run(*relay, delivery_id, str(upload), "--server", target, code=3)
        assert (line["state"], line["file_id"]) == ("waiting", "")
        assert line["reason"]
        line, _ = await run(*relay, delivery_id, str(upload), "--server", target, code=0)
        assert (line["delivery_id"], len(line["file_id"]), line["size_bytes"]) == (delivery_id, 32, len(FILE))
        await stands(client, case_id, DeliveryState.DELIVERED)
    _, said = await run(*relay, delivery_id, str(upload), "--server", target, code=4)
    assert "no hashmatch service answers at" in said["message"]
