"""The DSA Transparency Database as an outlet: one statement of reasons, or a batch, and none of them twice.

Theory of operation
-------------------
A statement is named by its ``puid``, which the platform makes and the database takes once. So a statement may be sent
again whenever it is unknown whether it arrived: when it did, the database answers 422 and says that the ``puid``
exists. That alone is not believed. The database notes a ``puid`` before it stores the statement, so one may be
taken without a statement behind it; the statement is asked for, and only one that is found counts as delivered. Finding
goes by a search index that is a little behind, so what is not found yet is asked for again later.

A batch is stored as a whole or not at all. Where the database says that identifiers of it exist, each is asked for:
all of them there means that an earlier try arrived; some of them, that statements of this batch were sent otherwise,
and a person has to take them out.

What this module deliberately does not do: it checks no statement (``projections`` has), and it never repeats in a
message what the database says of a field: its answers quote what was sent.

Source
------
Documentation of the DSA Transparency Database, "API"; its published source code, for the shapes of its refusals.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, quote

from hashmatch.addresses import PRODUCTION, TEST, check_environment
from hashmatch.model.cases import Environment
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Refused, Save
from hashmatch.outbox.wire import Lost, Reply, Wire
from hashmatch.sections import OutboxConfig

HOSTS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "transparency.dsa.ec.europa.eu": PRODUCTION,
        "sandbox-transparency.dsa.ec.europa.eu": TEST,
    }
)
"""Host to its environment. The sandbox's name could not be looked up where this was written: one that is missing here
is taken for what the configuration says it is."""

PATHS: Final[Mapping[str, str]] = types.MappingProxyType(
    {"dsa-sor": "api/v1/statement", "dsa-sor-batch": "api/v1/statements"}
)
"""Format of a document to where it is posted."""

EXISTING_PATH: Final = "api/v1/statement/existing-puid/"
MAX_NAMED: Final = 10
"""Fields, or statements of a batch, that one reason names; the rest is counted."""

_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_FOUND, _NOT_FOUND, _BUSY, _BROKEN = 302, 404, 429, 500
_REFUSED: Final = frozenset({401, 403})


class DsaDatabase:
    """One account at the database. ``repr`` shows no token.

    Parameters
    ----------
    name : str
        Of the outlet, for messages.
    base : SplitResult
        Address of the host, without ``/api``, judged (``hashmatch.addresses``).
    environment : Environment
        Which world it is said to belong to.
    secrets : mapping
        With ``token``.
    config : OutboxConfig
        Bounds of time and size.

    Raises
    ------
    BadConfig
        The host is known to be of the other environment.

    """

    def __init__(
        self, name: str, base: SplitResult, environment: Environment, secrets: Mapping[str, str], config: OutboxConfig
    ) -> None:
        check_environment(f"outbox.outlets.{name}.url", base, environment.value, HOSTS)
        self._environment = environment
        self._wire = Wire(base, config, {"Authorization": f"Bearer {secrets['token']}", "Accept": "application/json"})

    def __repr__(self) -> str:
        return f"<DsaDatabase {self._environment.value}: {self._wire!r}>"

    async def close(self) -> None:
        """Let go of connections."""
        await self._wire.close()

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Post the statement or the batch; sending again is safe, so nothing is saved in between."""
        del save
        path = PATHS.get(parcel.document.format)
        if path is None:
            formats = " and ".join(PATHS)
            return Refused(f"the database takes {formats}, not {parcel.document.format}")
        reply = await self._wire.ask("POST", path, body=parcel.document.body, headers=_JSON)
        if isinstance(reply, Lost):
            return reply.again()
        match reply.status:
            case 201:
                return self._stored(reply)
            case 422:
                return await self._invalid(parcel, reply)
        return self._judged(reply, path)

    def _stored(self, reply: Reply) -> Outcome:
        tree = _tree(reply)
        ids = _uuids(tree)
        if not ids:
            return Again(f"{self._wire.host}: says stored and names no statement; asked again by its puid")
        return Delivered(ids[0] if len(ids) == 1 else ",".join(ids), f"stored: {_count(len(ids))}")

    async def _invalid(self, parcel: Parcel, reply: Reply) -> Outcome:
        """Tell statements that are there already from those that break a rule."""
        tree = _tree(reply)
        said = tree.get("errors")
        errors: dict[str, Any] = said if isinstance(said, dict) else {}
        names = sorted(errors)
        taken = "existing" in tree or "existing" in names or "existing_puids" in names
        if taken:
            return await self._existing(_puids(parcel.document.body))
        if not names:
            return Refused(f"{self._wire.host}: the statement was refused, and no field named (HTTP 422)")
        if parcel.document.format == "dsa-sor-batch":
            told = [_in_batch(name, errors[name]) for name in sorted(names, key=_index_of)]
            return Refused(f"{self._wire.host}: nothing of the batch was stored; refused {_named(told)}")
        return Refused(f"{self._wire.host}: refused because of {_named(names)}")

    async def _existing(self, puids: list[str]) -> Outcome:
        """Ask for statements whose identifiers are said to exist."""
        found: dict[int, str] = {}
        for index, puid in enumerate(puids):
            reply = await self._wire.ask("GET", EXISTING_PATH + quote(puid, safe=""))
            if isinstance(reply, Lost):
                return reply.again()
            if reply.status == _FOUND:
                found[index] = str(_tree(reply).get("uuid") or "")
            elif reply.status != _NOT_FOUND:
                return self._judged(reply, EXISTING_PATH)
        if len(found) == len(puids):
            ids = ",".join(identity for identity in found.values() if identity)
            return Delivered(ids, f"was there already: {_count(len(found))}")
        if not found:
            return Again(
                f"{self._wire.host}: says that the puid is taken, and finds no statement of it yet; where that stays "
                "so, the database has noted the puid without the statement: ask its operators"
            )
        there = _named([f"statements[{index}]" for index in found])
        return Refused(
            f"{self._wire.host}: nothing of the batch was stored, because {there} {'is' if len(found) == 1 else 'are'} "
            "there already; send the others without"
        )

    def _judged(self, reply: Reply, path: str) -> Outcome:
        told = f"{self._wire.host}: {path}: HTTP {reply.status}"
        if reply.status in _REFUSED:
            return Refused(f"{told}: the token was refused; renew it and send the delivery again")
        if reply.status == _BUSY or reply.status >= _BROKEN:
            return Again(told, reply.retry_after_s)
        return Refused(told)


