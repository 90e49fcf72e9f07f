"""Whom a report of Annex III is about: where an upload came from, the users, and what was decided about them.

Theory of operation
-------------------
The template has room for one address of the upload, with its time, zone and port: it is that of the latest event named
upload, or of the latest event where none is named so. The others stand with the user, as other data.

What this module deliberately does not do: it makes up nobody. A case without subject has no location and no users.

Source: COM(2022) 209 final, Annex III, points 5, 6 and 11.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from hashmatch.model.cases import Account, Case, NetworkEvent, Problem
from hashmatch.projections import findings

MAX_PORT: Final = 65_535
_DECISIONS: Final = {Account.SUSPENDED: "account suspended", Account.TERMINATED: "account terminated"}
_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


def problems(case: Case) -> Iterator[Problem]:
    """Yield addresses and ports that are none."""
    for index, event in enumerate(() if case.subject is None else case.subject.network_events):
        field = f"subject.network_events[{index}]"
        try:
            ipaddress.ip_address(event.ip)
        except ValueError:
            yield Problem(f"{field}.ip", "address", "is no IP address")
        if event.port is not None and not 1 <= event.port <= MAX_PORT:
            yield Problem(f"{field}.port", "port", f"{event.port} is no port: expected 1 to {MAX_PORT}")


def location(case: Case) -> dict[str, Any]:
    """Return point 5."""
    event = _upload(case)
    if event is None:
        return {}
    return findings.without_empty(
        {"ip": event.ip, "timestamp": None if event.at is None else findings.stamp(event.at), "port": event.port}
    )


def users(case: Case) -> list[dict[str, Any]]:
    """Return point 6."""
    subject = case.subject
    if subject is None:
        return []
    logins = [event.at for event in subject.network_events if event.event == "login" and event.at is not None]
    rest = [_told(event) for event in subject.network_events if event is not _upload(case)]
    user = findings.without_empty(
        {
            "username": subject.screen_name,
            "email": ", ".join(subject.emails),
            "phone": ", ".join(subject.phones),
            "profile": subject.profile_url,
            "last_login": findings.stamp(max(logins)) if logins else "",
            "unique_id": subject.account_id,
            "other": "; ".join(filter(None, (*subject.display_names, *rest, subject.note))),
        }
    )
    return [user] if user else []


def user_decision(case: Case) -> dict[str, Any]:
    """Return point 11."""
    account = None if case.decision is None else case.decision.account
    return {"taken": False} if account is None else {"taken": True, "decision": _DECISIONS[account]}


def _upload(case: Case) -> NetworkEvent | None:
    events = () if case.subject is None else case.subject.network_events
    uploads = [event for event in events if event.event == "upload"] or events
    return max(uploads, key=lambda event: event.at or _NEVER, default=None)


def _told(event: NetworkEvent) -> str:
    return " ".join(
        filter(
            None,
            (
                event.event or "seen at",
                event.ip,
                f"port {event.port}" if event.port else "",
                findings.stamp(event.at) if event.at else "",
            ),
        )
    )
