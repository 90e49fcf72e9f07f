"""Keys: their form, what is stored of them, and what is told about them."""

from __future__ import annotations

import hashlib

import pytest

from hashmatch.errors import Unauthenticated
from hashmatch.identity import tokens
from hashmatch.identity.tokens import Token


def counted(size: int) -> bytes:
    """Stand in for the random generator."""
    return bytes(range(size))


GOOD = tokens.made(counted).text
NO_KEY = "authorization: that is no key of hashmatch; `hashmatch keys create` makes one"


def test_a_key_is_one_word_with_a_public_id_and_240_random_bits() -> None:
    token = tokens.made(counted)
    assert token.text == "hmk_0001020304050607_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5"
    assert (token.key_id, tokens.SECRET_BYTES * 8) == ("0001020304050607", 240)


def test_two_keys_differ_in_both_parts() -> None:
    one, other = tokens.made(), tokens.made()
    assert one.key_id != other.key_id
    assert one.text[21:] != other.text[21:]


def test_what_is_stored_is_a_personalised_digest_of_the_whole_word() -> None:
    token = tokens.made(counted)
    assert token.digest == hashlib.blake2b(token.text.encode(), digest_size=32, person=b"hashmatch.key.v1").digest()
    assert token.digest != hashlib.blake2b(token.text.encode(), digest_size=32).digest()


def test_a_key_is_compared_with_its_digest_and_with_no_other() -> None:
    one, other = tokens.made(), tokens.made()
    assert one.is_that_of(one.digest)
    for stored in (other.digest, None, bytes(32), one.digest[:-1]):
        assert not one.is_that_of(stored)


def test_neither_repr_nor_str_shows_the_secret() -> None:
    token = tokens.made(counted)
    assert repr(token) == str(token) == "Token(key_id='0001020304050607')"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hmk_",
        GOOD[:-1],
        GOOD + "a",
        GOOD + "\n",
        GOOD.upper(),
        GOOD.replace("hmk", "hmx"),
        GOOD[:-1] + "1",
        GOOD[:-1] + "\N{CYRILLIC SMALL LETTER A}",
        " " + GOOD,
        GOOD.replace("_", "-"),
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        tokens.parsed(text)
    assert raised.value.message == NO_KEY


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_header_holds_a_bearer_token(scheme: str) -> None:
    assert tokens.from_header([f"{scheme} {GOOD}"]) == Token("0001020304050607", GOOD)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["Basic " + GOOD], "authorization: expected `Bearer` and a key"),
        ([GOOD], "authorization: expected `Bearer` and a key"),
        ([b"Bearer " + GOOD.encode()], "authorization: expected `Bearer` and a key"),
        (["Bearer"], NO_KEY),
        ([f"Bearer {GOOD}"] * 2, "authorization: 2 headers were sent; expected one"),
    ],
)
def test_other_headers_are_refused(values: list[str | bytes], message: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        tokens.from_header(values)
    assert raised.value.message == message


def test_no_header_is_no_key() -> None:
    assert tokens.from_header([]) is None
