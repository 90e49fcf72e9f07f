"""Look after look: what happened in between, drawn over and over on a terminal, in lines elsewhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import re
from typing import Any

import pytest

from hashmatch.cli.connection import Server
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.status_watch import FIELDS, Screen, frame, watch
from hashmatch.client import Access
from hashmatch.errors import HashmatchError, Overloaded
from hashmatch.report.status import (
    AuditStatus,
    CallCount,
    FollowerStatus,
    Latency,
    Protection,
    ServiceStatus,
    SetMatches,
    Traffic,
)
from tests.support.service import STATUS, Scene, serving

DETECT = "/hashmatch.v1.DetectionService/Detect"
CONTROL = re.compile(r"\x1b\[(?P<number>\d*)(?P<code>[A-Za-z])|\x1b\[\?\d+[hl]|(?P<feed>\n)|(?P<back>\r)")


class Terminal(io.StringIO):
    """A terminal: keeps everything that was written, and shows what would stand on it."""

    def isatty(self) -> bool:
        """Say so."""
        return True

    def screen(self) -> list[str]:
        """Return the lines that are seen, by the few controls that a drawing uses."""
        lines, row, at = [""], 0, 0
        text = self.getvalue()
        while at < len(text):
            match = CONTROL.match(text, at)
            if match is None:
                lines[row] += text[at]
                at += 1
                continue
            at = match.end()
            if match["feed"]:
                row += 1
                lines += [""] * (row == len(lines))
            elif match["code"] == "A":
                row -= int(match["number"] or 1)
                assert row >= 0
            elif match["code"] == "K":
                lines[row] = ""
        return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a wide one without colours."""
    for name, value in {"COLUMNS": "100", "LINES": "60", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return Terminal()


def at(calls: int, failed: int = 0, **changes: Any) -> ServiceStatus:
    """Return the sample after so many calls."""
    traffic = Traffic(
        bounds_us=(1_000, 10_000),
        calls=(CallCount(DETECT, "OK", calls), CallCount(DETECT, "INTERNAL", failed)),
        stages={"total": Latency((calls, 0, 0), 500 * calls), "hash": Latency((0, 0, calls), 20_000 * calls)},
        matches=(SetMatches("known", "match", calls), SetMatches("quiet", "match", 1)),
        verdicts={"match": calls},
    )
    return dataclasses.replace(STATUS, traffic=traffic, **{"failing": (), **changes})


# --- what happened in between ------------------------------------------------------------------------------------


def test_the_first_look_has_no_rates_and_later_ones_those_of_the_time_between() -> None:
    first = frame("s:1", None, at(100), 0.0)
    assert (first.calls_per_s, first.failed_per_s, first.answers_per_s) == (None, None, None)
    assert (first.stages["total"]["count"], first.matches) == (100, {"known/match": 100, "quiet/match": 1})
    second = frame("s:1", at(100), at(130, failed=4), 2.0)
    assert (second.calls_per_s, second.failed_per_s, second.answers_per_s) == (17.0, 2.0, 15.0)
    assert (second.stages["total"]["count"], second.matches) == (30, {"known/match": 30})
    assert set(dataclasses.asdict(second)) == set(FIELDS)


def test_a_process_that_was_started_anew_is_looked_at_for_the_first_time() -> None:
    later = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    seen = frame("s:1", at(100), at(3, started_at=later), 1.0)
    assert (seen.calls_per_s, seen.stages["total"]["count"]) == (None, 3)


def test_what_is_not_as_it_should_be_is_said_in_capitals() -> None:
    wrong = at(
        1,
        failing=("index", "audit"),
        follower=FollowerStatus(2, 900, error="CATALOG_UNAVAILABLE"),
        audit=AuditStatus("l", 7, 6, 5, 4, "No space left on device"),
        workers=dataclasses.replace(
            STATUS.workers, confined=False, protections=(Protection("landlock", active=False),)
        ),
    )
    seen = frame("s:1", None, wrong, 0.0)
    assert list(seen.trouble()) == [
        "NOT READY: index, audit",
        "NOT ACTIVE: landlock",
        "CATALOG: CATALOG_UNAVAILABLE",
        "AUDIT: No space left on device",
    ]
    assert " | NOT CONFINED | NOT READY: index, audit | " in seen.line()
    assert " | audit 5 queued, 4 lost | " in seen.line()
    assert list(frame("s:1", None, at(1), 0.0).trouble()) == []


# --- how it is shown ----------------------------------------------------------------------------------------------


def test_on_a_terminal_one_picture_is_drawn_over_and_over(terminal: Terminal) -> None:
    output = Output(GlobalOptions(), stderr=terminal)
    with Screen(output) as screen:
        assert repr(screen) == "<Screen live>"
        screen.show(frame("s:1", None, at(1_000, failing=("index",)), 0.0))
        before = terminal.screen()
        screen.show(frame("s:1", at(1_000), at(1_040), 2.0))
        after = terminal.screen()
    assert repr(screen) == "<Screen in lines>"
    assert before[:3] == ["s:1", "generation 7.1", "- calls/s, - failed/s"]
    assert before.count("NOT READY: index") == 1
    assert after[:3] == ["s:1", "generation 7.1", "20.0 calls/s, 0.0 failed/s"]
    assert not [line for line in after if "NOT READY" in line or "1,000" in line], "the first picture is gone"
    table = [line.split() for line in after[after.index(next(line for line in after if line.startswith("stage"))) :]]
    assert table == [
        ["stage", "images", "p50", "ms", "p95", "ms", "p99", "ms"],
        ["total", "40", "0.50", "0.95", "0.99"],
        ["hash", "40", "10.00", "10.00", "10.00"],
        ["set", "and", "verdict", "matches"],
        ["known/match", "40"],
    ]
    assert terminal.screen() == after, "what was seen last stays"
    assert output.stdout is not terminal


def test_a_server_that_does_not_answer_takes_the_picture_away_and_comes_back(terminal: Terminal) -> None:
    with Screen(Output(GlobalOptions(), stderr=terminal)) as screen:
        screen.show(frame("s:1", None, at(1), 0.0))
        screen.complain(Overloaded("gone\x1b[2J away"))
        assert terminal.screen() == ["no answer: gone\\x1b[2J away"]
        screen.show(frame("s:1", None, at(1), 0.0))
        assert terminal.screen()[0] == "s:1"


def test_names_of_sets_move_no_cursor(terminal: Terminal) -> None:
    evil = dataclasses.replace(at(1), traffic=Traffic(matches=(SetMatches("a\x1b[2J[red]b", "match", 3),)))
    with Screen(Output(GlobalOptions(), stderr=terminal)) as screen:
        screen.show(frame("s:1\x1b[2J", None, evil, 0.0))
    assert "\x1b[2J" not in terminal.getvalue()
    shown = terminal.screen()
    assert shown[0] == "s:1\\x1b[2J"
    assert shown[-1].split() == ["a\\x1b[2J[red]b/match", "3"]


def test_elsewhere_a_look_is_a_line() -> None:
    stream = io.StringIO()
    with Screen(Output(GlobalOptions(), stderr=stream)) as screen:
        screen.show(frame("s:1", at(100), at(130), 2.0))
        screen.complain(Overloaded("gone"))
    first, second = stream.getvalue().splitlines()
    assert first == (
        "generation 7.1 | 15.0 calls/s, 0.0 failed/s | 15.0 answers/s, p50 0.5, p95 0.9, p99 1.0 ms | workers 1/2 busy"
        " | 0 queued, 1 restarts | lag 0 ms, 0 behind | outbox ncmec/queued 3 | confined"
    )
    assert second == "no answer: gone"


def test_with_json_a_look_is_an_object_also_on_a_terminal(terminal: Terminal) -> None:
    stream = io.StringIO()
    with Screen(Output(GlobalOptions(json=True), stdout=stream, stderr=terminal)) as screen:
        screen.show(frame("s:1", None, at(5), 0.0))
    record = json.loads(stream.getvalue())
    assert set(record) == set(FIELDS)
    assert (record["stages"]["total"], record["calls_per_s"]) == (
        {"count": 5, "p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}, None,
    )  # fmt: skip
    assert terminal.getvalue() == ""


# --- looking ------------------------------------------------------------------------------------------------------


class Looks(Scene):
    """A service whose status is another one each time, or none."""

    def __init__(self, *answers: ServiceStatus | HashmatchError) -> None:
        super().__init__()
        self._answers = iter(answers)

    async def status(self) -> ServiceStatus:
        """Return the next one."""
        answer = next(self._answers)
        if isinstance(answer, HashmatchError):
            raise answer
        return answer


async def test_a_server_is_asked_so_many_times_and_again_where_it_once_answered(terminal: Terminal) -> None:
    ticks = iter((0.0, 1.0, 3.0))
    failed = HashmatchError("nothing is to be had")
    async with serving(Looks(at(10), failed, at(50))) as scene:
        server = Server(scene.target, Access())
        await watch(server, Output(GlobalOptions(), stderr=terminal), 0.001, 3, clock=lambda: next(ticks))
    assert "no answer: nothing is to be had" in terminal.getvalue()
    assert terminal.screen()[:3] == [scene.target, "generation 7.1", "20.0 calls/s, 0.0 failed/s"]


async def test_a_server_that_never_answered_is_an_error(terminal: Terminal) -> None:
    async with serving(Looks(HashmatchError("nothing is to be had"))) as scene:
        with pytest.raises(HashmatchError, match="nothing is to be had"):
            await watch(Server(scene.target, Access()), Output(GlobalOptions(), stderr=terminal), 0.001, 0)
    assert terminal.screen() == []
