from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import random
from typing import Any

import networkx as nx
import pytest
from lxml import etree

from hashmatch.hotline.followup import links_export
from hashmatch.hotline.followup.links import Linked, Links, Rules, Sighting, Why, counted, left_out, linked, sightings
from hashmatch.model import (
    Digests,
    EntryHash,
    EntryRef,
    EntryStatus,
    HarmDomain,
    Hit,
    MatchReport,
    MediaInfo,
    SetMode,
    Verdict,
)
from hashmatch.model.hotline import Fetched, Item, Outcome, Via

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
PDQ = bytes(range(32))
GRAPHML = "{http://graphml.graphdrawing.org/xmlns}"


def away(bits: int) -> bytes:
    """Return a value so many bits from :data:`PDQ`; two of them differ in the difference."""
    return (int.from_bytes(PDQ) ^ ((1 << bits) - 1)).to_bytes(32)


def seen(host: str, digest: int = 1, pdq: bytes = PDQ, **more: Any) -> Sighting:
    base = Sighting(
        job="monday",
        number=1,
        page_url=f"https://{host}/advert",
        image_url=f"https://cdn.example.net/{digest}.jpg",
        first_seen=NOON + dt.timedelta(minutes=digest - 1),
        sha256=digest.to_bytes(32),
        pdq=pdq,
        quality=100,
        width_px=640,
        height_px=480,
    )
    return dataclasses.replace(base, **more)


def rows(result: Links) -> list[tuple[int, int, int, str]]:
    return [(item.group, item.cluster, item.distance, item.sighting.host) for item in result.linked]


def test_a_picture_on_two_hosts_is_a_link_and_on_one_is_none() -> None:
    two = [seen("a.example.org"), seen("b.example.org", digest=2, pdq=away(20))]
    assert rows(linked(two, Rules())) == [(1, 1, 0, "a.example.org"), (1, 1, 20, "b.example.org")]
    one = [seen("a.example.org"), seen("a.example.org", digest=2, page_url="https://www.a.example.org/other")]
    assert linked(one, Rules()).linked == ()
    assert len(linked(one, Rules(min_hosts=1)).linked) == 2


@pytest.mark.parametrize(("bits", "links"), [(30, 2), (31, 2), (32, 0)])
def test_near_is_inclusive(bits: int, links: int) -> None:
    found = linked([seen("a.example.org"), seen("b.example.org", digest=2, pdq=away(bits))], Rules(max_distance=31))
    assert len(found.linked) == links
    assert found.pictures == 2


def test_what_only_a_chain_joins_is_one_group_of_several_clusters() -> None:
    chain = [seen(f"{bits}.example.org", digest=bits + 1, pdq=away(bits)) for bits in (0, 30, 60, 90)]
    assert rows(linked(chain, Rules())) == [
        (1, 1, 0, "0.example.org"),
        (1, 1, 30, "30.example.org"),
        (1, 2, 0, "60.example.org"),
        (1, 2, 30, "90.example.org"),
    ]


def test_equal_bytes_are_linked_without_a_hash_and_take_over_one() -> None:
    bare = [seen("a.example.org", pdq=b"", quality=None), seen("b.example.org", pdq=b"", quality=None)]
    assert rows(linked(bare, Rules())) == [(1, 1, 0, "a.example.org"), (1, 1, 0, "b.example.org")]
    hashed = [*bare, seen("c.example.org"), seen("d.example.org", digest=9, pdq=away(5))]
    assert [row[3] for row in rows(linked(hashed, Rules()))] == [f"{name}.example.org" for name in "abcd"]
    strangers = [seen("a.example.org", pdq=b""), seen("b.example.org", digest=2, pdq=b"")]
    assert linked(strangers, Rules()).linked == ()


