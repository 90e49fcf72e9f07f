"""The caller of the call being served.

Theory of operation
-------------------
``service/admission.py`` finds out who calls and says so with :func:`serve_as`; everything below asks :func:`caller`. A
context variable carries it into tasks and into ``asyncio.to_thread``. Where nobody was asked, on
loopback without keys and in process, the caller is :data:`LOCAL`, who is on this machine and may do everything.

Who did something is written as ``CALLER/PERSON``: the caller is known, the person is the caller's word. Neither part of
it can be claimed by another caller, because a caller's name has no slash and always comes first. What ``LOCAL`` says is
written as it is, as it was before callers had names.

What this module deliberately does not do: it authenticates nobody (``accounts`` does).
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import PermissionDenied
from hashmatch.identity.roles import Role


class Proof(enum.StrEnum):
    """How it is known who calls."""

    NONE = "none"
    KEY = "key"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls. ``sets`` None means all; ``credential`` names the key or the certificate, and opens nothing.

    Raises, all methods
    -------------------
    PermissionDenied
        The caller may not; ``field`` is the one given.
    """

    name: str
    roles: frozenset[Role]
    sets: frozenset[str] | None = None
    proof: Proof = Proof.NONE
    credential: str = ""

    @property
    def known(self) -> bool:
        """Whether it was proved who this is."""
        return self.proof is not Proof.NONE

    def may(self, role: Role) -> bool:
        """Whether the caller has a role."""
        return role in self.roles

    def sees(self, set_name: str) -> bool:
        """Whether a set is among the caller's."""
        return self.sets is None or set_name in self.sets

    def check_roles(self, needed: frozenset[Role], what: str) -> None:
        """Refuse whoever lacks one of the roles."""
        missing = sorted(needed - self.roles)
        if missing:
            raise PermissionDenied(f"{what} needs the role {missing[0].value}, which {self.name} does not have")

    def check_set(self, set_name: str, field: str) -> None:
        """Refuse a set that is not the caller's, without saying whether it exists."""
        if not self.sees(set_name):
            raise PermissionDenied(
                f"{field}: {set_name[:100]!r} is not among the sets that {self.name} may use", field=field
            )

    def narrowed(self, asked: frozenset[str] | None, served: Callable[[], Collection[str]]) -> frozenset[str] | None:
        """Return which sets to search: those asked for, or else all that are the caller's; None for all there are.

        A set of the caller's that is not being served yet has no entry that could be missed.
        """
        if asked is not None:
            for name in sorted(asked):
                self.check_set(name, "sets")
            return asked
        return None if self.sets is None else self.sets.intersection(served())


LOCAL: Final = Caller("local", frozenset(Role))
"""Whoever calls where nobody is asked who they are."""

ANONYMOUS: Final = Caller("anonymous", frozenset(), frozenset())
"""Whoever calls a method that is open to all."""

_current: ContextVar[Caller] = ContextVar("hashmatch_caller", default=LOCAL)


def caller() -> Caller:
    """Return who makes the call being served."""
    return _current.get()


def serve_as(who: Caller) -> None:
    """Serve what is left of the current task for ``who``."""
    _current.set(who)


@contextlib.contextmanager
def acting(who: Caller) -> Iterator[Caller]:
    """Do what follows for ``who``."""
    token = _current.set(who)
    try:
        yield who
    finally:
        _current.reset(token)


def actor(untrusted_person: str) -> str:
    """Return who is to be written down for what the current caller does; the person is the caller's word."""
    who = caller()
    if not who.known:
        return untrusted_person
    person = untrusted_person.strip().removeprefix(f"{who.name}/")
    return f"{who.name}/{person}" if person else who.name
