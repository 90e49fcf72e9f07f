"""JSON Lines on stdout, everything for people on stderr, and nothing that could move a cursor."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from rich.console import Console

from hashmatch.cli import output as output_module
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import DrawnProgress, Output, ReaderGone, Styled, shown, write_json
from hashmatch.progress import SILENT


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        """Fail as the operating system does."""
        del text
        raise BrokenPipeError


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal 200 columns wide."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_with_json_a_result_is_one_line_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(GlobalOptions(json=True)).results("a", "b") as results:
        results.add({"a": 1, "b": "zwei\nLinien \x1b[31m ü"}, 1, "zwei")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    assert captured.out.isascii()
    assert json.loads(captured.out) == {"a": 1, "b": "zwei\nLinien \x1b[31m ü"}


def test_a_path_that_is_no_text_is_still_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(GlobalOptions(json=True)).results("path") as results:
        results.add({"path": "\udcff.jpg"}, "")
    assert capsys.readouterr().out == '{"path": "\\udcff.jpg"}\n'


def test_without_a_terminal_people_get_lines_with_tabs_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(GlobalOptions()).results("verdict", "path", "distance") as results:
        results.add({}, Styled("match", "bold red"), "a\tb.jpg", 3)
        results.add({}, "no_match", "c.jpg", None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "verdict\tpath\tdistance\nmatch\ta\\tb.jpg\t3\nno_match\tc.jpg\t\n"
    assert repr(results) == "<Results verdict, path, distance: 2>"


def test_on_a_terminal_people_get_a_table_with_colours(terminal: Terminal) -> None:
    output = Output(GlobalOptions(), stderr=terminal)
    assert repr(output) == "<Output json=False quiet=False terminal=True>"
    with output.results("verdict", "path") as results:
        results.add({}, Styled("match", "bold red"), "[bold]a.jpg[/bold]")
        assert terminal.getvalue() == ""
    text = terminal.getvalue()
    assert "verdict" in text
    assert "[bold]a.jpg[/bold]" in text
    assert "\x1b[1;31mmatch" in text


def test_a_long_run_prints_a_table_now_and_then(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "ROWS_PER_TABLE", 2)
    with Output(GlobalOptions(), stderr=terminal).results("number") as results:
        for number in range(5):
            results.add({}, f"row {number}")
        assert "row 3" in terminal.getvalue()
        assert "row 4" not in terminal.getvalue()
    assert "row 4" in terminal.getvalue()


def test_rows_that_wait_are_printed_even_when_something_breaks(terminal: Terminal) -> None:
    with contextlib.suppress(ValueError), Output(GlobalOptions(), stderr=terminal).results("path") as results:
        results.add({}, "a.jpg")
        raise ValueError("halfway")
    assert "a.jpg" in terminal.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 画像.jpg", "plain ü 画像.jpg"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("two\nlines\ttab\r", "two\\nlines\\ttab\\r"),
        ("right\u202eto left", "right\\u202eto left"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_is_not_printable_is_shown_escaped(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_remarks_are_for_stderr_and_quiet_leaves_them_out(capsys: pytest.CaptureFixture[str]) -> None:
    Output(GlobalOptions(json=True)).remark("3 images\x1b[31m")
    Output(GlobalOptions(quiet=True)).remark("nobody reads this")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "3 images\\x1b[31m\n")


def test_a_remark_on_a_terminal_stands_above_the_progress_bar(terminal: Terminal) -> None:
    output = Output(GlobalOptions(), stderr=terminal)
    with output.progress() as progress:
        progress.start("hashing", 2, "files")
        before = len(terminal.getvalue())
        output.remark("[red]" + 300 * "x")
        told = terminal.getvalue()[before:]
    assert "[red]" + 300 * "x" + "\n" in told
    assert "hashing" in told


def test_a_reader_that_went_away_is_not_a_broken_pipe_for_click_to_turn_into_exit_code_1() -> None:
    with pytest.raises(ReaderGone):
        write_json({"a": 1}, Closed())


@pytest.mark.parametrize("options", [GlobalOptions(quiet=True), GlobalOptions(json=True)])
def test_progress_is_silent_when_quiet_and_where_json_would_run_into_it(
    options: GlobalOptions, terminal: Terminal
) -> None:
    with Output(options, stdout=terminal, stderr=terminal).progress() as progress:
        assert progress is SILENT
    assert terminal.getvalue() == ""


def test_progress_is_silent_without_a_terminal() -> None:
    with Output(GlobalOptions(), stderr=io.StringIO()).progress() as progress:
        assert progress is SILENT


def test_progress_is_drawn_while_json_goes_elsewhere(terminal: Terminal) -> None:
    with Output(GlobalOptions(json=True), stdout=io.StringIO(), stderr=terminal).progress() as progress:
        assert progress is not SILENT


def test_progress_is_drawn_on_a_terminal_and_taken_away(terminal: Terminal) -> None:
    with Output(GlobalOptions(), stderr=terminal).progress() as progress:
        assert repr(progress) == "<DrawnProgress idle>"
        progress.start("hashing", 1_200, "files")
        progress.advance(1_000)
        assert repr(progress) == "<DrawnProgress 1,000 of 1,200 files>"
    assert repr(progress) == "<DrawnProgress idle>"
    assert "hashing" in terminal.getvalue()


@pytest.mark.parametrize(
    ("total", "unit", "expected"),
    [
        (None, "files", "1,500 files"),
        (2_000, "bytes", "1.5 kB of 2.0 kB"),
        (None, "bytes", "1.5 kB"),
    ],
)
def test_amounts_are_told_in_the_unit(total: Any, unit: str, expected: str) -> None:
    progress = DrawnProgress(Console(file=io.StringIO()))
    progress.advance(1)
    progress.start("reading", total, unit)
    progress.advance(1_500)
    assert repr(progress) == f"<DrawnProgress {expected}>"
    progress.finish()
    progress.finish()