@pytest.mark.parametrize(
    ("why", "more"),
    [
        (Why.NOT_IDENTIFIED, {"sha256": b"", "pdq": b""}),
        (Why.NO_HOST, {"page_url": "data:"}),
        (Why.PLACEHOLDER, {"sha256": b"\x07" * 32}),
        (Why.SMALL, {"height_px": 63}),
        (Why.FLAT, {"quality": 49}),
        (None, {"height_px": 64, "quality": 50}),
        (None, {"width_px": 0, "height_px": 0, "quality": None}),
    ],
)
def test_what_takes_no_part_has_a_reason(why: Why | None, more: dict[str, Any]) -> None:
    rules = Rules(placeholders=frozenset({b"\x07" * 32}))
    odd = seen("b.example.org", **more)
    assert left_out(odd, rules) is why
    found = linked([seen("a.example.org"), odd], rules)
    assert found.left_out == (() if why is None else ((odd, why),))
    assert counted(found) == ({} if why is None else {why: 1})


def test_known_pictures_represent_and_larger_groups_come_first() -> None:
    known = seen("z.example.org", digest=5, pdq=away(10), known=("known/e1",))
    pair = [seen("a.example.org"), known]
    assert rows(linked(pair, Rules())) == [(1, 1, 0, "z.example.org"), (1, 1, 10, "a.example.org")]
    far = (int.from_bytes(PDQ) ^ ((1 << 256) - 1)).to_bytes(32)
    three = [seen(f"{n}.example.org", digest=8, pdq=far) for n in range(3)]
    assert [row[:2] for row in rows(linked(pair + three, Rules()))] == [(1, 1)] * 3 + [(2, 1)] * 2


@pytest.mark.parametrize("seed", range(10))
def test_the_order_and_repeats_of_sightings_do_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    made = [
        seen(f"{rng.randrange(5)}.example.org", digest=rng.randrange(1, 30), pdq=away(rng.randrange(0, 250)), number=n)
        for n in range(40)
    ]
    shuffled = rng.sample(made, len(made)) + rng.choices(made, k=10)
    assert linked(made, Rules(max_distance=8)) == linked(shuffled, Rules(max_distance=8))


def report(**more: Any) -> MatchReport:
    base = MatchReport(
        request_id="r1",
        verdict=Verdict.NO_MATCH,
        rule="nothing_found",
        generation="1.0",
        created_at=NOON,
        digests=Digests(b"m" * 16, b"s" * 20, b"d" * 32, 1234),
        media=MediaInfo("jpeg", 300, 200),
        quality=88,
        hashes=(EntryHash("pdq-canonical", b"c" * 32), EntryHash("pdq", PDQ)),
    )
    return dataclasses.replace(base, **more)


def test_items_become_sightings() -> None:
    entry = EntryRef("s1", "known", 3, HarmDomain.WILDLIFE, SetMode.ENFORCED, "e7", EntryStatus.ACTIVE, ())
    hit = Hit(Verdict.MATCH, "near", entry, "pdq", "pdq", 4, 31, "orig")
    ignored = dataclasses.replace(hit, verdict=Verdict.NO_MATCH, entry=dataclasses.replace(entry, entry_id="allowed"))
    fetched = Fetched((), ended_at=NOON + dt.timedelta(seconds=3))
    items = [
        Item(4, "https://i.example.org/a.jpg", Via.IMG, Outcome.MATCH, page_url="https://p.example.org/",
             fetched=fetched, report=report(hits=(hit, hit, ignored))),
        Item(5, "https://i.example.org/b.jpg", Via.DIRECT, Outcome.NO_MATCH, report=report(hashes=())),
        Item(6, "https://i.example.org/c.jpg", Via.IMG, Outcome.TIMEOUT, page_url="https://p.example.org/"),
        Item(7, "", Via.INLINE, Outcome.NO_MATCH, page_url="https://p.example.org/x", report=report()),
    ]  # fmt: skip
    first, second, third = sightings("monday", items)
    assert first == Sighting(
        job="monday",
        number=4,
        page_url="https://p.example.org/",
        image_url="https://i.example.org/a.jpg",
        first_seen=NOON + dt.timedelta(seconds=3),
        sha256=b"d" * 32,
        pdq=PDQ,
        quality=88,
        width_px=300,
        height_px=200,
        known=("known/e7",),
    )
    assert (second.page_url, second.host, second.pdq, second.quality) == (items[1].url, "i.example.org", b"", None)
    assert (third.page_url, third.image_url, third.first_seen) == ("https://p.example.org/x", "", NOON)


