"""The messages between pool and zygote."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import DecodeConfig
from hashmatch.errors import BadFrame
from hashmatch.sandbox.control import MAX_FRAME_BYTES, MAX_TEXT_BYTES, Frame, Kind, ZygoteSettings

int64 = st.integers(-(2**63), 2**63 - 1)


@given(st.builds(Frame, kind=st.sampled_from(Kind), text=st.text(max_size=200), pid=int64, status=int64))
def test_frames_come_back_as_they_went(frame: Frame) -> None:
    sent = dataclasses.replace(frame, text=frame.text.encode("utf-8", "replace").decode())
    assert Frame.decode(frame.encode()) == sent


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_no_frame(data: bytes) -> None:
    with pytest.raises(BadFrame):
        Frame.decode(data)


def test_long_reasons_are_cut() -> None:
    data = Frame(Kind.FAILED, "x" * 100_000).encode()
    assert len(data) == MAX_FRAME_BYTES
    assert Frame.decode(data).text == "x" * MAX_TEXT_BYTES
    with pytest.raises(BadFrame, match=f"^control frame of {MAX_FRAME_BYTES + 1} bytes$"):
        Frame.decode(data + b"x")


def test_an_unknown_kind_is_refused() -> None:
    data = bytearray(Frame(Kind.SPAWN).encode())
    data[6] = 99
    with pytest.raises(BadFrame, match=r"^control frame begins b'HMct' version 1 kind 99$"):
        Frame.decode(bytes(data))


def test_settings_come_back_as_they_went() -> None:
    settings = ZygoteSettings(DecodeConfig(max_bytes=123, max_pixels=456), 789, 7)
    assert ZygoteSettings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"decode": {"nonesuch": 1}, "memory_bytes": 1}',
        '{"decode": 3}',
        '{"decode": {}, "memory_bytes": 1}',
    ],
)
def test_unreadable_settings_are_refused(text: str) -> None:
    with pytest.raises(BadFrame, match=r"^settings are not readable: "):
        ZygoteSettings.from_text(text)
