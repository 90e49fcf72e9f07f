"""The demo set is what our own hashing makes of the committed photos."""

from __future__ import annotations

from hashsets.demo.make_known import KNOWN_CSV, known_csv


def test_committed_demo_set_is_current() -> None:
    assert KNOWN_CSV.read_text(encoding="utf-8") == known_csv()
