"""Every parser that a stranger's bytes reach, in one table: where it is, what it begins from, and what must hold.

Theory of operation
-------------------
A :class:`Parser` takes any bytes. It returns, or raises one of its ``refusals``; everything else is a finding, and so
is an answer that breaks what ``holds`` says, which ``run`` asserts. Two fuzzers go through the table:
``test_parsers.py`` with hypothesis, bounded, in ``make test``; ``guided.py`` with atheris, guided by coverage, in
``make fuzz``.

What this module deliberately does not do: it fuzzes no decoder of pictures. These run confined, and
``test_decode.py`` and the chaos suite send them 100,000 damaged files.
"""
# ruff: noqa: E501 - a table reads best with a parser on a line

from __future__ import annotations

import io
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from google.protobuf.message import DecodeError

from hashmatch.cases import receipt
from hashmatch.config import DecodeConfig
from hashmatch.errors import BadFrame, HashmatchError
from hashmatch.exchange import manifest
from hashmatch.exchange.formats import FORMATS
from hashmatch.exchange.ncmec import NcmecPage
from hashmatch.exchange.stopncii import StopNciiPage
from hashmatch.exchange.tat import TatPage
from hashmatch.exchange.threatexchange import ThreatExchangePage
from hashmatch.hashing import algorithms, baseline, gates
from hashmatch.hotline.confined import framing
from hashmatch.hotline.jobs import lists
from hashmatch.hotline.pages import charset, css, data_urls, json_ld, page, sniff, srcset
from hashmatch.hotline.pages.collecting import PageLimits
from hashmatch.hotline.web import urls
from hashmatch.hotline.web.coding import Decoder
from hashmatch.hotline.web.stops import Stopped
from hashmatch.identity import tokens
from hashmatch.ledger import records
from hashmatch.model import ComputedHash, Entry, HashOptions, MediaInfo, Picture, Rejected
from hashmatch.model.cases import Facts
from hashmatch.report.casework import facts_from_proto
from hashmatch.report.hotline import submission_from_proto
from hashmatch.report.plain import from_plain
from hashmatch.report.proto import entry_from_proto, hash_from_proto, report_from_proto
from hashmatch.sandbox import protocol
from hashmatch.sandbox.control import Frame
from hashmatch.signatures import SigningKey
from hashmatch.v1 import hashset_pb2, hotline_pb2, report_pb2, types_pb2

MAX_BYTES = 4_096
URL = "https://example.org/gallery/page.html"
KEY = SigningKey.generate()
CODEC = protocol.Codec(tuple(algorithms.searchable().values()))
REPLY = Picture(MediaInfo("JPEG", 640, 480), (ComputedHash("pdq", bytes(32), 100),))
REQUEST = protocol.Request(protocol.RequestKind.HASH, 7, 100, HashOptions())
VALUE = "0f" * 32


@dataclass(frozen=True, slots=True)
class Parser:
    """One way in. ``module`` is where the parser is, by name; ``holds`` says what is asserted beyond "nothing else is raised"."""

    module: str
    run: Callable[[bytes], object]
    corpus: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = (HashmatchError,)
    holds: str = "it is read, or refused by name"


def _rows(read: Callable[[BinaryIO], Any], data: bytes) -> None:
    for row in read(io.BytesIO(data)):
        assert isinstance(row, Entry | Rejected)


def _proto(message: type[Any], convert: Callable[[Any], object], data: bytes) -> None:
    convert(message.FromString(data))


def _page(content_type: str, data: bytes) -> None:
    limits = PageLimits(max_images=7, max_documents=3, max_data_bytes=64, max_all_data_bytes=100)
    read = page.read(data, url=URL, content_type=content_type, limits=limits)
    assert len(read.images) <= 2 * limits.max_images
    assert len(read.documents) <= limits.max_documents + 1
    assert sum(len(link.data) for link in read.images) <= limits.max_all_data_bytes


def _text(read: Callable[[str], Any], data: bytes) -> None:
    list(read(data.decode("utf-8", "replace")))


def _url(data: bytes) -> None:
    parsed = urls.parse(data.decode("utf-8", "replace"))
    if isinstance(parsed, urls.Target):
        again = urls.parse(parsed.url)
        assert isinstance(again, urls.Target), again
        assert again.url == parsed.url, "what was read is read again as the same"


