"""Load what libraries load only when they need it, as long as files can be opened.

Theory of operation
-------------------
After the lockdown an import fails. dnspython imports the class of a record type when it meets one, ``idna`` its tables,
``encodings`` a codec. Everything that fetching meets is met here once: one message of each kind is read and written,
one handshake is made in memory, against a certificate that nobody will see again.

What this module deliberately does not do: it makes no connection.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import ssl

import aiohttp
import dns.asyncbackend
import dns.message
import dns.rdatatype
import dns.rrset
import idna
from protego import Protego

from hashmatch.hotline.web import hosts, tls
from hashmatch.patience import epoch

_TYPES = (
    ("A", "192.0.2.1"),
    ("AAAA", "2001:db8::1"),
    ("CNAME", "a.example."),
    ("DNAME", "a.example."),
    ("NS", "a.example."),
    ("SOA", "a.example. b.example. 1 2 3 4 5"),
    ("TXT", '"text"'),
    ("RRSIG", "A 8 2 60 20300101000000 20200101000000 1 a.example. AAAA"),
    ("HTTPS", "1 a.example."),
)
_CODECS = ("utf-8", "latin-1", "idna", "punycode", "ascii", "charmap", "utf-8-sig")


async def load() -> None:
    """Meet everything once."""
    dns.asyncbackend.get_default_backend()
    message = dns.message.make_response(dns.message.make_query("a.example.", "A", use_edns=0))
    for kind, text in _TYPES:
        message.answer.append(dns.rrset.from_text("a.example.", 1, "IN", kind, text))
    dns.message.from_wire(message.to_wire())
    hosts.canonical("bücher.example")
    hosts.canonical("مثال.example")
    idna.decode("xn--bcher-kva.example")
    for codec in _CODECS:
        "a".encode(codec).decode(codec)
    Protego.parse("User-agent: *\nDisallow: /*a$\nCrawl-delay: 1\nRequest-rate: 1/1\n").can_fetch(
        "http://a.example/", "b"
    )
    epoch(email.utils.format_datetime(dt.datetime.now(dt.UTC)))
    aiohttp.ClientTimeout()
    _shake_hands()


def _shake_hands() -> None:
    """Fail a handshake in memory: OpenSSL loads its words for errors, and Python the classes for them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = tls.looking().wrap_bio(incoming, outgoing, server_hostname="a.example")
    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        incoming.write(answer)
        try:
            connection.do_handshake()
        except ssl.SSLError as error:
            str(error)
