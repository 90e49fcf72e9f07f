"""HTML: one page that stands by itself, with charts, filters and both tables, and with nothing to look at but words.

Theory of operation
-------------------
The template lays out, escaping every text. The page's policy (CSP) allows the one style and the one script that are in
it, by their digests, and nothing else: no picture, no frame, no connection, no form, no address of anything. Addresses
are de-fanged whatever is asked for, and none is a link. The charts are SVG with shapes and texts.

Rows are written as they are read; those that matched come first, and of the others as many as :data:`MAX_ROWS` leaves
room for, since a browser lays out all of them at once. What is left out is said on the page; the other formats have
everything.

What this module deliberately does not do: it computes no figure that the job file does not give it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
from collections.abc import Iterator
from importlib import resources
from typing import BinaryIO, Final

import jinja2

from hashmatch.hotline.jobs.gravity import GRAVITY, MATCHED
from hashmatch.hotline.outputs.charts import Amount, Chart, lying, standing
from hashmatch.hotline.outputs.found import Found
from hashmatch.hotline.outputs.rows import CODES, Row, Shown, item_row, summary_row
from hashmatch.report.json import moment_to_json

MAX_ROWS: Final = 20_000
"""Of each table; browsers take seconds to lay out more."""

MOST_BARS: Final = 15
STRETCHES: Final = 48

IMAGE_COLUMNS: Final = (
    "number", "outcome_code", "item_url", "page_url", "discovered_via", "list_id", "entry_id", "distance",
    "harm_domain", "classification_value", "country", "as_org", "cdn", "ip", "http_status", "bytes", "width", "height",
    "sha256", "detail", "evidence_id",
)  # fmt: skip
URL_COLUMNS: Final = (
    "number", "outcome_code", "report_id", "url_received", "final_page_url", "images", "matches", "country", "as_org",
    "cdn", "ip", "http_status", "redirects", "robots", "fetched_at", "same_as", "detail",
)  # fmt: skip

_FOLDER: Final = resources.files(__package__) / "templates"


def write_html(found: Found, stream: BinaryIO, address: Shown) -> None:
    """Write the page; its addresses are de-fanged, whatever is asked for."""
    del address
    style, script = ((_FOLDER / name).read_text("utf-8") for name in ("report.css", "report.js"))
    states = found.tally()
    items = found.results.item_tally()
    page = _template().generate(
        policy=_policy(style, script),
        style=style,
        script=script,
        written_at=moment_to_json(found.written_at),
        created_at=moment_to_json(found.origin.created_at),
        list_sha256=found.origin.list_sha256,
        totals=_totals(found, sum(items.values()), sum(items.get(outcome, 0) for outcome in MATCHED)),
        charts=_charts(found),
        tables=(
            ("images", "Images", IMAGE_COLUMNS, _images(found), max(0, sum(items.values()) - MAX_ROWS)),
            ("urls", "Addresses", URL_COLUMNS, _urls(found), max(0, found.origin.listed - MAX_ROWS)),
        ),
        codes=[CODES[outcome] for outcome in GRAVITY if outcome in states or outcome in items],
        matched=frozenset(CODES[outcome] for outcome in MATCHED),
    )
    stream.writelines(text.encode("utf-8", "backslashreplace") for text in page)


def _totals(found: Found, images: int, matches: int) -> tuple[tuple[str, str], ...]:
    listed = found.origin.listed
    matched = sum(found.tally().get(outcome, 0) for outcome in MATCHED)
    return (
        ("addresses", f"{listed:,}"),
        ("with a match", f"{matched:,}"),
        ("images", f"{images:,}"),
        ("images that matched", f"{matches:,}"),
    )


def _charts(found: Found) -> tuple[Chart, ...]:
    tally, results = found.tally(), found.results
    outcomes = [Amount(CODES[outcome], tally[outcome]) for outcome in GRAVITY if tally.get(outcome)]
    hosts = [Amount(host.name.replace(".", "[.]"), host.items, host.matches) for host in results.hosts(MOST_BARS)]
    countries = [Amount(one.name or "not known", one.items, one.matches) for one in results.countries(MOST_BARS)]
    times = [
        Amount(str(moment_to_json(stretch.begins_at)), stretch.checked, stretch.matched)
        for stretch in results.over_time(STRETCHES)
    ]
    return (
        lying("Outcomes of addresses", outcomes),
        lying("Images by host", hosts),
        lying("Images by country", countries),
        standing("Addresses checked over time", times),
    )


def _images(found: Found) -> Iterator[Row]:
    """Yield rows of images, those that matched first."""
    return itertools.islice(
        itertools.chain(
            (item_row(*pair) for pair in found.results.items() if pair[1].outcome in MATCHED),
            (item_row(*pair) for pair in found.results.items() if pair[1].outcome not in MATCHED),
        ),
        MAX_ROWS,
    )


def _urls(found: Found) -> Iterator[Row]:
    return itertools.islice(
        itertools.chain(
            (summary_row(*pair) for pair in found.summaries() if pair[1].outcome in MATCHED),
            (summary_row(*pair) for pair in found.summaries() if pair[1].outcome not in MATCHED),
        ),
        MAX_ROWS,
    )


def _policy(style: str, script: str) -> str:
    """Return the page's content security policy."""
    return (
        f"default-src 'none'; style-src {_allowed(style)}; script-src {_allowed(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hashmatch.hotline.outputs"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("report.html")
