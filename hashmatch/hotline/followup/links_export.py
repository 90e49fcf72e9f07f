"""Links as rows, and as a graph in GraphML.

Theory of operation
-------------------
Rows are one per sighting that is part of a link, for CSV and JSON Lines alike. The graph has three kinds of nodes:
hosts, pages and clusters of pictures. A host ``has`` pages; a page ``shows`` a cluster, with the number of pictures as
weight and the least distance; the clusters of one group hang in a ``chain``, so that what only a chain holds together
can be told from what is one picture. Node ids are numbers: an address stands in an attribute.

Addresses are written so that no program opens them (``hxxp``, ``[.]``), and cells so that no spreadsheet evaluates
them (``sheets``). No hash of an unknown picture is in any export: it could be looked up.

What this module deliberately does not do: it writes no file, and draws nothing.

Source: GraphML, http://graphml.graphdrawing.org/specification.html.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lxml import etree

from hashmatch import sheets
from hashmatch.hotline.followup.links import Linked, Links
from hashmatch.projections.places import defanged

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "group": "number of the group: pictures that a chain of near pairs joins; those on most hosts come first",
        "cluster": "number within the group: pictures near one representative",
        "host": "of the page, without `www.`",
        "page_url": "de-fanged (`hxxp`, `[.]`)",
        "image_url": "likewise; empty for a picture inside the page",
        "distance": "bits from the representative of the cluster",
        "first_seen": "when it was fetched, UTC",
        "job": "name of the job",
        "number": "of the submission in that job",
        "known": "`set/entry` of the entries that it met; empty: unknown",
    }
)
"""Columns of the table and keys of a line."""

_NAMESPACE: Final = "http://graphml.graphdrawing.org/xmlns"
_NODE_KEYS: Final = (("kind", "string"), ("label", "string"), ("known", "string"), ("pictures", "int"))
_EDGE_KEYS: Final = (("relation", "string"), ("weight", "int"), ("distance", "int"))


def rows(result: Links) -> Iterator[dict[str, object]]:
    """Yield one row per sighting, in the order of the result."""
    for item in result.linked:
        seen = item.sighting
        yield {
            "group": item.group,
            "cluster": item.cluster,
            "host": seen.host,
            "page_url": defanged(seen.page_url),
            "image_url": defanged(seen.image_url),
            "distance": item.distance,
            "first_seen": seen.first_seen.isoformat(timespec="milliseconds") if seen.first_seen else "",
            "job": seen.job,
            "number": seen.number,
            "known": list(seen.known),
        }


def as_csv(result: Links) -> bytes:
    """Return the table as CSV."""
    known = ("|".join(item.sighting.known) for item in result.linked)
    cells = ({**row, "known": one}.values() for row, one in zip(rows(result), known, strict=True))
    return sheets.as_csv(FIELDS, cells)


def as_graphml(result: Links) -> bytes:
    """Return the graph, with its nodes and edges in the order of the result."""
    root = etree.Element(_tag("graphml"), nsmap={None: _NAMESPACE})
    for scope, keys in (("node", _NODE_KEYS), ("edge", _EDGE_KEYS)):
        for name, kind in keys:
            attributes = {"id": f"{scope}_{name}", "for": scope, "attr.name": name, "attr.type": kind}
            etree.SubElement(root, _tag("key"), attributes)
    graph = etree.SubElement(root, _tag("graph"), {"id": "links", "edgedefault": "undirected"})
    nodes = _Nodes(graph)
    _add_clusters(nodes, result)
    _add_pages(nodes, result)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


class _Nodes:
    """Nodes by kind and name, and the graph that they are in."""

    def __init__(self, graph: etree._Element) -> None:
        self._graph = graph
        self._ids: dict[tuple[str, object], str] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __getitem__(self, name: tuple[str, object]) -> str:
        return self._ids[name]

    def add(self, kind: str, name: object, label: str, **more: object) -> str:
        """Return the id of a node, making it where it is new."""
        known = self._ids.get((kind, name))
        if known is not None:
            return known
        made = self._ids[kind, name] = f"n{len(self._ids)}"
        node = etree.SubElement(self._graph, _tag("node"), {"id": made})
        _data(node, "node", {"kind": kind, "label": label, **more})
        return made

    def join(self, source: str, target: str, relation: str, **more: object) -> None:
        """Add an edge."""
        edge = etree.SubElement(self._graph, _tag("edge"), {"source": source, "target": target})
        _data(edge, "edge", {"relation": relation, **more})


def _add_clusters(nodes: _Nodes, result: Links) -> None:
    for group, items in itertools.groupby(result.linked, key=lambda item: item.group):
        made = []
        for cluster, members in itertools.groupby(items, key=lambda item: item.cluster):
            kept = list(members)
            known = ", ".join(dict.fromkeys(entry for item in kept for entry in item.sighting.known))
            made.append(nodes.add("cluster", (group, cluster), f"{group}.{cluster}", known=known, pictures=len(kept)))
        for one, other in itertools.pairwise(made):
            nodes.join(one, other, "chain", weight=1)


def _add_pages(nodes: _Nodes, result: Links) -> None:
    shown: dict[tuple[str, tuple[int, int]], list[Linked]] = {}
    for item in result.linked:
        seen = item.sighting
        host = nodes.add("host", seen.host, seen.host)
        if ("page", seen.page_url) not in nodes:
            page = nodes.add("page", seen.page_url, defanged(seen.page_url))
            nodes.join(host, page, "has", weight=1)
        shown.setdefault((seen.page_url, (item.group, item.cluster)), []).append(item)
    for (page_url, cluster), items in shown.items():
        least = min(item.distance for item in items)
        nodes.join(nodes["page", page_url], nodes["cluster", cluster], "shows", weight=len(items), distance=least)


def _data(element: etree._Element, scope: str, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        etree.SubElement(element, _tag("data"), {"key": f"{scope}_{name}"}).text = _xml(str(value))


def _xml(text: str) -> str:
    """Leave out what XML cannot hold: control characters, halves of surrogate pairs and two code points."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe")
                   or c > "\uffff")  # fmt: skip


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