def _charset(data: bytes) -> None:
    charset.decode(data, charset.decide(data))


def _data_url(data: bytes) -> None:
    assert len(data_urls.decode("data:" + data.decode("latin-1"), 64).data) <= 64


def _coding(data: bytes) -> None:
    decoder = Decoder("gzip", 1_000)
    assert len(decoder.feed(data)) <= 1_000
    decoder.finish()


def _gates(data: bytes) -> None:
    config = DecodeConfig()
    layout = gates.check_file(data, config)
    if not isinstance(layout, gates.Refused):
        gates.check_size(10, 10, layout, config)


def _ledger(data: bytes) -> None:
    decoded = records.decode(data)
    if not isinstance(decoded, records.Flaw):
        assert records.encode(decoded).rstrip(b"\n") == data.rstrip(b"\n"), "one text for one record"


def _facts(data: bytes) -> None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    from_plain(Facts, document)


def _token(data: bytes) -> None:
    token = tokens.parsed(data.decode("latin-1"))
    assert isinstance(token, tokens.Token)


_LISTS: Mapping[str, tuple[bytes, ...]] = {
    "jsonl": (f'{{"id": "e", "hashes": [{{"algorithm": "pdq", "value": "{VALUE}"}}]}}\n'.encode(),),
    "csv": (f"pdq,md5\n{VALUE},{'0' * 32}\n".encode(), b"id;pdq\n"),
    "lines": (f"{VALUE}\n# no\n".encode(),),
    "misp": (b'{"Event": {"uuid": "x", "Attribute": [{"type": "md5", "value": "00"}]}}',),
    "stix": (b'{"type": "bundle", "objects": [{"type": "file", "hashes": {"MD5": "00"}}]}',),
    "vics": (b'{"value": [{"Media": [{"MediaID": 1, "MD5": "00"}]}]}',),
}
_XML = f'<queryResult><images count="1"><image><id>1</id><fingerprints><pdq>{VALUE}</pdq></fingerprints></image></images></queryResult>'
_JSON = (
    f'{{"data": [{{"id": 1, "indicator": "{VALUE}", "hash": "{VALUE}"}}], "results": [], "checkpoint": "1"}}'.encode()
)
_HTML = (
    b"<img src=a.jpg srcset='b 2x, c 1w'><style>a{background:url(x)}</style><iframe srcdoc='&lt;img src=y&gt;'>",
    b'<base href=//x/><script type=application/ld+json>{"image": "z"}</script><meta charset=utf-16><noscript><img src=q>',
)  # fmt: skip
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc00011080008000803012200021101031101ffda000c03010002110311003f00ffd9")  # fmt: skip

