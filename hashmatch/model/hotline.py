"""What becomes of a reported URL: the vocabulary of the URL checker (reference formats §4).

Theory of operation
-------------------
A :class:`Submission` is a line of the list that hotline staff were sent. Its address is fetched, hop by hop
(:class:`Hop`); what arrives is an image, or a page whose images (:class:`Link`) are fetched in turn. Each image, and
the page itself, ends in exactly one :class:`Outcome`. Nothing in here is a byte of an image.

``Outcome.NO_MATCH`` says that nothing known was found. It never says that something is legal or harmless.

What this module deliberately does not do: it fetches nothing, and it decides nothing.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.model.answers import MatchReport


class Outcome(enum.StrEnum):
    """How the check of one address ended; the list is closed, and nothing is without one."""

    MATCH = "match"
    POSSIBLE_MATCH = "possible_match"
    NO_MATCH = "no_match"
    """Looked, and nothing known was found. Of a page: all of its images were looked at."""
    NO_IMAGES = "no_images"
    """A page without images."""
    GONE = "gone"
    """404 or 410."""
    BLOCKED_451 = "blocked_451"
    """Unavailable for legal reasons, says the host."""
    LOGIN_REQUIRED = "login_required"
    """401, 403 with a login page, or a redirect to one."""
    FORBIDDEN = "forbidden"
    """403 without a word about why."""
    CHALLENGE = "challenge"
    """A page that wants proof of a person."""
    HTTP_ERROR = "http_error"
    """Another status that is no answer."""
    DNS_FAIL = "dns_fail"
    """The name does not exist, or no name server answered."""
    UNREACHABLE = "unreachable"
    """No connection, or one that broke off."""
    TLS_FAIL = "tls_fail"
    """The certificate does not verify, or no handshake came about."""
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    """The body came more slowly than ``hotline.min_bytes_per_s``."""
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    """Beyond the number of images, frames or bytes that one page may have."""
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BAD_ANSWER = "bad_answer"
    """Not HTTP, headers beyond the limit, or an encoding that was not asked for."""
    NOT_IMAGE = "not_image"
    """An answer that is neither an image nor a page."""
    NOT_CHECKED = "not_checked"
    """An image that could not be looked at; the reason is the match report's."""
    UNSUPPORTED = "unsupported"
    """An archive, a video, or another file that may hold images and is not opened."""
    REFUSED_ADDRESS = "refused_address"
    """The host's address is not a public one: fetching from it is refused."""
    REFUSED_URL = "refused_url"
    """Not an address that is fetched: another scheme or port, credentials inside, no host, malformed."""
    REFUSED_ROBOTS = "refused_robots"
    PAGE_FAIL = "page_fail"
    """The page could not be read in its confined process."""
    FAILED = "failed"
    """hashmatch itself failed on it: a defect, which must not end a job, and again whenever it is resumed."""
    ABORTED = "aborted"
    """The job ended before; resuming it goes on."""


class Kind(enum.StrEnum):
    """What the bytes of an answer are, whatever the host called them."""

    IMAGE = "image"
    """A format that the sandbox may decode."""
    PAGE = "page"
    """HTML, or XML that browsers show as a page."""
    STYLESHEET = "stylesheet"
    ARCHIVE = "archive"
    VIDEO = "video"
    DOCUMENT = "document"
    """PDF, SVG, office documents and others that may hold pictures and are not opened."""
    OTHER = "other"


