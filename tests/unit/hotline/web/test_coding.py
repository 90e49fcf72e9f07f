from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.hotline.web.coding import Decoder
from hashmatch.hotline.web.stops import Stopped
from hashmatch.model.hotline import Outcome


def decoded(coding: str, data: bytes, size: int, max_bytes: int = 10_000) -> bytes:
    decoder = Decoder(coding, max_bytes)
    out = b"".join(decoder.feed(data[at : at + size]) for at in range(0, len(data), size))
    decoder.finish()
    return out


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]),
    "deflate": zlib.compress,
    " DEFLATE ": raw_deflate,
    "identity": bytes,
    "": bytes,
}


@given(st.sampled_from(sorted(CODINGS)), st.binary(max_size=2_000), st.integers(1, 300))
def test_what_was_packed_is_unpacked_whatever_the_pieces(coding: str, body: bytes, size: int) -> None:
    assert decoded(coding, CODINGS[coding](body), size) == body


@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=500), st.integers(1, 99))
def test_rubbish_is_a_body_or_a_bad_answer(coding: str, data: bytes, size: int) -> None:
    outcome = None
    try:
        decoded(coding, data, size)
    except Stopped as stop:
        outcome = stop.outcome
    assert outcome in {None, Outcome.BAD_ANSWER}


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("size", [1_000_000, 100])
def test_the_limit_is_met_before_the_bomb_is(coding: str, size: int) -> None:
    body = bytes(5_000_000)
    packed = CODINGS[coding](body)
    with pytest.raises(Stopped) as caught:
        decoded(coding, packed, size)
    assert (caught.value.outcome, caught.value.detail) == (Outcome.TOO_LARGE, "longer than 10000 bytes")


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_just_as_long_as_allowed(coding: str) -> None:
    body = bytes(range(250)) * 40
    assert decoded(coding, CODINGS[coding](body), 333) == body


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "base64"])
def test_what_was_not_asked_for(coding: str) -> None:
    with pytest.raises(Stopped) as caught:
        Decoder(coding, 10)
    assert caught.value.detail == "the body has a coding that was not asked for"


BROKEN = [("gzip", gzip.compress(b"abc", mtime=0)[:-1]), ("deflate", zlib.compress(b"a")[:-1]), ("deflate", b"x")]


@pytest.mark.parametrize(("coding", "data"), BROKEN, ids=["gzip", "zlib", "head"])
def test_a_stream_that_breaks_off(coding: str, data: bytes) -> None:
    with pytest.raises(Stopped) as caught:
        decoded(coding, data, 2)
    assert caught.value.detail == "the compressed body breaks off"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_an_empty_body_is_none(coding: str) -> None:
    decoder = Decoder(coding, 10)
    decoder.finish()
    assert repr(decoder) == f"<Decoder {coding}, room for 10 bytes>"
