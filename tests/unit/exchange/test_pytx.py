from __future__ import annotations

import io

import pytest

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import pytx
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

PDQ = "0123456789abcdef" * 4
MD5 = "0123456789abcdef" * 2


def read(*lines: str, signal: str = "") -> list[Entry | Rejected]:
    return list(pytx.read(io.BytesIO("\n".join(lines).encode()), signal))


def values(*lines: str, signal: str = "") -> list[tuple[str, str]]:
    return [
        (row.hashes[0].algorithm, row.hashes[0].hex) for row in read(*lines, signal=signal) if isinstance(row, Entry)
    ]


def test_a_signal_type_or_the_length_says_what_a_value_is() -> None:
    lines = (f"pdq {PDQ.upper()}", PDQ, f"sha256\t{PDQ}", MD5, f"video_md5  {MD5}", "a" * 40)
    assert values(*lines) == [
        ("pdq", PDQ),
        ("pdq", PDQ),
        ("sha256", PDQ),
        ("md5", MD5),
        ("md5", MD5),
        ("sha1", "a" * 40),
    ]
    assert [row.labels for row in read(*lines) if isinstance(row, Entry)] == [(), (), (), (), (pytx.VIDEO_LABEL,), ()]


def test_the_option_says_what_values_alone_are() -> None:
    assert values(PDQ, f"pdq {PDQ}", signal="SHA-256") == [("sha256", PDQ), ("pdq", PDQ)]
    with pytest.raises(BadInput, match="signal: 'url' is not installed"):
        read(PDQ, signal="url")


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("url https://example.org/", "signal", "'url' is no hash that is installed"),
        ("deadbeef", "value", "8 characters; expected a PDQ, MD5 or SHA-1 value in hex"),
        ("pdq 00", "value", "'00' is not a pdq value"),
        ("z" * 64, "value", "is not a pdq value"),
        (f"pdq {PDQ} 17", "", "3 words; expected a python-threatexchange local file"),
    ],
)
def test_other_lines_are_rejected(line: str, field: str, reason: str) -> None:
    good, bad, last = read(PDQ, line, "", PDQ)[:3]
    assert isinstance(bad, Rejected)
    assert (bad.position, bad.field) == (2, field)
    assert reason in bad.reason
    assert (good.position, last.position) == (1, 4)


def test_a_picture_is_refused() -> None:
    with pytest.raises(BadFile, match="a JPEG picture; expected a python-threatexchange local file"):
        pytx.read(io.BytesIO(b"\xff\xd8\xff"))


def test_what_does_not_fit_into_a_line_is_said() -> None:
    pdq, md5, sha1 = (
        EntryHash(name, bytes.fromhex(text)) for name, text in (("pdq", PDQ), ("md5", MD5), ("sha1", "a" * 40))
    )
    whole = Entry(
        "a",
        (EntryHash("pdq", pdq.value, 90), md5),
        (pytx.VIDEO_LABEL, Label("iwf", "", "A")),
        Provenance("s"),
        opinions=(Opinion("x", Stance.AGREE),),
    )
    entries = [
        Entry(f"pdq:{PDQ}", (pdq,)),
        whole,
        Entry("b", (sha1, md5)),
        Entry("c", (pdq,), status=EntryStatus.WITHDRAWN),
        Entry("d", (pdq, sha1), status_reason="looked at"),
    ]
    stream, losses = io.BytesIO(), Losses()
    assert pytx.write(entries, stream, losses) == 3
    assert stream.getvalue().decode().split("\n") == [f"pdq {PDQ}", f"pdq {PDQ}", f"video_md5 {MD5}", f"pdq {PDQ}", ""]
    assert [(loss.what, loss.count, loss.example, loss.whole) for loss in losses] == [
        ("the id", 2, "a", False),
        ("quality or view", 1, "a", False),
        ("labels", 1, "a", False),
        ("provenance", 1, "a", False),
        ("opinions", 1, "a", False),
        ("that values belong together", 1, "a", False),
        ("entry", 1, "b", True),
        ("entry", 1, "c", True),
        ("sha1 values", 1, "d", False),
        ("the status's reason", 1, "d", False),
    ]
    assert losses.entries == 2
    assert str(list(losses)[7]) == "1 entry left out: the format cannot say that an entry is withdrawn (the first is c)"
    assert repr(losses).startswith("Losses(the id: 2, ")
