"""The DSA Transparency Database: a token, the rules of schema 2, identifiers that are taken once, and faults.

Theory of operation
-------------------
An aiohttp application on a free loopback port. Its rules are written down here once more, from the documentation of the
database and without the projection, so that each checks the other. As the real one, it notes an identifier before it
stores the statement, answers a search by identifier with 302 and no ``Location``, and stores a batch as a whole or not
at all. A fault is planned for one of the next requests; those of :data:`AFTERWARDS` happen once the request has done
what it does.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

TOKEN: Final = "made-up-token"  # noqa: S105 - opens nothing
AFTERWARDS: Final = frozenset({"lost", "late-error"})

_COUNTRIES = set(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()  # noqa: SIM905
)
_CHOICES: Final[Mapping[str, str]] = {
    "decision_monetary": "DECISION_MONETARY_(SUSPENSION|TERMINATION|OTHER)",
    "decision_provision": "DECISION_PROVISION_(PARTIAL|TOTAL)_(SUSPENSION|TERMINATION)",
    "decision_account": "DECISION_ACCOUNT_(SUSPENDED|TERMINATED)",
    "account_type": "ACCOUNT_TYPE_(BUSINESS|PRIVATE)",
    "decision_ground": "DECISION_GROUND_(ILLEGAL|INCOMPATIBLE)_CONTENT",
    "source_type": "SOURCE_(ARTICLE_16|TRUSTED_FLAGGER|TYPE_OTHER_NOTIFICATION|VOLUNTARY)",
    "automated_detection": "Yes|No",
    "automated_decision": "AUTOMATED_DECISION_(FULLY|PARTIALLY|NOT_AUTOMATED)",
    "incompatible_content_illegal": "Yes|No",
    "category": "STATEMENT_CATEGORY_[A-Z_]+",
    "content_language": "[A-Z]{2}",
    "puid": "[A-Za-z0-9_-]{1,500}",
}
_LISTS: Final[Mapping[str, str]] = {
    "decision_visibility": "DECISION_VISIBILITY_(CONTENT_(REMOVED|DISABLED|DEMOTED|AGE_RESTRICTED"
    "|INTERACTION_RESTRICTED|LABELLED)|OTHER)",
    "category_addition": "STATEMENT_CATEGORY_[A-Z_]+",
    "category_specification": "KEYWORD_[A-Z_]+",
    "content_type": "CONTENT_TYPE_(APP|AUDIO|IMAGE|PRODUCT|SYNTHETIC_MEDIA|TEXT|VIDEO|OTHER)",
    "territorial_scope": "|".join(sorted(_COUNTRIES)),
}
_LENGTHS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        (
            *("decision_visibility_other", "decision_monetary_other", "content_type_other", "source_identity"),
            *("category_specification_other", "illegal_content_legal_ground", "incompatible_content_ground"),
            "decision_ground_reference_url",
        ),
        500,
    ),
    "illegal_content_explanation": 2_000,
    "incompatible_content_explanation": 2_000,
    "decision_facts": 5_000,
}
_DATES: Final[Mapping[str, tuple[str, str]]] = {
    "content_date": ("2000-01-01", "2038-01-01"),
    "application_date": ("2020-01-01", "2038-01-01"),
    **{
        f"end_date_{kind}_restriction": ("2020-01-01", "2038-01-01")
        for kind in ("visibility", "monetary", "service", "account")
    },
}
_REQUIRED: Final = [
    "puid",
    "decision_ground",
    "category",
    "content_type",
    "content_date",
    "application_date",
    "decision_facts",
    "source_type",
    "automated_detection",
    "automated_decision",
]
_DECISIONS: Final = ("decision_visibility", "decision_monetary", "decision_provision", "decision_account")
_GROUNDS: Final = {
    "DECISION_GROUND_ILLEGAL_CONTENT": ("illegal_content_legal_ground", "illegal_content_explanation"),
    "DECISION_GROUND_INCOMPATIBLE_CONTENT": ("incompatible_content_ground", "incompatible_content_explanation"),
}
_OTHERS: Final = {
    "decision_visibility": ("DECISION_VISIBILITY_OTHER", "decision_visibility_other"),
    "decision_monetary": ("DECISION_MONETARY_OTHER", "decision_monetary_other"),
    "content_type": ("CONTENT_TYPE_OTHER", "content_type_other"),
}
_REMOVED: Final = frozenset(
    {
        *("STATEMENT_CATEGORY_NON_CONSENSUAL_BEHAVIOUR", "STATEMENT_CATEGORY_PORNOGRAPHY_OR_SEXUALIZED_CONTENT"),
        *("STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE", "STATEMENT_CATEGORY_UNSAFE_AND_ILLEGAL_PRODUCTS"),
        *("KEYWORD_REGULATED_GOODS_SERVICES", "KEYWORD_DANGEROUS_TOYS"),
    }
)


def errors_of(statement: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the database would say of a statement, by field."""
    found: dict[str, list[str]] = {}
    for field, message in _errors(statement):
        found.setdefault(field, []).append(message)
    return found


