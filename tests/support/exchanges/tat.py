"""Tech Against Terrorism's hash list, version 2, behind a login whose tokens expire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aiohttp import web

from hashmatch.model import EntryStatus
from tests.support.exchanges.base import Exchange, Truth

USERNAME, PASSWORD = "analyst", "secret word"


@dataclass
class Result:
    """One hash of the list."""

    own_id: int
    digest: str
    updated_on: int
    ideology: str = "far-right"
    deleted: bool = False


class Tat(Exchange):
    """The exchange; a token serves ``token_uses`` requests."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[int, Result] = {}
        self.token_uses = 1_000_000
        self.logins = 0
        self._token = ""
        self._uses_left = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return [web.post("/token-auth/tcap/", self.login), web.get("/api/hash-list/v2/all", self.hash_list)]

    def refusal(self, request: web.Request) -> web.Response | None:
        """Answer a wrong or expired token as the API does."""
        if request.path == "/token-auth/tcap/":
            return None
        given = request.headers.get("Authorization", "")
        if self._token and given == f"Bearer {self._token}" and self._uses_left > 0:
            self._uses_left -= 1
            return None
        detail = {"detail": "Given token not valid for any token type", "code": "token_not_valid"}
        return web.json_response(detail, status=401)

    async def login(self, request: web.Request) -> web.Response:
        """Give a token for the right name and password."""
        given = await request.json()
        if (given.get("username"), given.get("password")) != (USERNAME, PASSWORD):
            return web.json_response({"detail": "No active account found"}, status=401)
        self.logins += 1
        self._token, self._uses_left = f"jwt.{self.logins}.sig", self.token_uses
        return web.json_response({"token": self._token, "user": {"username": USERNAME}})

    async def hash_list(self, request: web.Request) -> web.Response:
        """Give one page, oldest change first."""
        updated, _, own_id = request.query.get("after", "0,0").partition(",")
        after = (int(updated), int(own_id))
        found = sorted(
            (item for item in self.results.values() if (item.updated_on, item.own_id) > after),
            key=lambda item: (item.updated_on, item.own_id),
        )
        page = found[: self.page_size]
        last = (page[-1].updated_on, page[-1].own_id) if page else after
        tree = {
            "count": len(found),
            "next": "https://elsewhere.example.org/api" if len(found) > len(page) else None,
            "previous": None,
            "checkpoint": f"{last[0]},{last[1]}",
            "results": [_result(item) for item in page],
        }
        return web.json_response(tree)

    def truth(self) -> Truth:
        """Return what a set must equal."""
        return {
            str(item.own_id): (
                EntryStatus.WITHDRAWN if item.deleted else EntryStatus.ACTIVE,
                frozenset({("sha256", item.digest)}),
            )
            for item in self.results.values()
        }

    def put(self, number: int) -> None:
        """Add a hash, change its label, or bring it back."""
        digest = hashlib.sha256(f"tat {number}".encode()).hexdigest()
        item = self.results.setdefault(number, Result(number, digest, 0))
        item.ideology = "islamist" if item.ideology == "far-right" else "far-right"
        item.deleted = False
        self._touch(item)

    def delete(self, number: int) -> None:
        """Mark a hash as deleted."""
        if (item := self.results.get(number)) is not None:
            item.deleted = True
            self._touch(item)

    def say(self, number: int, *, good: bool) -> None:
        """Nobody says anything here."""
        del number, good

    def _touch(self, item: Result) -> None:
        self.now += 1
        item.updated_on = self.now


def _result(item: Result) -> dict[str, object]:
    return {
        "hash_digest": item.digest,
        "algorithm": "SHA256",
        "ideology": item.ideology,
        "file_type": "jpg",
        "deleted": item.deleted,
        "updated_on": float(item.updated_on),
        "created_on": "2025-01-01T00:00:00Z",
        "id": item.own_id,
    }
