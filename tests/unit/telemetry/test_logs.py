"""Lines of JSON: what is in them, and what never is."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import sys
from typing import Any

import pytest

from hashmatch.telemetry import logs
from hashmatch.telemetry.calls import call_id, serve_call
from hashmatch.telemetry.logs import LINE_FIELDS, JsonFormatter


def line(message: str = "%s happened", *args: object, exc_info: Any = None, **extra: object) -> dict[str, object]:
    """Format one record and read it back."""
    record = logging.LogRecord("hashmatch.service", logging.INFO, "file.py", 1, message, args, exc_info)
    record.created = 1_764_320_400.25
    record.__dict__.update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    parsed: dict[str, object] = json.loads(text)
    return parsed


def test_outside_of_a_call_there_are_five_keys() -> None:
    assert line("%s happened", "it") == {
        "time": "2025-11-28T09:00:00.250+00:00",
        "level": "INFO",
        "logger": "hashmatch.service",
        "process": os.getpid(),
        "message": "it happened",
    }


def test_inside_of_a_call_its_id_is_there_and_what_was_logged_with_it() -> None:
    def inside() -> dict[str, object]:
        serve_call("abc")
        return line("x", method="/s/M", status="OK", ms=1.5, caller="anna", reason="BadInput", body="no")

    found = contextvars.copy_context().run(inside)
    assert call_id() == ""
    assert {name: found[name] for name in ("call", "method", "status", "ms", "caller", "reason")} == {
        "call": "abc", "method": "/s/M", "status": "OK", "ms": 1.5, "caller": "anna", "reason": "BadInput",
    }  # fmt: skip
    assert set(found) <= set(LINE_FIELDS)


def test_of_an_exception_there_is_its_class_and_its_place_and_not_its_text() -> None:
    try:
        raise ValueError("canary\nline two")  # noqa: TRY301  the traceback is what is wanted
    except ValueError:
        found = line("lost", exc_info=sys.exc_info())
    assert found["error"] == "ValueError"
    assert str(found["where"]).startswith("tests/unit/telemetry/test_logs.py:")
    assert "canary" not in json.dumps(found)
    assert set(found) <= set(LINE_FIELDS)


def test_control_characters_do_not_break_the_line() -> None:
    assert line("a\nb\x1b[2J")["message"] == "a\nb\x1b[2J"


@pytest.mark.parametrize("form", ["text", "json"])
def test_stderr_gets_lines_of_the_chosen_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        logs.to_stderr("info", form)
        logging.getLogger("n").info("said")
        logging.getLogger("n").debug("not said")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (written,) = capsys.readouterr().err.splitlines()
    if form == "json":
        assert json.loads(written)["message"] == "said"
    else:
        assert written.endswith(" INFO n: said")
