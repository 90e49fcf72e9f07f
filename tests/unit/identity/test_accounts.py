"""Accounts: whose key or certificate something is, and until when."""

from __future__ import annotations

import datetime as dt

import pytest

from hashmatch.errors import BadConfig, BadInput, Unauthenticated
from hashmatch.identity import tokens
from hashmatch.identity.accounts import Account, Directory, checked
from hashmatch.identity.callers import Caller, Proof
from hashmatch.identity.roles import Role
from tests.support.identity import HOUR, NOW, account, keyed

UNKNOWN = "authorization: this key is not known here"


def refused(directory: Directory, token: tokens.Token, now: dt.datetime = NOW) -> str:
    with pytest.raises(Unauthenticated) as raised:
        directory.by_key(token, now)
    return raised.value.message


def forged(token: tokens.Token) -> tokens.Token:
    """Return a key of the same id with another secret."""
    return tokens.Token(token.key_id, f"hmk_{token.key_id}_{tokens.made().text[21:]}")


def test_a_key_says_who_calls_with_which_roles_and_sets() -> None:
    one, token = keyed(account(sets=frozenset({"known"})))
    caller = Directory([one]).by_key(token, NOW)
    assert caller == Caller("uploads", frozenset({Role.DETECT}), frozenset({"known"}), Proof.KEY, token.key_id)
    assert caller.known


def test_an_unknown_id_and_a_wrong_secret_are_told_apart_by_nobody() -> None:
    one, token = keyed(account())
    assert refused(Directory([one]), tokens.made()) == refused(Directory([one]), forged(token)) == UNKNOWN


def test_a_key_is_valid_up_to_the_moment_at_which_it_expires() -> None:
    one, token = keyed(account(), expires_at=NOW + HOUR)
    directory = Directory([one])
    assert directory.by_key(token, NOW + HOUR - dt.timedelta(microseconds=1)).name == "uploads"
    message = f"authorization: the key {token.key_id} is expired since 2026-11-28T13:00:00+00:00"
    assert refused(directory, token, NOW + HOUR) == message


def test_that_a_key_is_expired_is_told_to_its_holder_only() -> None:
    one, token = keyed(account(), expires_at=NOW)
    assert refused(Directory([one]), forged(token)) == UNKNOWN


def test_a_revoked_key_opens_nothing_and_another_of_the_same_caller_does() -> None:
    one, first = keyed(account())
    one, second = keyed(one)
    directory = Directory([one.without_key(first.key_id, NOW + HOUR)])
    assert (
        refused(directory, first) == f"authorization: the key {first.key_id} is revoked since 2026-11-28T13:00:00+00:00"
    )
    assert directory.by_key(second, NOW).credential == second.key_id


def test_revoking_a_key_that_is_not_there_names_those_that_are() -> None:
    one, token = keyed(account())
    with pytest.raises(BadInput, match=f"key: uploads has no key 'gone'; it has {token.key_id}"):
        one.without_key("gone", NOW)


def test_rotation_lets_old_keys_end_and_never_lengthens_one() -> None:
    one, soon = keyed(account(), expires_at=NOW + HOUR)
    one, forever = keyed(one)
    one, gone = keyed(one)
    one = one.without_key(gone.key_id, NOW).ended_at(NOW + 2 * HOUR, NOW)
    ends = {key.key_id: (key.expires_at, key.revoked_at) for key in one.keys}
    assert ends == {
        soon.key_id: (NOW + HOUR, None),
        forever.key_id: (NOW + 2 * HOUR, None),
        gone.key_id: (None, NOW),
    }


def test_a_revoked_caller_is_refused_with_key_and_certificate() -> None:
    one, token = keyed(account(certificates=("upload.example.org",)))
    directory = Directory([one.revoked(NOW)])
    assert (
        refused(directory, token) == f"authorization: the key {token.key_id} is revoked since 2026-11-28T12:00:00+00:00"
    )
    with pytest.raises(Unauthenticated, match="uploads is revoked since 2026-11-28T12:00:00"):
        directory.by_certificate(["upload.example.org"])


def test_a_certificate_says_who_calls() -> None:
    directory = Directory([account(certificates=("spiffe://example.org/upload", "upload.example.org"))])
    for name in ("spiffe://example.org/upload", "upload.example.org"):
        caller = directory.by_certificate(["other.example.org", name])
        assert (caller.name, caller.proof, caller.credential) == ("uploads", Proof.CERTIFICATE, name)


def test_a_certificate_of_nobody_or_of_several_is_refused() -> None:
    one, other = account("a1", certificates=("a.example.org",)), account("b1", certificates=("b.example.org",))
    directory = Directory([one, other])
    with pytest.raises(Unauthenticated, match=r"no name \(URI or DNS\) that is known here, and no key was sent"):
        directory.by_certificate(["c.example.org"])
    with pytest.raises(Unauthenticated, match="the names of several callers: a1, b1"):
        directory.by_certificate(["a.example.org", "b.example.org"])


@pytest.mark.parametrize("name", ["", "Upload", "a/b", "a b", "-a", "x" * 65, "local", "sync", "anonymous", "a\n"])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as raised:
        checked(account(name))
    assert raised.value.field == "name"


@pytest.mark.parametrize("name", ["Upper.example.org", "spiffe://", "a b", "http:/x", ".a", ""])
def test_a_certificate_name_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as raised:
        checked(account(certificates=(name,)))
    assert raised.value.field == "certificate"


def test_a_caller_without_roles_and_a_description_with_control_characters_are_refused() -> None:
    for broken, field in ((account(roles=()), "role"), (account(description="a\x1bb"), "description")):
        with pytest.raises(BadInput) as raised:
            checked(broken)
        assert raised.value.field == field


def _twice() -> list[tuple[list[Account], str]]:
    one, _ = keyed(account("a1"))
    named = ("x.example",)
    return [
        ([account("a1"), account("a1")], "two callers named a1"),
        ([one, account("b1", keys=one.keys)], "two keys of the id"),
        (
            [account("a1", certificates=named), account("b1", certificates=named)],
            "two callers of the keys file have the certificate x.example",
        ),
    ]


@pytest.mark.parametrize("number", range(3))
def test_what_would_stand_for_two_is_refused(number: int) -> None:
    accounts, message = _twice()[number]
    with pytest.raises(BadConfig, match=message):
        Directory(accounts)
