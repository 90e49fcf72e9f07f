"""``make demo``: the whole path on real images, as a newcomer would walk it.

It creates an embedded catalog in a temporary directory, imports the demo set with the command line, starts the service
with its confined workers, sends every image of ``cases.py`` through the client, withdraws an entry, prints the
verdicts and one whole report, and stops the service. Exit code 0 means that every answer was the expected one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hashmatch import Client
from hashmatch.model import Hit, MatchReport
from hashmatch.report.json import report_to_json
from hashsets.demo.cases import Case, cases

HERE = Path(__file__).parent
SET_NAME = "demo-wildlife"
SHOWN = "roman-colosseum, mirrored"
"""The case whose report is printed whole."""
WITHDRAWN = "casa-mila"
STOP_TIMEOUT_S = 30
COLOURS = {"match": "red", "possible_match": "yellow", "no_match": "green", "not_checked": "cyan"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A case and what the service said of it."""

    case: Case
    report: MatchReport

    @property
    def entry(self) -> str:
        """Entry of the first hit, empty without one."""
        return self.report.hits[0].entry.entry_id if self.report.hits else ""

    @property
    def as_expected(self) -> bool:
        """Whether verdict, entry and reason are the ones that the case demands."""
        reason = "" if self.report.reason is None else self.report.reason.value
        said = (self.report.verdict.value, self.entry, reason)
        return said == (self.case.verdict, self.case.entry, self.case.reason)


def main() -> int:
    """Walk the whole path; return 0 when every answer was as expected."""
    console = Console(width=None if sys.stdout.isatty() else 132)
    with tempfile.TemporaryDirectory(prefix="hashmatch-demo-") as data:
        _say(console, f"Import the set {SET_NAME} into an embedded catalog")
        imported = _hashmatch(
            data, "hashset", "import", SET_NAME, str(HERE / "known.csv"), "--create", "--domain", "wildlife"
        )
        subprocess.run(imported, check=True)
        _say(console, "Start the service and send the images")
        with _service(data) as address, Client(address) as client:
            answers = [Answer(case, client.detect(case.image, request_id=case.name)) for case in cases()]
            known = next(answer.case for answer in answers if answer.case.entry == WITHDRAWN)
            client.withdraw_entry(SET_NAME, WITHDRAWN, reason="demo: not in the list any more", actor="demo")
            gone = Case(f"{WITHDRAWN}, after its entry was withdrawn", known.image, "no_match")
            answers.append(Answer(gone, client.detect(gone.image, request_id=gone.name)))
    console.print(_table(answers))
    shown = next(answer for answer in answers if answer.case.name == SHOWN)
    _say(console, f"The whole report of one of them: {shown.case.name}")
    console.print_json(json.dumps(report_to_json(shown.report)))
    right = sum(answer.as_expected for answer in answers)
    console.print(f"{right} of {len(answers)} answers as expected")
    return 0 if right == len(answers) else 1


def _say(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _hashmatch(data: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "hashmatch", "--data", data, *arguments]


@contextlib.contextmanager
def _service(data: str) -> Iterator[str]:
    """Run ``hashmatch serve`` on a free port; yield its address; make sure that it stops cleanly."""
    command = _hashmatch(data, "serve", "--listen", "127.0.0.1:0", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as service:
        assert service.stdout is not None  # noqa: S101  a pipe was asked for in the line above
        ready = service.stdout.readline()
        if not ready:
            raise SystemExit(f"the service did not start: exit code {service.wait()}")
        try:
            yield json.loads(ready)["address"]
        finally:
            service.send_signal(signal.SIGTERM)
            code = service.wait(timeout=STOP_TIMEOUT_S)
        if code != 0:
            raise SystemExit(f"the service stopped with exit code {code}")


def _table(answers: list[Answer]) -> Table:
    table = Table(title="What the service said", title_justify="left")
    for heading in ("image", "verdict", "entry", "by", "distance", "as", "reason", ""):
        table.add_column(heading, justify="right" if heading == "distance" else "left")
    for answer in answers:
        report, colour = answer.report, COLOURS[answer.report.verdict.value]
        hit = report.hits[0] if report.hits else None
        table.add_row(
            answer.case.name,
            f"[{colour}]{report.verdict.value}[/{colour}]",
            answer.entry,
            hit.query_algorithm if hit else "",
            str(hit.distance) if hit else "",
            _seen_as(hit) if hit else "",
            "" if report.reason is None else report.reason.value,
            "ok" if answer.as_expected else f"[bold red]expected {answer.case.verdict} {answer.case.entry}[/bold red]",
        )
    return table


def _seen_as(hit: Hit) -> str:
    """Say what was done to the upload, and to the original when its entry was made."""
    return f"{hit.transformation} of {hit.view}" if hit.view else hit.transformation


if __name__ == "__main__":
    raise SystemExit(main())