class Via(enum.StrEnum):
    """Where on a page an address was found."""

    DIRECT = "direct"
    """The reported address itself is an image."""
    IMG = "img"
    SRCSET = "srcset"
    LAZY = "lazy"
    """An attribute that scripts move to ``src``."""
    PICTURE = "picture"
    INPUT = "input"
    OBJECT = "object"
    POSTER = "poster"
    ICON = "link-icon"
    PRELOAD = "link-preload"
    OG = "og:image"
    TWITTER = "twitter:image"
    ITEMPROP = "itemprop"
    JSON_LD = "json-ld"
    CSS = "css"
    ANCHOR = "anchor"
    """A link that ends in the extension of an image."""
    SVG = "svg-image"
    INLINE = "inline-data"
    """A ``data:`` URL."""
    FRAME = "frame"
    """A document inside the page."""
    STYLESHEET = "stylesheet"
    REFRESH = "refresh"
    """``<meta http-equiv=refresh>``."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One line of a list. ``url`` is as it was received; ``number`` counts from 1; ``extra`` is what else it said.

    Columns of ``extra`` are those of reference formats §4.2 (``report_id``, ``received_at``, ``channel``, ``theme``,
    ``site_type``, ``priority``, ``remarks``).
    """

    number: int
    url: str
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TlsSeen:
    """What a TLS connection showed. ``problem`` is empty when the certificate verified."""

    version: str
    cipher: str
    issuer: str
    """Of the leaf certificate, RFC 4514."""
    subject: str
    not_after: dt.datetime | None
    chain_sha256: tuple[str, ...]
    """Of each certificate that was sent, leaf first, hex."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its answer's head. ``status`` is 0 where there was no answer."""

    url: str
    ip: str = ""
    port: int = 0
    names: tuple[str, ...] = ()
    """CNAMEs on the way to the address, in their order."""
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    """As received, in their order; decoded as latin-1, which loses nothing."""
    tls: TlsSeen | None = None
    downgraded: bool = False
    """From https to http."""
    started_at: dt.datetime | None = None
    answered_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """An address, fetched. ``outcome`` is None exactly when ``body`` is whole and the status 200.

    ``content_type`` is what the host declared, ``body`` is decompressed. ``hops`` has one item per request, redirects
    included; the last one is what ``body`` came from.
    """

    hops: tuple[Hop, ...]
    outcome: Outcome | None = None
    detail: str = ""
    """One sentence for people about the outcome; never content of the answer."""
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    wire_bytes: int = 0
    """Of the body as it was sent, which may be compressed."""
    ended_at: dt.datetime | None = None
    robots: str = ""
    """``allowed``, ``disallowed``, ``none`` (there is no such file) or ``unknown``; empty: not asked."""

    @property
    def final_url(self) -> str:
        """Where the body came from."""
        return self.hops[-1].url if self.hops else ""


@dataclass(frozen=True, slots=True)
class Link:
    """An address found on a page. ``data`` is of a ``data:`` URL, decoded, and then ``url`` is empty."""

    url: str
    via: Via
    data: bytes = field(default=b"", repr=False)
    refused: str = ""
    """Why it is not followed, e.g. that it is no URL; ``url`` is then the text as it stands, cut to 2,000."""
    outcome: Outcome | None = None
    """What a refused one ends as: ``REFUSED_URL``, ``UNSUPPORTED`` or ``TOO_LARGE``; None: it is not refused."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page refers to: images in the order of the page, each address once, and documents to open for more.

    ``left_out`` counts what was found beyond the limit.
    """

    images: tuple[Link, ...] = ()
    documents: tuple[Link, ...] = ()
    """Frames, stylesheets and at most one refresh."""
    left_out: int = 0
    title_words: int = 0
    """Words in the title: an empty one and a login form tell pages apart; the words are not kept."""
    login_form: bool = False
    challenge: bool = False
    encoding: str = ""
    """As it was decided from BOM, header, meta or content (HTML, 13.2.3)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is hosted, and whom to tell. Empty or None: not known. ``sources`` says which file said so.

    The country of an address is where it is registered or announced, which need not be where the machine stands.
    """

    ip: str
    asn: int | None = None
    as_name: str = ""
    network: str = ""
    country: str = ""
    """ISO 3166 alpha-2."""
    abuse: str = ""
    cdn: str = ""
    """Name of the content delivery network, whose address hides that of the origin; empty: none known."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Fact (``asn``, ``country``, ``abuse``, ``cdn``) to name and date of the database."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the result: an image that was found, or tried. ``report`` is None unless an image was looked at."""

    number: int
    """Of the submission."""
    url: str
    """Empty for a ``data:`` URL."""
    via: Via
    outcome: Outcome
    detail: str = ""
    page_url: str = ""
    """Document that refers to it; empty for a direct one."""
    fetched: Fetched | None = None
    """Without its body."""
    size_bytes: int = 0
    report: MatchReport | None = None
    place: Place | None = None
    evidence: str = ""
    """Digest of its evidence record, hex."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of one submission: the gravest outcome of it and its images, and how many of each there were."""

    submission: Submission
    outcome: Outcome
    detail: str = ""
    url: str = ""
    """As it was fetched: repaired, canonical, ASCII."""
    fetched: Fetched | None = None
    """Of the page, without its body."""
    place: Place | None = None
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    """Over its items."""
    checked_at: dt.datetime | None = None
    same_as: int | None = None
    """Number of an earlier submission of the same address, whose items are its own."""
