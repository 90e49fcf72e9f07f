"""``hashset sync``: rows, status, feedback, and which exit code that is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.cli.sync import FEEDBACK_FIELDS, STATUS_FIELDS, SYNC_FIELDS
from hashmatch.model import Opinion, Stance
from tests.support.exchanges.__main__ import happen, settings
from tests.support.exchanges.base import Exchange, served
from tests.support.exchanges.ncmec import US, Ncmec
from tests.support.exchanges.tat import Tat
from tests.support.syncing import SECRETS


@pytest.fixture
def exchanges() -> Iterator[list[Exchange]]:
    """Serve two exchanges from a thread of their own, since the command brings its own event loop."""
    served_ones: list[Exchange] = [Ncmec(), Tat()]
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with served(served_ones[0]), served(served_ones[1]):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(300)
    yield served_ones
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture
def run(
    exchanges: list[Exchange], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[dict[str, Any]], str]]:
    """Run ``hashset sync --json`` on both exchanges; return code, rows and what is for people."""
    ncmec, tat = exchanges
    second = settings("tat", tat).replace("sources.demo", "sources.other").replace('"demo"', '"second"')
    config = tmp_path / "hashmatch.toml"
    limits = "[sync]\ntries = 2\nfirst_wait_s = 0\npage_tries = 1\n"
    config.write_text(f"{limits}{settings('ncmec', ncmec)}\n{second.replace('env:DEMO', 'env:TAT')}\n")
    for exchange, prefix in ((ncmec, "DEMO"), (tat, "TAT")):
        for variable, text in SECRETS[type(exchange)].items():
            monkeypatch.setenv(variable.replace("X_", f"{prefix}_", 1), text)

    def run(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main(
            ["--config", str(config), "--data", str(tmp_path / "data"), "hashset", "sync", "--json", *arguments]
        )
        printed = capsys.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run


def opened(folder: Path) -> SqliteCatalog:
    return SqliteCatalog.open(folder / "data" / CATALOG)


def test_every_source_gives_a_row_and_the_status_remembers_it(
    run: Callable[..., Any], exchanges: list[Exchange], tmp_path: Path
) -> None:
    for exchange in exchanges:
        for number in (1, 2, 3, 5):
            exchange.put(number)
    code, rows, _ = run("--status")
    assert (code, [row["last_run"] for row in rows]) == (0, ["", ""])
    code, rows, _ = run()
    assert (code, [(row["source"], row["set"], row["added"], row["complete"]) for row in rows]) == (
        0,
        [("demo", "demo", 4, True), ("other", "second", 4, True)],
    )
    assert all(set(row) == set(SYNC_FIELDS) for row in rows)
    with opened(tmp_path) as catalog:
        assert [item.entries for item in catalog.sets()] == [4, 4]
    code, rows, _ = run("other", "--status")
    assert (code, len(rows), set(rows[0])) == (0, 1, set(STATUS_FIELDS))
    assert (rows[0]["complete"], rows[0]["added"], rows[0]["error"]) == (True, 4, "")
    assert rows[0]["checkpoint"].startswith('{"after": ')
    assert rows[0]["last_run"] == rows[0]["last_complete"] != ""


def test_a_dry_run_makes_no_catalog(run: Callable[..., Any], exchanges: list[Exchange], tmp_path: Path) -> None:
    exchanges[0].put(1)
    code, rows, _ = run("demo", "--dry-run")
    assert (code, rows[0]["rows"], rows[0]["added"], rows[0]["complete"]) == (0, 2, 0, True)
    assert not (tmp_path / "data").exists()


def test_a_source_that_fails_does_not_keep_the_other_out(run: Callable[..., Any], exchanges: list[Exchange]) -> None:
    exchanges[1].put(1)
    exchanges[0].faults.extend(["error"] * 2)
    code, rows, _ = run()
    assert (code, [row["complete"] for row in rows]) == (3, [False, True])
    assert "HTTP 500 (2 tries)" in rows[0]["error"]


@pytest.mark.parametrize(("faults", "code"), [(["error"] * 2, 4), (["", "garbage"], 3)])
def test_the_exit_code_says_whether_anything_was_reached(
    run: Callable[..., Any], exchanges: list[Exchange], faults: list[str], code: int
) -> None:
    exchanges[0].put(1)
    exchanges[0].faults.extend(faults)
    assert run("demo")[0] == code


def test_wrong_credentials_and_wrong_names_are_the_callers_mistakes(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "wrong one")
    code, rows, err = run("demo")
    assert (code, "the credentials were refused" in rows[0]["error"]) == (2, True)
    assert "wrong one" not in json.dumps(rows) + err
    monkeypatch.delenv("DEMO_PASSWORD")
    code, rows, _ = run("demo")
    assert (code, rows[0]["error"]) == (2, "sync.sources.demo.credentials: not set: DEMO_PASSWORD")
    code, rows, err = run("nobody")
    assert (code, rows, json.loads(err)["field"]) == (2, [], "sync.sources")


def test_rejected_rows_are_shown_and_are_exit_code_3(
    run: Callable[..., Any], exchanges: list[Exchange], tmp_path: Path
) -> None:
    exchanges[0].put(1)
    assert run("demo")[0] == 0
    with opened(tmp_path) as catalog:
        catalog.withdraw("demo", "42:i-1", reason="case 17", actor="ann")
    exchanges[0].put(1)
    code, rows, err = run("demo")
    assert (code, rows[0]["rejected"], rows[0]["complete"]) == (3, 1, True)
    assert "demo: rejected: status: the entry was withdrawn on" in err


def test_feedback_gives_a_row_per_opinion(run: Callable[..., Any], exchanges: list[Exchange], tmp_path: Path) -> None:
    exchanges[0].put(1)
    assert run()[0] == 0
    with opened(tmp_path) as catalog:
        catalog.vote("demo", "42:i-1", Opinion(US[1], Stance.AGREE, "seen", algorithm="md5"), actor="ann")
    code, rows, err = run("--feedback", "--dry-run")
    assert (code, set(rows[2]), rows[2]["state"]) == (0, set(FEEDBACK_FIELDS), "to_send")
    assert rows[2]["request"] == "PUT v2/entries/42/i-1/MD5/feedback"
    assert "other: a source of kind tat takes no opinions" in err
    assert [run("demo", "--feedback")[1][1]["state"] for _ in range(2)] == ["sent", "already_sent"]
    with opened(tmp_path) as catalog:
        catalog.vote("demo", "42:i-1", Opinion(US[1], Stance.DISAGREE, "hm", algorithm="md5"), actor="ann")
    code, rows, _ = run("demo", "--feedback")
    assert (code, rows[1]["state"]) == (3, "not_sent")


def test_the_demonstration_lets_happen_what_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    exchange = Ncmec()
    for line in ("put 1", "bad 1", "delete 1", "time 60", "fault cut"):
        happen(exchange, line)
    assert (exchange.items["i-1"].deleted, list(exchange.faults)) == (True, ["cut"])
    happen(exchange, "dance")
    assert "put N" in capsys.readouterr().err
