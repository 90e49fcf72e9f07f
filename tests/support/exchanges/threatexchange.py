"""ThreatExchange's updates of one privacy group, and descriptors that are added."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from hashmatch.model import EntryStatus
from tests.support.exchanges.base import DAY_S, Exchange, Truth

TOKEN = "1234|secret-token"  # noqa: S105  a simulator's
GROUP = "567"
KEPT_S = 90 * DAY_S
"""How long tombstones are kept."""


@dataclass
class Indicator:
    """One indicator; ``says`` is owner to status."""

    own_id: str
    pdq: str
    last_updated: int
    should_delete: bool = False
    says: dict[str, str] = field(default_factory=dict)


class ThreatExchange(Exchange):
    """The exchange; updates come in the order of their last change."""

    prefix = "/v20.0"

    def __init__(self) -> None:
        super().__init__()
        self.indicators: dict[str, Indicator] = {}
        self.descriptors: list[dict[str, str]] = []

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return [
            web.get(f"{self.prefix}/{GROUP}/threat_updates/", self.updates),
            web.post(f"{self.prefix}/threat_descriptors", self.take_descriptor),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        """Answer a wrong token as the Graph API does."""
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return None
        error = {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}
        return web.json_response({"error": error}, status=401)

    async def updates(self, request: web.Request) -> web.Response:
        """Give one page; the address of the next one repeats the token, as the real one does."""
        begin = int(request.query.get("start_time", "0"))
        found = sorted(
            (item for item in self.indicators.values() if item.last_updated >= begin and not self._forgotten(item)),
            key=lambda item: (item.last_updated, item.own_id),
        )
        try:
            start = int(request.query.get("after", "c0").removeprefix("c"))
        except ValueError:
            return web.json_response({"error": {"message": "Invalid cursor", "code": 100}}, status=400)
        size = min(int(request.query["limit"]), self.page_size)
        tree: dict[str, object] = {"data": [self._update(item) for item in found[start : start + size]]}
        if start + size < len(found):
            query = urlencode({**request.query, "access_token": TOKEN, "after": f"c{start + size}"})
            tree["paging"] = {"cursors": {"after": f"c{start + size}"}, "next": f"{self.url}/{GROUP}/?{query}"}
        return web.json_response(tree)

    async def take_descriptor(self, request: web.Request) -> web.Response:
        """Keep our descriptor in place of the one before."""
        posted = {key: str(value) for key, value in (await request.post()).items()}
        self.descriptors.append(posted)
        for item in self.indicators.values():
            if item.pdq == posted["indicator"]:
                item.says["1234"] = posted["status"]
                self._touch(item)
                return web.json_response({"success": True, "id": "99"})
        return web.json_response({"error": {"message": "no such indicator", "code": 100}}, status=400)

    def truth(self) -> Truth:
        """Return what a set must equal; what was forgotten is withdrawn wherever it was known."""
        return {item.own_id: (self._status(item), frozenset({("pdq", item.pdq)})) for item in self.indicators.values()}

    def put(self, number: int) -> None:
        """Add an indicator, say again that it is malicious, or bring it back."""
        own_id = str(1_000 + number)
        if (item := self.indicators.get(own_id)) is None:
            pdq = hashlib.sha256(own_id.encode()).hexdigest()
            item = self.indicators[own_id] = Indicator(own_id, pdq, 0)
        item.should_delete = False
        item.says = {"616": "MALICIOUS"}
        self._touch(item)

    def delete(self, number: int) -> None:
        """Leave a tombstone, for 90 days."""
        if (item := self.indicators.get(str(1_000 + number))) is not None and not item.should_delete:
            item.should_delete = True
            self._touch(item)

    def say(self, number: int, *, good: bool) -> None:
        """Another member says what it thinks."""
        if (item := self.indicators.get(str(1_000 + number))) is not None and not item.should_delete:
            item.says["717"] = "MALICIOUS" if good else "NON_MALICIOUS"
            self._touch(item)

    def _touch(self, item: Indicator) -> None:
        self.now += 1
        item.last_updated = self.now

    def _forgotten(self, item: Indicator) -> bool:
        return item.should_delete and self.now - item.last_updated > KEPT_S

    def _status(self, item: Indicator) -> EntryStatus:
        if item.should_delete:
            return EntryStatus.WITHDRAWN
        return EntryStatus.DISPUTED if "NON_MALICIOUS" in item.says.values() else EntryStatus.ACTIVE

    def _update(self, item: Indicator) -> dict[str, object]:
        update = {"id": item.own_id, "indicator": item.pdq, "type": "HASH_PDQ", "last_updated": item.last_updated}
        if item.should_delete:
            return {**update, "should_delete": True}
        descriptors = [
            {"id": f"{item.own_id}{owner}", "owner": {"id": owner}, "status": status, "tags": {"data": []}}
            for owner, status in item.says.items()
        ]
        return {**update, "should_delete": False, "descriptors": {"data": descriptors}}
