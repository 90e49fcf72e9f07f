"""Who may report and who may release, over real connections: a receipt that its holder cannot read, and two persons."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hashmatch.cases.receipt import KEY_FILE, is_sealed, opened
from hashmatch.client import Access, AsyncClient, HashedImage, RetryPolicy
from hashmatch.errors import BadReceipt, CaseConflict, PermissionDenied
from hashmatch.identity import Role
from hashmatch.identity.tokens import Token
from hashmatch.model import MatchReport
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryDecision, DeliveryState
from hashmatch.signatures import load_signing_key
from tests.integration.test_reporting_client import FACTS, stands
from tests.support.catalog import pdq
from tests.support.identity import account, keyed, write
from tests.support.receivers.hooks import Hooks
from tests.support.reporting import configured, known, present, served_at

CALLERS = {
    "desk": (Role.DETECT, Role.REPORT),
    "expert": (Role.DETECT, Role.DETAIL, Role.REPORT),
    "reviewer": (Role.REPORT, Role.RELEASE),
    "releaser": (Role.RELEASE,),
}
KNOWN = HashedImage((pdq(2**255 + 1, 100),))
RELEASE = DeliveryDecision.RELEASE


@dataclass(frozen=True)
class House:
    """A service whose callers have keys, and what it has sent."""

    target: str
    data_dir: Path
    tokens: dict[str, Token]
    hooks: Hooks

    @contextlib.asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[AsyncClient]:
        """Call as somebody."""
        access = Access(api_key=self.tokens[name].text)
        async with AsyncClient(self.target, access=access, retry=RetryPolicy(attempts=1)) as client:
            yield client

    async def detected(self, name: str) -> MatchReport:
        """Return what somebody is answered about a hash that is known."""
        async with self.client(name) as client:
            (report,) = await client.detect_hashes([KNOWN])
        return report


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Serve with an outlet that asks for two persons."""
    data_dir = tmp_path / "data"
    known(data_dir)
    made = {name: keyed(account(name, roles)) for name, roles in CALLERS.items()}
    write(data_dir / "keys.json", *(one for one, _ in made.values()))
    async with (
        Hooks(present) as hooks,
        served_at(data_dir, configured(hooks, monkeypatch, two_person=True)) as target,
    ):
        yield House(target, data_dir, {name: token for name, (_, token) in made.items()}, hooks)


async def test_a_receipt_is_read_by_who_may_and_by_the_service_alone_otherwise(house: House) -> None:
    key = load_signing_key(house.data_dir / KEY_FILE)
    clear, sealed = await house.detected("expert"), await house.detected("desk")
    assert [hit.entry.entry_id for hit in opened(clear.receipt, key.verify_key).hits] == ["a1"]
    assert (is_sealed(clear.receipt), is_sealed(sealed.receipt)) == (False, True)
    assert (sealed.reduced, [hit.entry.entry_id for hit in sealed.hits]) == (True, [""])
    for told in (b"known", b"within_match_distance", pdq(2**255 + 1).value):  # long enough not to be there by chance
        assert told in clear.receipt
        assert told not in sealed.receipt
    with pytest.raises(BadReceipt, match="not a receipt"):
        opened(sealed.receipt, key.verify_key)
    assert sealed.receipt != (await house.detected("desk")).receipt, "equal answers are not to be told by it"
    async with house.client("desk") as desk:
        case = await desk.create_report(sealed.receipt, FACTS, actor="anna")
        assert [(match.list_name, match.entry_id) for match in case.matches] == [("known", "")]
    async with house.client("expert") as expert:
        file = await expert.get_report(case.case_id)
    assert [(match.entry_id, match.distance) for match in file.case.matches] == [("a1", 0)]


async def test_a_sealed_receipt_that_was_changed_opens_no_case(house: House) -> None:
    receipt = (await house.detected("desk")).receipt
    flipped = {at: receipt[:at] + bytes([receipt[at] ^ 1]) + receipt[at + 1 :] for at in (4, 11, 12, 23, 24, 2_000)}
    changed = [*flipped.values(), receipt[:-1], receipt + b"x", receipt[:-1] + bytes([receipt[-1] ^ 1])]
    async with house.client("desk") as desk:
        for one in changed:
            with pytest.raises(BadReceipt, match="it was changed on its way"):
                await desk.create_report(one, FACTS, actor="anna")
        with pytest.raises(BadReceipt, match="not a receipt"):
            await desk.create_report(b"X" + receipt[1:], FACTS, actor="anna")
        assert [case async for case in desk.list_reports()] == []


async def test_a_delivery_is_released_by_another_caller_and_another_person(house: House) -> None:
    receipt = (await house.detected("desk")).receipt
    async with house.client("desk") as desk, house.client("reviewer") as reviewer, house.client("releaser") as releaser:
        case = await desk.create_report(receipt, FACTS, actor="anna")
        held = await desk.send_report(case.case_id, "hook", Environment.TEST, actor="anna", name="stix")
        assert (held.state, held.requested_by) == (DeliveryState.HELD, "desk/anna")
        for actor in ("anna", "ben", "reviewer/ben"):
            with pytest.raises(PermissionDenied) as denied:
                await desk.decide_delivery(held.delivery_id, RELEASE, actor=actor)
            assert denied.value.message == "releasing a delivery needs the role release, which desk does not have"
        with pytest.raises(PermissionDenied, match="DecideDelivery needs the role report, which releaser does not"):
            await releaser.decide_delivery(held.delivery_id, RELEASE, actor="ben")
        for actor in ("anna", " Anna", "desk/anna"):
            with pytest.raises(CaseConflict, match="another person must release it"):
                await reviewer.decide_delivery(held.delivery_id, RELEASE, actor=actor)
        assert house.hooks.taken == {}
        released = await reviewer.decide_delivery(held.delivery_id, RELEASE, actor="ben", reason="looks right")
        assert (released.state, released.released_by) == (DeliveryState.QUEUED, "reviewer/ben")
        await stands(desk, case.case_id, DeliveryState.DELIVERED)
        events = (await reviewer.get_report(case.case_id)).events
    assert len(house.hooks.taken) == 1
    assert [(event.what, event.actor) for event in events if event.what in {"held", "release"}] == [
        ("held", "desk/anna"),
        ("release", "reviewer/ben"),
    ]


async def test_who_cannot_release_may_take_back_what_it_asked_for(house: House) -> None:
    receipt = (await house.detected("desk")).receipt
    async with house.client("desk") as desk, house.client("reviewer") as reviewer:
        case = await desk.create_report(receipt, FACTS, actor="anna")
        held = await desk.send_report(case.case_id, "hook", Environment.TEST, actor="anna", name="stix")
        cancelled = await desk.decide_delivery(held.delivery_id, DeliveryDecision.CANCEL, actor="anna", reason="no")
        assert cancelled.state is DeliveryState.CANCELLED
        with pytest.raises(CaseConflict):
            await reviewer.decide_delivery(held.delivery_id, RELEASE, actor="ben")
    assert house.hooks.taken == {}
