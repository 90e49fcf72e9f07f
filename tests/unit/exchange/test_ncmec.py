"""Pages of NCMEC: what becomes of entries, tombstones, fingerprints and feedback, and what a page says of itself."""

from __future__ import annotations

import datetime as dt
import io
import itertools

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import ncmec
from hashmatch.exchange.ncmec import MAX_ENTRY_ELEMENTS, NcmecPage
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

MD5, SHA1, PDQ = "a1" * 16, "b2" * 20, "c3d4" * 16
MEMBER = '<member id="42">Example Member</member>'
AT = dt.datetime(2025, 1, 3, tzinfo=dt.UTC)


def page(images: str, *, videos: str = "", count: int = 1, more: str = "", head: str = "") -> NcmecPage:
    text = (
        f'{head}<queryResult xmlns="{ncmec.NAMESPACE}"><images count="{count}" maxTimestamp="2025-01-02T00:00:00.75Z">'
        f'{images}</images><videos count="0" maxTimestamp="2025-01-02T01:00:00+01:00">{videos}</videos>{more}'
        "</queryResult>"
    )
    return NcmecPage(io.BytesIO(text.encode()))


def image(fingerprints: str, more: str = "") -> str:
    return (
        f"<image>{MEMBER}<timestamp>2025-01-01T00:00:00Z</timestamp><id>i-1</id><classification>A1</classification>"
        f"<fingerprints>{fingerprints}</fingerprints>{more}</image>"
    )


def test_an_image_becomes_an_entry_known_by_its_member_and_its_id_there() -> None:
    found = page(image(f"<md5>{MD5.upper()}</md5><sha1>{SHA1}</sha1><pdq>{PDQ}</pdq>"))
    assert list(found) == [
        Entry(
            "42:i-1",
            (
                EntryHash("md5", bytes.fromhex(MD5)),
                EntryHash("sha1", bytes.fromhex(SHA1)),
                EntryHash("pdq", bytes.fromhex(PDQ)),
            ),
            (Label("ncmec", "", "A1"),),
            Provenance("NCMEC hash sharing: Example Member", "2025-01-01T00:00:00Z", external_id="42:i-1"),
        )
    ]
    assert (found.records, found.broken) == (1, "")


def test_a_deleted_video_becomes_a_tombstone() -> None:
    gone = f"<deletedVideo>{MEMBER}<id> v-1 </id><timestamp>2025-01-02T00:00:00Z</timestamp></deletedVideo>"
    (entry,) = page("", videos=gone)
    assert isinstance(entry, Entry)
    assert (entry.entry_id, entry.hashes, entry.status) == ("42:v-1", (), EntryStatus.WITHDRAWN)
    assert entry.status_reason == "deleted at the source, 2025-01-02T00:00:00Z"


def test_a_fingerprint_that_is_of_no_use_here_does_not_spoil_the_others() -> None:
    prints = f'<videntifier rel="self" href="/v2/x"/><md5>{MD5}</md5><sha1>xyz</sha1><pdq href="/v2/y"/>'
    rows = list(page(image(prints)))
    entry = rows.pop()
    assert isinstance(entry, Entry)
    assert [item.algorithm for item in entry.hashes] == ["md5"]
    assert [(row.field, row.reason[:28]) for row in rows if isinstance(row, Rejected)] == [
        ("fingerprints.videntifier", "'videntifier' is not install"),
        ("fingerprints.sha1", "'xyz' is not a sha1 value: e"),
        ("fingerprints.pdq", "no value, only where it is"),
    ]


def test_feedback_is_of_a_fingerprint_whatever_order_its_reasons_and_members_are_in() -> None:
    def members(*names: str) -> str:
        inside = "".join(f'<member id="{number}">{name}</member>' for number, name in enumerate(names, 7))
        return f'<members timestamp="2025-01-03T00:00:00Z">{inside}</members>'

    wrong, other = '<reason guid="g1" name="Wrong"/>', '<reason guid="g2" type="Md5"/>'
    feedback = (
        f'<feedback><affirmativeFeedback type="Md5">{members("One", "")}</affirmativeFeedback>'
        f'<negativeFeedback type="Md5"><reasons>{wrong}{other}</reasons>{members("Two")}'
        f"<reasons>{other}</reasons>{members('Three')}</negativeFeedback>"
        f'<negativeFeedback type="Sha1">{members("Four")}<reasons>{wrong}</reasons></negativeFeedback>'
        f'<negativeFeedback type="Videntifier">{members("Five")}</negativeFeedback><other/></feedback>'
    )
    (entry,) = page(image(f"<md5>{MD5}</md5><sha1>{SHA1}</sha1>", feedback))
    assert isinstance(entry, Entry)
    assert entry.opinions == (
        Opinion("One", Stance.AGREE, "", AT, "md5"),
        Opinion("NCMEC member 8", Stance.AGREE, "", AT, "md5"),
        Opinion("Two", Stance.DISAGREE, "Wrong; g2", AT, "md5"),
        Opinion("Three", Stance.DISAGREE, "g2", AT, "md5"),
        Opinion("Four", Stance.DISAGREE, "Wrong", AT, "sha1"),
    )


def test_a_page_says_where_the_next_one_is_and_up_to_when_it_goes_in_whole_seconds_of_utc() -> None:
    found = page(image(f"<md5>{MD5}</md5>"), more="<paging><next>/v2/entries?start=1001&amp;size=1000</next></paging>")
    list(found)
    assert (found.next, found.max_timestamp) == ("/v2/entries?start=1001&size=1000", "2025-01-02T00:00:00Z")


def test_no_entity_is_resolved_and_no_document_type_is_taken() -> None:
    head = '<!DOCTYPE queryResult [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(BadFile, match="declares a type"):
        page(image(f"<md5>{MD5}</md5>"), head=head)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not XML"),
        (b"plain text", "not XML"),
        (b"<html/>", "the root element is 'html'"),
        (b'{"a": 1}', "not XML"),
    ],
)
def test_what_is_no_page_is_refused_at_once(text: bytes, message: str) -> None:
    with pytest.raises(BadFile, match=message):
        NcmecPage(io.BytesIO(text))


def test_what_is_broken_keeps_what_came_before() -> None:
    entry = image(f"<md5>{MD5}</md5>")
    short = page(entry, count=2)
    assert len(list(short)) == 1
    assert short.broken == "the page says that it has 2 entries and has 1"
    endless = page(entry + image(f"<md5>{MD5}</md5>", "<a/>" * (MAX_ENTRY_ELEMENTS + 1)))
    assert len(list(endless)) == 1
    assert endless.broken.endswith(f"an entry of more than {MAX_ENTRY_ELEMENTS} elements")
    misdated = NcmecPage(io.BytesIO(b'<queryResult><images maxTimestamp="soon"/></queryResult>'))
    assert list(misdated) == []
    assert misdated.broken.startswith("maxTimestamp: 'soon' is no moment")


def test_entries_are_forgotten_one_by_one() -> None:
    found = page(image(f"<md5>{MD5}</md5>") * 3_000, count=3_000)
    rows = iter(found)
    list(itertools.islice(rows, 2_500))
    assert sum(1 for _ in found._root.iter()) < 1_000  # of 18,000, read a chunk ahead
    assert len(list(rows)) == 500