PARSERS: Mapping[str, Parser] = types.MappingProxyType(
    {
        **{
            f"list {name}": Parser(
                "hashmatch.exchange.formats",
                partial(_rows, entry.read),
                _LISTS.get(name, (b"",)),
                holds="every row is an entry or a rejection",
            )
            for name, entry in FORMATS.items()
        },
        "page ncmec": Parser(NcmecPage.__module__, partial(_rows, NcmecPage), (_XML.encode(),)),
        "page threatexchange": Parser(
            ThreatExchangePage.__module__, partial(_rows, ThreatExchangePage), (_JSON,)
        ),
        "page stopncii": Parser(StopNciiPage.__module__, partial(_rows, StopNciiPage), (_JSON,)),
        "page tat": Parser(TatPage.__module__, partial(_rows, TatPage), (_JSON,)),
        "signed list": Parser(manifest.__name__,
            lambda data: manifest.open_envelope(manifest.envelope_from_bytes(data, "file"), KEY.verify_key, "file"),
            (b'{"payloadType": "application/json", "payload": "e30=", "signatures": [{"keyid": "", "sig": "AA=="}]}',),
        ),
        "receipt": Parser(receipt.__name__, lambda data: receipt.opened(data, KEY.verify_key), (b"HMr1" + bytes(90),)),
        "sealed receipt": Parser(receipt.__name__, lambda data: receipt.unsealed(data, KEY), (b"HMs1" + bytes(90),)),
        "report": Parser(
            "hashmatch.report.proto",
            partial(_proto, types_pb2.MatchReport, report_from_proto),
            (types_pb2.MatchReport(generation="1").SerializeToString(),),
            (HashmatchError, DecodeError),
        ),
        "entry": Parser(
            "hashmatch.report.proto",
            partial(_proto, hashset_pb2.Entry, entry_from_proto),
            (hashset_pb2.Entry(entry_id="e").SerializeToString(),),
            (HashmatchError, DecodeError),
        ),
        "hash": Parser(
            "hashmatch.report.proto",
            partial(_proto, types_pb2.Hash, hash_from_proto),
            (types_pb2.Hash(algorithm="pdq", value=bytes(32)).SerializeToString(),),
            (HashmatchError, DecodeError),
        ),
        "facts": Parser(
            "hashmatch.report.casework",
            partial(_proto, report_pb2.Facts, facts_from_proto),
            (report_pb2.Facts().SerializeToString(),),
            (HashmatchError, DecodeError),
        ),
        "URL submission": Parser(
            "hashmatch.report.hotline",
            partial(_proto, hotline_pb2.UrlSubmission, submission_from_proto),
            (hotline_pb2.UrlSubmission(url=URL).SerializeToString(),),
            (HashmatchError, DecodeError),
        ),
        "facts as JSON": Parser(
            "hashmatch.report.plain", _facts, (b'{"occurred_at": "2026-01-01T00:00:00Z"}',)
        ),
        "list of URLs": Parser(lists.__name__, lambda data: list(lists.read(io.BytesIO(data)).rows), (b"url,id\nhttps://example.org/,1\n",)),
        "URL": Parser(urls.__name__, _url, (URL.encode(), b"hxxp://a[.]example/%2e"), (), "what was read is read again as the same"),
        "page": Parser(page.__name__, partial(_page, "text/html"), _HTML, (), "bounded images, documents and bytes"),
        "stylesheet": Parser(page.__name__, partial(_page, "text/css"), (b"@import 'a'; b{background:image-set(url(c) 2x)}",), ()),
        "CSS": Parser(css.__name__, partial(_text, css.references), (b"a{b:url('c')}",), ()),
        "srcset": Parser(srcset.__name__, partial(_text, srcset.candidates), (b"a 2x, b 1w",), ()),
        "JSON-LD": Parser(json_ld.__name__, partial(_text, json_ld.images), (b'{"image": [{"url": "a"}]}',), ()),
        "charset": Parser(charset.__name__, _charset, (b"<meta charset=shift_jis>\x81", b"\xff\xfea\0"), ()),
        "data URL": Parser(data_urls.__name__, _data_url, (b"image/png;base64,AAAA", b"image/gif,GIF89a"), (), "at most the bytes allowed"),
        "sniffing": Parser(sniff.__name__, sniff.sniff, (b"\x89PNG\r\n", b"GIF89a", b"<html>"), ()),
        "content coding": Parser(
            "hashmatch.hotline.web.coding", _coding, (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0",),
            (Stopped,), "at most the bytes allowed",
        ),
        "frames of the fetcher": Parser(framing.__name__, lambda data: list(framing.Reader(framing.Limits(1_000, 1_000)).feed(data)),
            (b"".join(framing.Frame(framing.Kind.SETTINGS, 0, {}, b"").encode()),), (BadFrame,),
        ),
        "reply of a worker": Parser(protocol.__name__, lambda data: CODEC.decode_reply(data, REQUEST), (b"HMan", CODEC.encode_reply(7, REPLY)), (BadFrame,)
        ),
        "hello of a worker": Parser(protocol.__name__, protocol.decode_hello, (b"HMhi" + bytes(20),), (BadFrame,)),
        "frame of the zygote": Parser("hashmatch.sandbox.control", Frame.decode, (b"HMct",), (BadFrame,)),
        "ledger line": Parser(records.__name__, _ledger, (b'{"body":{},"kind":"note","seq":1}\n',), (), "one text for one record"),
        "gates of pictures": Parser(gates.__name__, _gates, (_JPEG, b"GIF89a" + bytes(20), b"RIFF....WEBPVP8 "), ()),
        "JPEG tables": Parser(baseline.__name__, baseline.parse, (_JPEG,), ()),
        "API key": Parser(tokens.__name__, _token, (b"hm_x_y",)),
    }
)  # fmt: skip