def test_the_table_has_one_row_per_sighting_and_no_hash() -> None:
    found = linked(
        [seen("a.example.org", known=("known/e1", "other/e2")), seen("b.example.org", job="=cmd|'/c calc'!A1")], Rules()
    )
    made = list(links_export.rows(found))
    assert [list(row) for row in made] == [list(links_export.FIELDS)] * 2
    assert made[0] == {
        "group": 1,
        "cluster": 1,
        "host": "a.example.org",
        "page_url": "hxxps://a[.]example[.]org/advert",
        "image_url": "hxxps://cdn[.]example[.]net/1.jpg",
        "distance": 0,
        "first_seen": "2026-11-28T12:00:00.000+00:00",
        "job": "monday",
        "number": 1,
        "known": ["known/e1", "other/e2"],
    }
    table = list(csv.DictReader(io.StringIO(links_export.as_csv(found).decode())))
    assert [row["known"] for row in table] == ["known/e1|other/e2", ""]
    assert table[1]["job"] == "'=cmd|'/c calc'!A1"
    whole = links_export.as_csv(found) + links_export.as_graphml(found) + repr(made).encode()
    assert PDQ.hex().encode() not in whole
    assert (1).to_bytes(32).hex().encode() not in whole


def chained() -> Links:
    chain = [seen(f"{bits}.example.org", digest=bits + 1, pdq=away(bits)) for bits in (0, 30, 60, 90)]
    again = seen("0.example.org", digest=70, pdq=away(3), number=2)
    return linked([*chain, again], Rules())


def test_the_graph_is_read_by_networkx_and_says_what_the_table_says() -> None:
    found = chained()
    graph = nx.parse_graphml(links_export.as_graphml(found).decode())
    kinds = {name: data["kind"] for name, data in graph.nodes(data=True)}
    assert sorted(kinds.values()) == ["cluster"] * 2 + ["host"] * 4 + ["page"] * 4
    labels = {data["label"] for _, data in graph.nodes(data=True) if data["kind"] == "host"}
    assert labels == {row[3] for row in rows(found)}
    edges = sorted(
        (data["relation"], data["weight"], data.get("distance", -1)) for _, _, data in graph.edges(data=True)
    )
    assert edges == [("chain", 1, -1)] + [("has", 1, -1)] * 4 + [
        ("shows", 1, 0), ("shows", 1, 30), ("shows", 1, 30), ("shows", 2, 0)
    ]  # fmt: skip
    assert nx.is_connected(graph)
    assert sum(data["pictures"] for _, data in graph.nodes(data=True) if data["kind"] == "cluster") == 5


def test_every_edge_of_the_graph_ends_in_a_node_and_every_key_is_declared() -> None:
    root = etree.fromstring(links_export.as_graphml(chained()))
    declared = {key.get("id"): key.get("for") for key in root.iter(f"{GRAPHML}key")}
    nodes = {node.get("id") for node in root.iter(f"{GRAPHML}node")}
    ends = {edge.get(end) for edge in root.iter(f"{GRAPHML}edge") for end in ("source", "target")}
    assert ends == nodes
    for element in ("node", "edge"):
        for found in root.iter(f"{GRAPHML}{element}"):
            assert {declared[data.get("key")] for data in found} == {element}


def test_a_graph_of_hostile_addresses_is_still_xml() -> None:
    odd = "https://a.example.org/\x00\ud800\x1b<&]]>\U0001f600\ufffe"
    found = Links((Linked(1, 1, 0, seen("a.example.org", page_url=odd)),), (), 1)
    root = etree.fromstring(links_export.as_graphml(found))
    texts = [data.text for data in root.iter(f"{GRAPHML}data")]
    assert "hxxps://a[.]example[.]org/<&]]>\U0001f600" in texts


def test_nothing_linked_is_a_table_with_a_head_and_a_graph_without_nodes() -> None:
    nothing = linked([], Rules())
    assert nothing == Links((), (), 0)
    assert nothing.groups == 0
    assert links_export.as_csv(nothing).decode() == ",".join(links_export.FIELDS) + "\r\n"
    assert len(nx.parse_graphml(links_export.as_graphml(nothing).decode())) == 0
