"""Callers: what they may, and under which name they do it."""

from __future__ import annotations

import asyncio

import pytest

from hashmatch.errors import PermissionDenied
from hashmatch.identity import ANONYMOUS, LOCAL, Caller, Role, acting, actor, caller
from hashmatch.identity.callers import Proof

KNOWN = Caller("uploads", frozenset({Role.DETECT}), frozenset({"a", "b"}), Proof.KEY, "0001")


def test_whoever_is_not_asked_is_local_and_may_everything() -> None:
    assert caller() is LOCAL
    assert LOCAL.roles == frozenset(Role)
    assert not ANONYMOUS.roles
    assert not ANONYMOUS.sees("a")


async def test_the_caller_goes_along_into_tasks_and_threads_and_ends_with_the_call() -> None:
    with acting(KNOWN):
        assert await asyncio.to_thread(caller) is KNOWN
        assert await asyncio.create_task(asyncio.to_thread(caller)) is KNOWN
    assert caller() is LOCAL


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("anna", "uploads/anna"),
        ("  anna ", "uploads/anna"),
        ("", "uploads"),
        ("   ", "uploads"),
        ("uploads/anna", "uploads/anna"),
        ("other/anna", "uploads/other/anna"),
        ("sync:ncmec", "uploads/sync:ncmec"),
        ("uploads", "uploads/uploads"),
    ],
)
def test_who_did_something_begins_with_who_called(said: str, written: str) -> None:
    with acting(KNOWN):
        assert actor(said) == written


@pytest.mark.parametrize("said", ["anna", "", " anna ", "uploads/anna"])
def test_what_local_callers_say_is_written_as_it_is(said: str) -> None:
    assert actor(said) == said


def test_a_caller_without_a_role_is_told_which() -> None:
    with pytest.raises(PermissionDenied) as raised:
        KNOWN.check_roles(frozenset({Role.DETECT, Role.REPORT}), "/x/Y")
    assert raised.value.message == "/x/Y needs the role report, which uploads does not have"
    KNOWN.check_roles(frozenset({Role.DETECT}), "/x/Y")
    KNOWN.check_roles(frozenset(), "/x/Y")


def test_sets_are_narrowed_to_those_of_the_caller() -> None:
    assert KNOWN.narrowed(None, lambda: ["a", "c"]) == frozenset("a")
    assert KNOWN.narrowed(None, lambda: ["c"]) == frozenset()  # not None: that would be all
    assert KNOWN.narrowed(frozenset({"b"}), list) == frozenset("b")
    assert LOCAL.narrowed(None, list) is None
    assert LOCAL.narrowed(frozenset({"z"}), list) == frozenset("z")
    with pytest.raises(PermissionDenied) as raised:
        KNOWN.narrowed(frozenset({"a", "c"}), list)
    assert raised.value.message == "sets: 'c' is not among the sets that uploads may use"
    assert raised.value.field == "sets"
