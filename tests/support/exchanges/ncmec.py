"""NCMEC's hash sharing API, version 2, as far as a member reads it and gives feedback."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web
from lxml import etree

from hashmatch.exchange.ncmec import NAMESPACE
from hashmatch.model import EntryStatus
from tests.support.exchanges.base import Exchange, Truth

USERNAME, PASSWORD = "member", "secret word"
US, OTHER = ("1", "Our Organisation"), ("42", "Example Member")
REASONS = {"MD5": {"g-1": "Not the same file", "g-2": "Not harmful"}}


@dataclass
class Item:
    """One entry at NCMEC."""

    own_id: str
    kind: str
    timestamp: int
    md5: str
    pdq: str
    classification: str = "A1"
    deleted: bool = False
    feedback: dict[tuple[str, str], dict[str, tuple[str, str]]] = field(default_factory=dict)
    """(stance, fingerprint) to member id, with the member's name and the reason's guid."""


def moment(seconds: int) -> str:
    """Write a time as NCMEC does."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ncmec(Exchange):
    """The exchange; entries come in no order of time."""

    prefix = "/hashsharing"

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, Item] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return [
            web.get(f"{self.prefix}/v2/status", self.status),
            web.get(f"{self.prefix}/v2/entries", self.entries),
            web.get(f"{self.prefix}/v2/feedback/{{fingerprint}}/reasons", self.reasons),
            web.put(f"{self.prefix}/v2/entries/{{member}}/{{own_id}}/{{fingerprint}}/feedback", self.take_feedback),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        """Answer wrong credentials with 401 and nothing else."""
        right = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        return None if request.headers.get("Authorization") == right else web.Response(status=401)

    async def status(self, request: web.Request) -> web.Response:
        """Say who is asking."""
        del request
        body = f'<status xmlns="{NAMESPACE}"><ipAddress>127.0.0.1</ipAddress><username>{USERNAME}</username>'
        return xml(f'{body}<member id="{US[0]}">{US[1]}</member></status>')

    async def entries(self, request: web.Request) -> web.Response:
        """Give one page of a range."""
        begin, end = (dt.datetime.fromisoformat(request.query[key]).timestamp() for key in ("from", "to"))
        found = [item for item in self.items.values() if begin <= item.timestamp <= end]
        found.sort(key=lambda item: hashlib.sha256(item.own_id.encode()).digest())
        start = int(request.query.get("start", "1"))
        size = int(request.query.get("size", str(self.page_size)))
        page = found[start - 1 : start - 1 + size]
        paging = ""
        if start + size <= len(found):
            query = f"from={request.query['from']}&to={request.query['to']}&start={start + size}&size={size}"
            paging = f"<paging><next>{escape(f'/v2/entries?{query}&max={len(found)}')}</next></paging>"
        images = self._list("images", [item for item in page if item.kind == "image"])
        videos = self._list("videos", [item for item in page if item.kind == "video"])
        return xml(f'<queryResult xmlns="{NAMESPACE}">{images}{videos}{paging}</queryResult>')

    async def reasons(self, request: web.Request) -> web.Response:
        """List the reasons against a fingerprint."""
        known = REASONS.get(request.match_info["fingerprint"], {})
        listed = "".join(f"<reason guid={quoteattr(guid)} name={quoteattr(name)}/>" for guid, name in known.items())
        return xml(f'<reasons xmlns="{NAMESPACE}">{listed}</reasons>')

    async def take_feedback(self, request: web.Request) -> web.Response:
        """Keep our feedback in place of the one before."""
        item = self.items.get(request.match_info["own_id"])
        fingerprint = request.match_info["fingerprint"]
        if item is None or item.deleted or request.match_info["member"] != OTHER[0]:
            return web.Response(status=404)
        root = etree.fromstring(await request.read())
        guids = [str(element.text) for element in root.iter(f"{{{NAMESPACE}}}guid")]
        negative = root.find(f"{{{NAMESPACE}}}negative") is not None
        if negative and not all(guid in REASONS.get(fingerprint, {}) for guid in guids or ["none"]):
            return web.Response(status=400)
        for stance in ("affirmative", "negative"):
            item.feedback.get((stance, fingerprint), {}).pop(US[0], None)
        stance = "negative" if negative else "affirmative"
        item.feedback.setdefault((stance, fingerprint), {})[US[0]] = (US[1], guids[0] if guids else "")
        self._touch(item)
        return web.Response(status=200)

    def truth(self) -> Truth:
        """Return what a set must equal."""
        return {
            f"{OTHER[0]}:{item.own_id}": (
                EntryStatus.WITHDRAWN if item.deleted else EntryStatus.ACTIVE,
                frozenset({("md5", item.md5), ("pdq", item.pdq)}),
            )
            for item in self.items.values()
        }

    def put(self, number: int) -> None:
        """Add an entry, classify it anew, or bring it back."""
        own_id = f"i-{number}"
        if (item := self.items.get(own_id)) is None:
            digest = hashlib.sha256(own_id.encode()).hexdigest()
            kind = "video" if number % 4 == 0 else "image"
            item = self.items[own_id] = Item(own_id, kind, 0, digest[:32], digest)
        item.classification = "B2" if item.classification == "A1" and not item.deleted else "A1"
        item.deleted = False
        self._touch(item)

    def delete(self, number: int) -> None:
        """Leave a tombstone."""
        if (item := self.items.get(f"i-{number}")) is not None:
            item.deleted = True
            self._touch(item)

    def say(self, number: int, *, good: bool) -> None:
        """Another member gives feedback on the MD5."""
        if (item := self.items.get(f"i-{number}")) is not None:
            stance = "affirmative" if good else "negative"
            item.feedback = {(stance, "MD5"): {"9": ("Third Member", "" if good else "g-1")}}
            self._touch(item)

    def _touch(self, item: Item) -> None:
        self.now += 1
        item.timestamp = self.now

    def _list(self, name: str, items: list[Item]) -> str:
        latest = f' maxTimestamp="{moment(max(item.timestamp for item in items))}"' if items else ""
        return f'<{name} count="{len(items)}"{latest}>{"".join(map(_item, items))}</{name}>'


def _item(item: Item) -> str:
    member = f'<member id="{OTHER[0]}">{OTHER[1]}</member>'
    about = f"<id>{item.own_id}</id><timestamp>{moment(item.timestamp)}</timestamp>"
    if item.deleted:
        name = f"deleted{item.kind.title()}"
        return f"<{name}>{member}{about}</{name}>"
    prints = f'<md5>{item.md5.upper()}</md5><pdq>{item.pdq}</pdq><videntifier rel="self" href="/v2/x"/>'
    feedback = "".join(_feedback(*key, members) for key, members in item.feedback.items() if members)
    return (
        f"<{item.kind}>{member}{about}<classification>{item.classification}</classification>"
        f"<fingerprints>{prints}</fingerprints><feedback>{feedback}</feedback></{item.kind}>"
    )


def _feedback(stance: str, fingerprint: str, members: dict[str, tuple[str, str]]) -> str:
    inside = ""
    for number, (name, guid) in members.items():
        reason = REASONS.get(fingerprint, {}).get(guid, "")
        listed = f"<reasons><reason guid={quoteattr(guid)} name={quoteattr(reason)}/></reasons>" if guid else ""
        inside += f'{listed}<members timestamp="2025-01-01T00:00:00Z"><member id="{number}">{name}</member></members>'
    return f'<{stance}Feedback type="{fingerprint.title()}">{inside}</{stance}Feedback>'


def xml(text: str) -> web.Response:
    """Return an XML answer."""
    body = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}'.encode()
    return web.Response(body=body, content_type="application/xml", charset="utf-8")
