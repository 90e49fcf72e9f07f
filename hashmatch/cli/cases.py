"""What the commands of ``hashmatch report`` share: the casework of the catalog, and how cases are printed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.errors import BadInput
from hashmatch.model.cases import Case

if TYPE_CHECKING:
    from hashmatch.model.deliveries import DeliveryStatus
    from hashmatch.service.casework import Casework

MAX_INPUT_BYTES = 4 << 20
"""Of facts or a match report; a case has a few kilobytes."""

CASE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "case": "the whole record; fields that say nothing are left out",
    }
)
"""Keys of a line of ``report create``, ``list``, ``close``, ``reopen``, ``confirm`` and ``reject``."""

DELIVERY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "delivery_id": "names it",
        "case_id": "the case that it is of",
        "further_case_ids": "other cases that the same document tells",
        "outlet": "where it goes",
        "environment": "`test` or `production`",
        "format": "what it says it in",
        "state": "`held`, `queued`, `sending`, `waiting`, `delivered`, `dead`, `unsure` or `cancelled`",
        "attempt": "tries so far",
        "due_at": "when it is tried next; of one that waits for its file, by when that must have come",
        "external_id": "the receiver's number",
        "reason": "what the receiver said, or why it was given up",
        "requested_by": "who asked for it",
        "released_by": "the second person, where one is needed",
        "sha256": "of what is sent",
    }
)
"""Keys of a line of ``report send``, ``decide``, ``outbox`` and ``deliver``."""


@contextlib.contextmanager
def casework(options: GlobalOptions, *, make: bool = False) -> Iterator[Casework]:
    """Hold the casework of the configured catalog."""
    from hashmatch.cli.hashset import open_catalog
    from hashmatch.service.casework import Casework
    from hashmatch.service.desk import receipts_key

    config = options.load_config()
    with open_catalog(options, make=make) as catalog:
        yield Casework(catalog, config, receipts_key(config.cases, options.data_dir))


CASE_COLUMNS = ("case", "state", "domain", "observed", "platform", "where", "lists")
_STATE_STYLES = MappingProxyType({"dead": "red", "unsure": "bold red", "delivered": "green"})


def print_cases(output: Output, *cases: Case) -> None:
    """Print cases, one per line."""
    with output.results(*CASE_COLUMNS) as results:
        for case in cases:
            add_case(results, case)


def print_deliveries(output: Output, *deliveries: DeliveryStatus) -> None:
    """Print deliveries, one per line."""
    columns = ("delivery", "outlet", "environment", "format", "state", "tries", "due", "number there", "why")
    with output.results(*columns) as results:
        for item in deliveries:
            state = item.state.value
            styled = Styled(state, _STATE_STYLES[state]) if state in _STATE_STYLES else state
            due = item.due_at.isoformat(timespec="seconds")
            head = (item.delivery_id, item.outlet, item.environment.value, item.format)
            results.add(delivery_record(item), *head, styled, item.attempt, due, item.external_id, item.reason)


def delivery_record(item: DeliveryStatus) -> dict[str, object]:
    """Return a delivery as ``--json`` prints it."""
    from hashmatch.report.plain import to_plain

    return {name: to_plain(getattr(item, name)) for name in DELIVERY_FIELDS}


def add_case(results: Results, case: Case) -> None:
    """Add one case to what is printed."""
    from hashmatch.report.plain import to_plain

    where = case.locator.urls[0] if case.locator.urls else case.locator.content_ref
    lists = ", ".join(sorted({match.list_name for match in case.matches}))
    observed = case.observed_at.isoformat(timespec="seconds")
    cells = (case.case_id, case.state.value, case.domain.value, observed, case.platform, where, lists)
    results.add({"case": to_plain(case)}, *cells)


def json_of(stream: Any, what: str) -> Any:
    """Return the JSON of a file that somebody gave; raises BadInput naming ``what``."""
    data = stream.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise BadInput(f"{what}: more than {MAX_INPUT_BYTES} bytes; give one JSON object", field=what)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what}: not a JSON object: {error}", field=what) from error
