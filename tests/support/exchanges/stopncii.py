"""StopNCII's API, version 1: hashes that are fetched, feedback that is submitted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aiohttp import web

from hashmatch.model import EntryStatus
from tests.support.exchanges.base import BEGINNING, Exchange, Truth

FUNCTIONS_KEY, SUBSCRIPTION_KEY, FEEDBACK_KEY = "fetch-key", "subscription-key", "feedback-key"
US = "Our Platform"


@dataclass
class Record:
    """One hash and what was said of it."""

    value: str
    changed: int
    status: str = "Active"
    feedback: dict[str, str] = field(default_factory=dict)


class StopNcii(Exchange):
    """The exchange; tokens of pages hold until :meth:`forget_tokens`."""

    prefix = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, Record] = {}
        self.feedback: list[dict[str, object]] = []
        self._tokens: dict[str, int] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return [
            web.get(f"{self.prefix}/FetchHashes", self.fetch),
            web.post(f"{self.prefix}/SubmitFeedback", self.take_feedback),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        """Answer wrong keys as an API gateway does."""
        key = FEEDBACK_KEY if request.path.endswith("SubmitFeedback") else FUNCTIONS_KEY
        if request.headers.get("Ocp-Apim-Subscription-Key") != SUBSCRIPTION_KEY:
            return web.json_response({"statusCode": 401, "message": "Access denied"}, status=401)
        return None if request.headers.get("x-functions-key") == key else web.Response(status=401)

    async def fetch(self, request: web.Request) -> web.Response:
        """Give one page."""
        begin = int(request.query["startTimestamp"])
        found = sorted(
            (record for record in self.records.values() if record.changed >= begin),
            key=lambda record: (record.changed, record.value),
        )
        start = 0
        if token := request.query.get("nextPageToken"):
            if token not in self._tokens:
                return web.json_response({"message": "the token is not valid"}, status=400)
            start = self._tokens[token]
        size = min(int(request.query["pageSize"]), self.page_size)
        page = found[start : start + size]
        more = start + size < len(found)
        token = f"t{len(self._tokens)}" if more else ""
        if more:
            self._tokens[token] = start + size
        tree = {
            "count": len(page),
            "nextPageToken": token or None,
            "nextSetTimestamp": page[-1].changed if page else max(begin, BEGINNING),
            "hasMoreRecords": more,
            "hashRecords": [_record(record) for record in page],
        }
        return web.json_response(tree)

    async def take_feedback(self, request: web.Request) -> web.Response:
        """Keep our feedback in place of the one before."""
        tree = await request.json()
        for said in tree["hashFeedbacks"]:
            self.feedback.append(said)
            if (record := self.records.get(said["hashValue"])) is None:
                return web.json_response({"message": "no such hash"}, status=400)
            record.feedback[US] = said["feedbackValue"]
            self._touch(record)
        return web.json_response({"count": tree["count"]})

    def forget_tokens(self) -> None:
        """Let all tokens expire."""
        self._tokens = {f"gone{number}": 0 for number in range(len(self._tokens))}

    def truth(self) -> Truth:
        """Return what a set must equal."""
        return {
            f"ImagePDQ:{record.value}": (
                EntryStatus.ACTIVE if record.status == "Active" else EntryStatus.WITHDRAWN,
                frozenset({("pdq", record.value)}),
            )
            for record in self.records.values()
        }

    def put(self, number: int) -> None:
        """Add a hash, or bring it back: somebody opened another case."""
        value = _value(number)
        record = self.records.setdefault(value, Record(value, 0))
        record.status = "Active"
        self._touch(record)

    def delete(self, number: int) -> None:
        """Withdraw a hash."""
        if (record := self.records.get(_value(number))) is not None:
            record.status = "Deleted" if number % 2 else "Withdrawn"
            self._touch(record)

    def say(self, number: int, *, good: bool) -> None:
        """Have another platform report what it did."""
        if (record := self.records.get(_value(number))) is not None:
            record.feedback["Other Platform"] = "Blocked" if good else "NotBlocked"
            self._touch(record)

    def _touch(self, record: Record) -> None:
        self.now += 1
        record.changed = self.now


def _value(number: int) -> str:
    return hashlib.sha256(f"stopncii {number}".encode()).hexdigest()


def _record(record: Record) -> dict[str, object]:
    return {
        "lastModtimestamp": record.changed,
        "signalType": "ImagePDQ",
        "hashValue": record.value,
        "hashStatus": record.status,
        "caseNumbers": {"C-1": record.status},
        "CSPFeedbacks": [
            {"source": source, "feedbackValue": said, "tags": []} for source, said in record.feedback.items()
        ],
    }
