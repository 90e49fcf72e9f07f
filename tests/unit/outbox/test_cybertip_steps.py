"""Where a CyberTip stands, and what NCMEC's answers mean: both are decided without asking anybody."""

from __future__ import annotations

import datetime as dt

import pytest

from hashmatch.outbox import cybertip_steps as steps
from hashmatch.outbox.cybertip_steps import Step
from hashmatch.outbox.ispws import CODES, Answer, NotTaken, Taken, Unknown, Why, answer_of, judged, request_id
from hashmatch.outbox.parcels import Again, Refused
from hashmatch.outbox.wire import Lost, Reply

NOW = dt.datetime(2025, 1, 2, 9, 0, tzinfo=dt.UTC)
OPEN = {"report_id": "1", "opened_at": NOW.isoformat()}
FILED = {**OPEN, "file_id": "f", "active_at": NOW.isoformat()}


@pytest.mark.parametrize(
    ("progress", "with_file", "step"),
    [
        ({}, True, Step.OPEN),
        ({"abandoned": "1 2"}, False, Step.OPEN),
        (OPEN, False, Step.FINISH),
        (OPEN, True, Step.AWAIT_FILE),
        ({**OPEN, "upload_begun": NOW.isoformat()}, True, Step.START_OVER),
        (FILED, True, Step.DESCRIBE),
        ({**FILED, "fileinfo_begun": NOW.isoformat()}, True, Step.START_OVER),
        ({**FILED, "fileinfo_done": "yes"}, True, Step.FINISH),
        ({**FILED, "fileinfo_done": "yes", "finish_sent": "1"}, True, Step.ASK_A_PERSON),
        ({**FILED, "fileinfo_done": "yes", "finish_sent": "2"}, True, Step.FINISH),
    ],
)
def test_what_was_saved_says_what_comes_next(progress: dict[str, str], with_file: bool, step: Step) -> None:  # noqa: FBT001
    assert steps.next_step(progress, with_file=with_file, attempt=2, now=NOW) is step


@pytest.mark.parametrize(("active_after_h", "lives_h"), [(0, 24), (22, 24), (23, 24), (23.5, 24.5), (40, 41)])
def test_a_report_lives_a_day_or_an_hour_after_its_file_whichever_is_later(
    active_after_h: float, lives_h: float
) -> None:
    progress = {**OPEN, "active_at": (NOW + dt.timedelta(hours=active_after_h)).isoformat()}
    ends = NOW + dt.timedelta(hours=lives_h)
    assert steps.deadline(progress) == ends
    just = ends - dt.timedelta(microseconds=1)
    assert steps.next_step(progress, with_file=False, attempt=1, now=just) is Step.FINISH
    assert steps.next_step(progress, with_file=False, attempt=1, now=ends) is Step.START_OVER


def test_a_report_that_is_left_is_remembered_and_five_are() -> None:
    progress = {"abandoned": "1 2 3 4 5", "request_id.submit": "r", **FILED, "report_id": "6"}
    assert steps.left(progress) == {"abandoned": "2 3 4 5 6", "request_id.submit": "r"}


# --- answers -----------------------------------------------------------------------------------------------------


def response(code: object, *, status: int = 200, more: str = "", **headers: str) -> Reply:
    text = f"<reportResponse><responseCode>{code}</responseCode><responseDescription>d</responseDescription>{more}"
    return Reply(status, headers, f"{text}</reportResponse>".encode())


def test_an_answer_is_read() -> None:
    more = "<reportId>7</reportId><fileId>f</fileId><hash>AB</hash>"
    assert judged(response(0, more=more), "/upload") == Taken(Answer(0, "d", "7", "f", "ab"))
    done = b"<reportDoneResponse><responseCode>0</responseCode><reportId>7</reportId><files><fileId>f</fileId></files>"
    assert answer_of(done + b"</reportDoneResponse>") == Answer(0, report_id="7", files=("f",))


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_meaning(code: int) -> None:
    why, meaning = CODES[code]
    got = judged(response(code, status=400), "/x")
    assert got == NotTaken(why, f"NCMEC answers /x with {code}, {meaning}: d", code=code)
    assert isinstance(got.outcome(), Again if why is Why.BUSY else Refused)


@pytest.mark.parametrize(
    ("code", "why"), [(1999, Why.BUSY), (2999, Why.REFUSED), (-5, Why.REFUSED), (60_000, Why.REFUSED)]
)
def test_a_code_that_nobody_knows_is_kept(code: int, why: Why) -> None:
    assert judged(response(code), "/x") == NotTaken(why, f"NCMEC answers /x with {code}, unknown code: d", code=code)


@pytest.mark.parametrize(
    ("got", "verdict"),
    [
        (Lost("gone", sent=True), Unknown("gone")),
        (Lost("gone", sent=False), NotTaken(Why.BUSY, "gone")),
        (Reply(401, {}, b""), NotTaken(Why.REFUSED, "NCMEC refused the credentials of the outlet (HTTP 401 for /x)")),
        (Reply(429, {"Retry-After": "9"}, b""), NotTaken(Why.BUSY, "HTTP 429 for /x, without a code of NCMEC", 9.0)),
        (Reply(403, {}, b""),
         NotTaken(Why.REFUSED, "HTTP 403 for /x, without a code of NCMEC; check the outlet's url and credentials")),
        (Reply(408, {}, b""), Unknown("HTTP 408 for /x, without a code of NCMEC")),
        (Reply(503, {"Retry-After": "9"}, b""), Unknown("HTTP 503 for /x, without a code of NCMEC", 9.0)),
        (Reply(200, {}, b"<html/>"), Unknown("HTTP 200 for /x, without a code of NCMEC")),
    ],
)  # fmt: skip
def test_without_a_code_the_status_decides(got: Reply | Lost, verdict: object) -> None:
    assert judged(got, "/x") == verdict


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>oops</html>", b"<reportResponse/>",
        b"<reportResponse><responseCode>x</responseCode></reportResponse>",
        b"<reportResponse><responseCode>" + b"9" * 10 + b"</responseCode></reportResponse>",
        b'<!DOCTYPE reportResponse [<!ENTITY a "0">]><reportResponse><responseCode>&a;</responseCode></reportResponse>',
        b'<reportResponse xmlns="urn:x"><responseCode>0</responseCode></reportResponse>',
        b"\xff\xfe", b"<reportResponse>" * 400,
    ],
)  # fmt: skip
def test_what_is_no_answer_of_ncmec_is_none(body: bytes) -> None:
    assert answer_of(body) is None


def test_texts_of_an_answer_are_bounded_and_printable() -> None:
    text = (
        f"<reportResponse><responseCode>0</responseCode><responseDescription>a&#10;b{'x' * 999}</responseDescription>"
    )
    answer = answer_of(f"{text}</reportResponse>".encode())
    assert answer is not None
    assert answer.description == "a b" + "x" * 297
    assert request_id(Reply(200, {"Request-ID": "r" * 101}, b"")) == "r" * 100
    assert request_id(Reply(200, {}, b"")) == request_id(Lost("gone", sent=True)) == ""
