"""Several cases in one delivery, and letters to the police, over the wire by both clients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import BadInput, CaseNotFound, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Environment, Locator
from hashmatch.model.deliveries import DeliveryDecision, DeliveryState
from tests.integration.test_reporting_client import both, connected, receipt, refused, stands
from tests.support import cases
from tests.support.receivers.hooks import Hooks
from tests.support.reporting import configured, known, present


@both
async def test_a_group_is_held_released_and_arrives_once(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(tmp_path / "data")
    async with Hooks(present) as hooks:
        config = configured(hooks, monkeypatch)
        config = replace(config, reporter=replace(config.reporter, hotline=True))
        async with connected(kind, tmp_path / "data", config) as client:
            facts = cases.facts(
                occurred_at=present(), locator=Locator(("https://img.example.org/1",), cdn="Example Delivery")
            )
            signed = receipt(tmp_path / "data")
            one, two, three = [
                (await client.create_report(signed, facts, actor="anna", idempotency_key=key)).case_id for key in "abc"
            ]
            told = {"actor": "anna", "name": "letter", "further": [two, three], "held": True}
            held = await client.send_report(one, "hook", Environment.TEST, **told)
            assert (held.state, held.case_ids) == (DeliveryState.HELD, (one, two, three))
            assert await client.send_report(one, "hook", Environment.TEST, **told) == held
            await client.decide_delivery(held.delivery_id, DeliveryDecision.RELEASE, actor="ben")
            await stands(client, three, DeliveryState.DELIVERED)
            assert (len(hooks.requests), len(hooks.taken)) == (1, 1)
            letter = await client.render_report(one, "letter", further=[two, three])
            assert b"(3 items)" in dict(letter.parts)["subject"]
            assert b"whoever hosts the origin" in letter.body
            lost = client.send_report(one, "hook", Environment.TEST, actor="anna", name="letter", further=["x"])
            await refused(lost, CaseNotFound, "case_id", "there is no case 'x'")
            police = await client.render_report(one, "letter", audience="police")
            assert b"would hinder an investigation" in police.body
            wild = await client.create_report(receipt(tmp_path / "data", HarmDomain.WILDLIFE), facts, actor="anna")
            sending = client.send_report(
                wild.case_id, "hook", Environment.TEST, actor="anna", name="letter", audience="police"
            )
            await refused(sending, OutletForbidden, "audience", "wildlife is not told to the police in a letter")
            press = client.render_report(one, "letter", audience="press")
            await refused(press, BadInput, "audience", "letter is not written for 'press'")
