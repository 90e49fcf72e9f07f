from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from hashmatch.errors import BadFrame
from hashmatch.hotline.web.fetched_json import from_header, to_header
from hashmatch.model.hotline import Fetched, Hop, Outcome, TlsSeen

NOW = dt.datetime(2026, 11, 28, 9, 0, 0, 123_456, tzinfo=dt.UTC)
TLS = TlsSeen("TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=a", "CN=b", NOW, ("00" * 32,), "expired")
HOP = Hop("https://a.example/", "192.0.2.1", 443, ("b.example",), 200, (("A", "ÿ"), ("a", "")), TLS, downgraded=True,
    started_at=NOW, answered_at=NOW)  # fmt: skip
WHOLE = Fetched((HOP, Hop("http://a.example/")), None, "", "image/png", b"body", 3, NOW, "allowed")
ENDED = Fetched((), Outcome.DNS_FAIL, "the name does not exist")


def through_json(fetched: Fetched) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(to_header(fetched)))
    return made


@pytest.mark.parametrize("fetched", [WHOLE, ENDED])
def test_there_and_back(fetched: Fetched) -> None:
    header = through_json(fetched)
    assert "body" not in header
    assert from_header(header, fetched.body) == fetched


WRONG: list[tuple[str, Any]] = [
    ("outcome", "fine"), ("outcome", 3), ("hops", 1), ("hops", [{}]), ("hops", [[]]), ("detail", None), ("detail", 1),
    ("wire_bytes", "many"), ("wire_bytes", None), ("ended_at", "yesterday"), ("ended_at", 3), ("robots", []),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_nothing_is_taken_for_granted(key: str, value: Any) -> None:
    header = through_json(WHOLE) | {key: value}
    with pytest.raises(BadFrame, match=r"^an answer of the fetcher is not readable: "):
        from_header(header, b"")


@pytest.mark.parametrize("key", sorted(to_header(WHOLE)))
def test_nothing_may_be_missing(key: str) -> None:
    header = through_json(WHOLE)
    del header[key]
    with pytest.raises(BadFrame):
        from_header(header, b"")


def test_what_is_too_long_is_cut() -> None:
    header = through_json(WHOLE)
    header["detail"] = "x" * 2_000_000
    header["hops"] = header["hops"][:1] * 1_000
    header["hops"][0]["headers"] = [["a", "b"]] * 10_000
    made = from_header(header, b"")
    assert (len(made.detail), len(made.hops), len(made.hops[0].headers)) == (1 << 20, 64, 1_024)