def _errors(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _REQUIRED:
        if not given.get(field):
            yield field, f"The {field} field is required."
    if not any(given.get(field) for field in _DECISIONS):
        yield from ((field, f"The {field} field is required when none of the others are.") for field in _DECISIONS)
    for field in _GROUNDS.get(str(given.get("decision_ground")), ()):
        if not given.get(field):
            yield field, f"The {field} field is required with this ground."
    for field, (word, text) in _OTHERS.items():
        if word in (given.get(field) or []) and not given.get(text):
            yield text, f"The {text} field is required."
    for field, value in given.items():
        yield from ((field, message) for message in _wrong(field, value))


def _wrong(field: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with one value that is there."""
    if field in _CHOICES and not _chosen(_CHOICES[field], value):
        yield f"The selected {field} is invalid."
    if field in _LISTS and not (isinstance(value, list) and all(_chosen(_LISTS[field], item) for item in value)):
        yield f"The selected {field} is invalid."
    if field in _LENGTHS and not (isinstance(value, str) and len(value) <= _LENGTHS[field]):
        yield f"The {field} may not be greater than {_LENGTHS[field]} characters: {str(value)[:10]}"
    if field in _DATES and not _DATES[field][0] <= _day(value) <= _DATES[field][1]:
        yield f"The {field} must be between {' and '.join(_DATES[field])}."
    if field == "content_id" and not (set(value) == {"EAN-13"} and re.fullmatch(r"\d{13}", value["EAN-13"])):
        yield "The content_id is invalid."
    if field not in {*_CHOICES, *_LISTS, *_LENGTHS, *_DATES, "content_id"}:
        yield f"The {field} field is unknown."


def _chosen(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None and value not in _REMOVED


def _day(value: Any) -> str:
    """Return a date in its canonical form, an impossible one as nothing."""
    try:
        return dt.date.fromisoformat(value).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else ""
    except (TypeError, ValueError):
        return ""


ANSWERS: Final[Mapping[str, Callable[[], web.Response]]] = {
    "busy": lambda: web.json_response({"message": "Too Many Attempts."}, status=429, headers={"Retry-After": "7"}),
    "error": lambda: web.Response(status=500, text="<html>oops</html>"),
    "down": lambda: web.Response(status=503),
    "late-error": lambda: web.Response(status=502),
    "nothing-named": lambda: web.json_response({"message": "no"}, status=422),
    "no-json": lambda: web.Response(status=422, text="<html>"),
    "moved": lambda: web.Response(status=308, headers={"Location": "http://127.0.0.2:1/"}),
    "forbidden": lambda: web.json_response({"message": "Unauthorized"}, status=403),
    "stored-nameless": lambda: web.json_response({}, status=201),
}
"""Fault to its answer; ``dropped`` closes the connection instead, before anything, ``lost`` after everything."""


class Database:
    """Use as an async context manager; ``url`` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.statements: dict[str, dict[str, Any]] = {}
        """Identifier to statement."""
        self.noted: set[str] = set()
        """Identifiers that are taken, with or without a statement."""
        self.hidden: set[str] = set()
        """Identifiers that the search index does not have yet."""
        self.requests: list[str] = []
        self.faults: deque[str] = deque()
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<Database {self.url}: {len(self.statements)} statements, faults {list(self.faults)}>"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        fault = self.faults.popleft() if self.faults else ""
        body = await request.read()
        answer = self._routed(request, body) if fault in AFTERWARDS or not fault else None
        if fault in {"dropped", "lost"}:
            assert request.transport is not None
            request.transport.close()
        return ANSWERS[fault]() if fault in ANSWERS else answer or web.Response()

    def _routed(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Unauthenticated."}, status=401)
        path = request.path.removeprefix("/api/v1/")
        if request.method == "POST":
            assert request.headers["Content-Type"] == request.headers["Accept"] == "application/json"
            return {"statement": self._one, "statements": self._many}[path](json.loads(body))
        kind, _, rest = path.removeprefix("statement/").partition("/")
        found = self._by_puid(rest) if kind == "existing-puid" else self._by_uuid(kind)
        if found is None:
            return web.json_response({"message": "statement of reason not found"}, status=404)
        return web.json_response(found, status=302 if rest else 200)

    def _by_puid(self, puid: str) -> dict[str, Any] | None:
        return None if puid in self.hidden else self.statements.get(puid)

    def _by_uuid(self, identity: str) -> dict[str, Any] | None:
        return next((item for item in self.statements.values() if item["uuid"] == identity), None)

    def _one(self, given: dict[str, Any]) -> web.Response:
        if errors := errors_of(given):
            return web.json_response({"message": "The given data was invalid.", "errors": errors}, status=422)
        if given["puid"] in self.noted:
            message = "The identifier given is not unique within this platform."
            taken = {"message": message, "errors": {"puid": [message]}, "existing": {"puid": given["puid"]}}
            return web.json_response(taken, status=422)
        return web.json_response(self._store(given), status=201)

    def _many(self, given: dict[str, Any]) -> web.Response:
        statements = given["statements"]
        if not 1 <= len(statements) <= 100:
            return web.json_response({"errors": {"statements": ["between 1 and 100"]}}, status=422)
        errors = {f"statement_{n}": found for n, item in enumerate(statements) if (found := errors_of(item))}
        if errors:
            return web.json_response({"errors": errors}, status=422)
        puids = [item["puid"] for item in statements]
        taken = [puid for puid in puids if puid in self.noted or puids.count(puid) > 1]
        if taken:
            message = "The platform identifier(s) are not all unique within this call."
            told = {"message": message, "errors": {"puid": [message], "existing_puids": taken}}
            return web.json_response(told, status=422)
        return web.json_response({"statements": [self._store(item) for item in statements]}, status=201)

    def _store(self, given: dict[str, Any]) -> dict[str, Any]:
        self.noted.add(given["puid"])
        stored = given | {"uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, given["puid"])), "platform_name": "Example"}
        self.statements[given["puid"]] = stored
        return stored