def _tree(reply: Reply) -> dict[str, Any]:
    """Return an answer's JSON object, an empty one where there is none."""
    try:
        untrusted_tree = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return untrusted_tree if isinstance(untrusted_tree, dict) else {}


def _uuids(tree: Mapping[str, Any]) -> list[str]:
    statements = tree.get("statements", [tree])
    if not isinstance(statements, list):
        return []
    found = [item.get("uuid") for item in statements if isinstance(item, dict)]
    return [identity for identity in found if isinstance(identity, str) and identity]


def _puids(body: bytes) -> list[str]:
    """Return the identifiers of our own document."""
    tree = json.loads(body)
    return [statement["puid"] for statement in tree.get("statements", [tree])]


def _index_of(name: str) -> tuple[int, str]:
    """Sort key of an error's name, so that ``statement_10`` comes after ``statement_9``."""
    number = name.removeprefix("statement_")
    return (int(number) if number.isascii() and number.isdecimal() else -1, name)


def _in_batch(name: str, errors: object) -> str:
    index, _ = _index_of(name)
    if index < 0 or not isinstance(errors, dict):
        return name
    return f"statements[{index}] because of {_named(sorted(map(str, errors)))}"


def _named(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:MAX_NAMED])
    return f"{shown} and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else shown


def _count(number: int) -> str:
    return f"{number} statement" if number == 1 else f"{number} statements"
