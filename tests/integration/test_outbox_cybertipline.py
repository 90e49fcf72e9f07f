"""The CyberTipline as an outlet, against a service that does what NCMEC's does and fails where a test wants it to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from hashmatch.errors import BadConfig
from hashmatch.outbox.cybertip_steps import ABANDONED, FILE_ID, FINISH_SENT, REPORT_ID
from hashmatch.outbox.cybertipline import CyberTipline
from hashmatch.outbox.parcels import Again, AwaitingFile, Delivered, Parcel, Refused, Relayed, Unsure
from hashmatch.projections import cybertip
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support import tips
from tests.support.receivers.desk import DAY, FIRST, MD5, SECOND, Desk, check_told_once, chunks
from tests.support.receivers.ispws import SECRETS, Ispws, served


@pytest.fixture
async def service() -> AsyncIterator[Ispws]:
    async with served() as running:
        yield running


# --- all goes well -----------------------------------------------------------------------------------------------


async def test_a_report_without_a_file_is_opened_and_finished(service: Ispws) -> None:
    desk = Desk(service, with_file=False)
    assert await desk.deliver() == Delivered(FIRST, f"report {FIRST} at NCMEC: finished, 0 files")
    assert service.calls == ["submit", "finish"]
    assert service.reports[FIRST].xml == desk.document.body


async def test_a_file_is_relayed_described_and_the_report_finished(service: Ispws) -> None:
    desk = Desk(service)
    assert await desk.deliver() == AwaitingFile(86_400.0)
    relayed = await desk.relay()
    assert relayed == Relayed(desk.progress[FILE_ID], MD5, len(tips.FILE))
    assert await desk.deliver() == Delivered(FIRST, f"report {FIRST} at NCMEC: finished, 1 files")
    assert service.calls == ["submit", "upload", "fileinfo", "finish"]
    check_told_once(service)


async def test_numbers_of_requests_are_kept_for_ncmecs_support(service: Ispws) -> None:
    desk = Desk(service)
    service.plan("finish", "1000-before")
    await desk.to_the_end()
    kept = {key: text for key, text in desk.progress.items() if key.startswith("request_id.")}
    assert kept == {"request_id.submit": "req-1", "request_id.upload": "req-2", "request_id.fileinfo": "req-3"}


async def test_a_batch_is_taken_with_its_one_file(service: Ispws) -> None:
    document = cybertip.render_batch([tips.member(n) for n in (1, 2, 3)], tips.CONTEXT)
    assert isinstance(await Desk(service, document=document).to_the_end(), Delivered)
    check_told_once(service)


async def test_progress_holds_neither_secrets_nor_what_the_case_says(service: Ispws) -> None:
    desk = Desk(service)
    await desk.to_the_end()
    text = " ".join([*desk.progress, *desk.progress.values()])
    assert not re.search(r"secret word|provider|user-42|example|192\.0\.2", text)


# --- a process that is killed ------------------------------------------------------------------------------------

SAVES = 6
"""In a whole delivery with a file: opened, upload begun and done, details begun and done, finish sent."""


async def test_a_delivery_saves_so_often(service: Ispws) -> None:
    desk = Desk(service)
    assert isinstance(await desk.to_the_end(), Delivered)
    assert desk.saves == SAVES


@pytest.mark.parametrize("number", range(1, SAVES))
@pytest.mark.parametrize("written", [False, True], ids=["before-the-save", "after-the-save"])
async def test_a_process_killed_at_any_step_before_the_finish_loses_and_doubles_nothing(
    service: Ispws,
    number: int,
    written: bool,  # noqa: FBT001
) -> None:
    desk = Desk(service, killed_at=number, written=written)
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)


async def test_a_process_killed_before_the_finish_was_noted_goes_on(service: Ispws) -> None:
    desk = Desk(service, killed_at=SAVES, written=False)
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)


async def test_a_process_killed_after_the_finish_was_noted_asks_a_person(service: Ispws) -> None:
    desk = Desk(service, killed_at=SAVES)
    outcome = await desk.to_the_end()
    assert isinstance(outcome, Unsure)
    assert outcome.reason == (
        f"report {FIRST} was sent to be finished, and whether it is nobody knows: the process ended before there was "
        "an answer. Ask NCMEC's support, then confirm, or retry: the finish is sent once more, which does no harm "
        "where it had arrived"
    )
    assert "finish" not in service.calls
    assert isinstance(await desk.deliver(), Unsure)
    desk.attempt = 0  # what a person's retry does
    assert isinstance(await desk.deliver(), Delivered)
    check_told_once(service)


# --- connections that break --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["submit", "upload", "fileinfo"])
@pytest.mark.parametrize(
    "fault", ["drop-before", "drop-after", "502-before", "502-after", "garbage-after", "huge-after", "1000-before"]
)
async def test_what_breaks_before_the_finish_is_made_good_and_told_once(service: Ispws, call: str, fault: str) -> None:
    service.plan(call, fault, fault)
    assert isinstance(await Desk(service).to_the_end(), Delivered)
    check_told_once(service)


@pytest.mark.parametrize(
    "fault", ["drop-after", "502-after", "garbage-after", "huge-after", "1100-after", "slow-after"]
)
async def test_a_finish_without_a_clear_answer_is_not_repeated(service: Ispws, fault: str) -> None:
    desk = Desk(service)
    service.plan("finish", fault)
    assert isinstance(await desk.to_the_end(), Unsure)
    service.held.set()
    assert isinstance(await desk.deliver(), Unsure)
    assert service.calls.count("finish") == 1
    desk.attempt = 0  # what a person's retry does
    assert await desk.deliver() == Delivered(FIRST, f"report {FIRST} at NCMEC: it was finished already")
    check_told_once(service)


async def test_a_finish_that_was_lost_is_sent_again_by_a_person_only(service: Ispws) -> None:
    desk = Desk(service)
    service.plan("finish", "drop-before")
    assert isinstance(await desk.to_the_end(), Unsure)
    assert service.finished() == []
    desk.attempt = 0
    assert isinstance(await desk.deliver(), Delivered)
    check_told_once(service)


async def test_a_persons_retry_of_a_report_that_is_gone_tells_it_anew(service: Ispws) -> None:
    desk = Desk(service)
    service.plan("finish", "drop-before")
    assert isinstance(await desk.to_the_end(), Unsure)
    service.now += 2 * DAY
    desk.attempt = 0
    again = await desk.deliver()
    assert again == Again(
        "NCMEC answers /finish with 5001, the report does not exist: Report does not exist; a new one is opened"
    )
    assert await desk.to_the_end() == Delivered(SECOND, f"report {SECOND} at NCMEC: finished, 1 files")
    check_told_once(service)
    assert desk.progress[ABANDONED] == FIRST


async def test_a_finish_that_never_left_is_tried_again(service: Ispws) -> None:
    desk = Desk(service, with_file=False)
    service.plan("finish", "429-before")
    assert await desk.deliver() == Again("HTTP 429 for /finish, without a code of NCMEC")
    assert FINISH_SENT not in desk.progress
    assert isinstance(await desk.deliver(), Delivered)
    assert service.calls == ["submit", "finish", "finish"]


async def test_without_a_connection_nothing_is_begun(unused_tcp_port: int) -> None:
    nowhere = Ispws()
    nowhere.url = f"http://127.0.0.1:{unused_tcp_port}/ispws"
    desk = Desk(nowhere)
    reason = "127.0.0.1: no connection (ClientConnectorError)"
    assert await desk.deliver() == Again(reason)
    desk.progress = {REPORT_ID: FIRST, "opened_at": nowhere.now.isoformat()}
    assert await desk.relay() == Again(reason)
    assert desk.progress == {REPORT_ID: FIRST, "opened_at": nowhere.now.isoformat()}
    desk.with_file = False
    assert await desk.deliver() == Again(reason)
    assert FINISH_SENT not in desk.progress


# --- what NCMEC refuses ------------------------------------------------------------------------------------------


async def test_refused_credentials_are_named(service: Ispws) -> None:
    desk = Desk(service, secrets={"username": "provider", "password": "wrong"})
    assert await desk.deliver() == Refused("NCMEC refused the credentials of the outlet (HTTP 401 for /submit)")


async def test_xml_in_disorder_is_refused_with_ncmecs_code_and_words(service: Ispws) -> None:
    desk = Desk(service)
    summary = desk.document.body[desk.document.body.index(b"  <incidentSummary>") :]
    summary = summary[: summary.index(b"</incidentSummary>\n") + len(b"</incidentSummary>\n")]
    body = desk.document.body.replace(summary, b"").replace(b"</report>", summary + b"</report>")
    desk.document = replace(desk.document, body=body)
    outcome = await desk.deliver()
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith(
        "NCMEC answers /submit with 4100, validation failed: Validation failed: report: children in disorder: "
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("4000-before", "NCMEC answers /{} with 4000, invalid request: Invalid request"),
        ("3100-before",
         "NCMEC answers /{} with 3100, these credentials may not submit reports: Not authorized to submit"),
        ("9876-before", "NCMEC answers /{} with 9876, unknown code"),
        ("5101-before", "NCMEC answers /{} with 5101, the report was retracted: Report already retracted"),
        ("404-before", "HTTP 404 for /{}, without a code of NCMEC; check the outlet's url and credentials"),
        ("redirect-before",
         "HTTP 302 for /{}, without a code of NCMEC: a redirect, which is not followed; check the outlet's url"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", ["submit", "upload", "fileinfo", "finish"])
async def test_a_refusal_is_final_and_says_why(service: Ispws, call: str, fault: str, reason: str) -> None:
    desk = Desk(service)
    service.plan(call, fault)
    outcome = await desk.deliver()
    if call != "submit":
        outcome = await desk.relay()  # type: ignore[assignment]
    if call in {"fileinfo", "finish"}:
        outcome = await desk.deliver()
    assert outcome == Refused(reason.format(call))
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)


@pytest.mark.parametrize("code", [1000, 1100, 1110, 1111, 1300, 1999])
async def test_ncmecs_own_trouble_passes(service: Ispws, code: int) -> None:
    desk = Desk(service, with_file=False)
    service.plan("submit", f"{code}-before")
    outcome = await desk.deliver()
    assert isinstance(outcome, Again)
    assert outcome.reason.startswith(f"NCMEC answers /submit with {code}, ")


# --- taking back -------------------------------------------------------------------------------------------------


async def test_an_open_report_is_retracted_and_one_that_is_gone_counts_as_such(service: Ispws) -> None:
    desk = Desk(service)
    outlet = desk.outlet()
    assert await outlet.retract(desk.parcel(), desk.save) is None
    assert service.calls == []
    await desk.deliver()
    kept = desk.parcel()
    for _ in range(2):
        assert await outlet.retract(kept, desk.save) is None
        assert service.reports[FIRST].state == "retracted"
        assert REPORT_ID not in desk.progress
    await outlet.close()


async def test_what_was_sent_to_be_finished_is_not_retracted(service: Ispws) -> None:
    desk = Desk(service, with_file=False)
    await desk.deliver()
    outlet = desk.outlet()
    assert await outlet.retract(desk.parcel(), desk.save) == Refused(
        f"report {FIRST} was sent to be finished: it cannot be retracted"
    )
    assert "retract" not in service.calls
    await outlet.close()


@pytest.mark.parametrize(("fault", "kind"), [("1000-before", Again), ("502-before", Again), ("4000-before", Refused)])
async def test_a_retraction_that_fails_leaves_the_report_known(service: Ispws, fault: str, kind: type) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.plan("retract", fault)
    outlet = desk.outlet()
    assert isinstance(await outlet.retract(desk.parcel(), desk.save), kind)
    assert desk.progress[REPORT_ID] == FIRST
    await outlet.close()


# --- environments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        ("https://report.cybertip.org/ispws", "test", "report.cybertip.org is a production host"),
        ("https://report.cybertip.org./ispws", "test", "report.cybertip.org is a production host"),
        ("https://exttest.cybertip.org/ispws", "production", "exttest.cybertip.org is a test host"),
        ("http://127.0.0.1:80/ispws", "production", "127.0.0.1 is a test host"),
        ("http://exttest.cybertip.org/ispws", "test", "must be reached over TLS"),
        ("https://exttest.cybertip.org/ispws", "", "environment test or production"),
    ],
)
def test_a_host_of_the_other_environment_is_refused_before_anything_is_sent(
    url: str, environment: str, message: str
) -> None:
    config = OutletConfig(kind="cybertipline", environment=environment, url=url)
    with pytest.raises(BadConfig, match=re.escape(message)):
        CyberTipline("ncmec", config, OutboxConfig(), SECRETS)


@pytest.mark.parametrize(
    ("url", "environment"),
    [("https://report.cybertip.org/ispws", "production"), ("https://exttest.cybertip.org/ispws", "test")],
)
async def test_ncmecs_hosts_are_taken_in_their_environment(url: str, environment: str) -> None:
    outlet = CyberTipline(
        "ncmec", OutletConfig(kind="cybertipline", environment=environment, url=url), OutboxConfig(), SECRETS
    )
    assert repr(outlet) == f"<CyberTipline {environment}: <Wire {url.split('/')[2]}: closed>>"
    await outlet.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda parcel: replace(parcel, document=replace(parcel.document, format="letter")),
         "a CyberTip is expected, not letter"),
    ],
)  # fmt: skip
async def test_a_parcel_for_elsewhere_goes_nowhere(
    service: Ispws, change: Callable[[Parcel], Parcel], reason: str
) -> None:
    desk = Desk(service)
    outlet = desk.outlet()
    parcel = change(desk.parcel())
    assert await outlet.deliver(parcel, desk.save) == Refused(reason)
    assert await outlet.relay(parcel, chunks(b""), MD5, desk.save) == Refused(reason)
    assert service.calls == []
