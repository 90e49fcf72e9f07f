"""The section about checking URLs: what is fetched from strangers' hosts, how much of it, and how politely."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HotlineConfig:
    """Checking reported URLs (docs/guide/hotline.md)."""

    serve: bool = setting(
        default=False,
        why="offer HotlineService: its callers make this machine fetch from strangers' hosts, which most services "
        "have no business doing",
    )
    max_urls: int = setting(
        10_000, "in one call: an action day's list; longer ones are several calls", unit="URLs", at_least=1,
        at_most=100_000,
    )  # fmt: skip
    max_calls: int = setting(
        4, "calls of HotlineService at a time; they share the limits on fetches below", unit="calls", at_least=1,
        at_most=1_000,
    )  # fmt: skip
    ports: tuple[int, ...] = setting(
        (80, 443), "TCP ports that are connected to; the kernel holds the fetcher to them where it can"
    )
    allow_networks: tuple[str, ...] = setting(
        (), "networks that are fetched from although they are not public, such as 127.0.0.0/8; for laboratories only: "
        "a reported URL could then reach what listens there",
    )  # fmt: skip
    nameservers: tuple[str, ...] = setting(
        (), "addresses of name servers, with #port where it is not 53; empty: those of /etc/resolv.conf"
    )
    proxy: str = setting(
        "",
        "socks5h://host:port: everything is fetched through it and names are resolved there, as for Tor; empty: "
        "directly. Proxies of the environment are never used",
    )
    user_agent: str = setting(
        "", "what hosts are told; name a page that says who checks and why. Empty: hashmatch and its version"
    )
    respect_robots: bool = setting(
        default=False,
        why="a check of one reported address is no crawl: what robots.txt says is recorded, and followed only if asked",
    )
    ask_robots: bool = setting(
        default=True, why="one more request per host and hour; false: nothing is asked, recorded or followed"
    )
    send_referer: bool = setting(
        default=False,
        why="some hosts show images only to visitors of their pages; true: they are told which page it was",
    )
    ca_bundle: str = setting(
        "", "file of the certificates (PEM) that TLS trusts; empty: the system's, or certifi's where it has none"
    )
    allow_invalid_tls: bool = setting(
        default=False,
        why="a certificate that does not verify is recorded and ends the fetch; true: it is recorded, and read on",
    )
    connect_timeout_s: float = setting(5.0, "a host that is there answers within this", unit="s", at_least=0.1)
    first_byte_timeout_s: float = setting(10.0, "from the request to the answer's first byte", unit="s", at_least=0.1)
    total_timeout_s: float = setting(
        30.0, "one address, its redirects and body included; also what ends a slow loris", unit="s", at_least=0.1
    )
    min_bytes_per_s: int = setting(
        1_024, "of a body, over any ten seconds: slower than any modem is on purpose", unit="bytes/s", at_least=0
    )
    max_redirects: int = setting(5, "each looked at again; browsers give up at 20", unit="redirects", at_least=0,
        at_most=20,
    )  # fmt: skip
    max_header_bytes: int = setting(
        32 << 10, "of one answer; servers stop at 8 to 16 kB", unit="bytes", at_least=1_024, at_most=1 << 20
    )
    max_page_bytes: int = setting(
        5 << 20, "of one page, stylesheet or frame, decompressed; long forum threads have one", unit="bytes",
        at_least=1_024, at_most=64 << 20,
    )  # fmt: skip
    max_image_bytes: int = setting(
        20 << 20, "of one image; no more than decode.max_bytes", unit="bytes", at_least=1_024, at_most=512 << 20
    )
    max_job_page_bytes: int = setting(100 << 20, "of all images of one page together", unit="bytes", at_least=1_024)
    max_images: int = setting(
        200, "of one page, in the order of the page; a gallery shows fewer", unit="images", at_least=1,
        at_most=100_000,
    )  # fmt: skip
    max_frame_depth: int = setting(1, "frames inside frames that are opened", unit="levels", at_least=0, at_most=5)
    max_frames: int = setting(10, "frames and stylesheets of one page that are opened", unit="files", at_least=0,
        at_most=1_000,
    )  # fmt: skip
    remembered_images: int = setting(
        20_000, "addresses of images whose outcome is remembered within a job, so that what many pages show is fetched "
        "once; a row each, never bytes", unit="addresses", at_least=1, at_most=10_000_000,
    )  # fmt: skip
    page_timeout_s: float = setting(
        10.0, "for reading one page in its confined process; the worst 5 MB known take four seconds", unit="s",
        at_least=0.1,
    )  # fmt: skip
    start_timeout_s: float = setting(
        60.0, "until the fetching process has loaded its libraries and is locked up; it compiles nothing, and a second "
        "or two is usual (reading pages: sandbox.start_timeout_ms)", unit="s", at_least=1.0, at_most=600.0,
    )  # fmt: skip
    concurrency: int = setting(32, "fetches at a time over all hosts", unit="fetches", at_least=1, at_most=4_096)
    host_concurrency: int = setting(
        2, "fetches at a time from one host: a visitor's browser opens six connections", unit="fetches", at_least=1,
        at_most=256,
    )  # fmt: skip
    host_delay_ms: int = setting(
        0, "between the beginnings of two fetches from one host", unit="ms", at_least=0, at_most=600_000
    )
    asn_database: str = setting(
        "", "file that says which autonomous system announces an address: an .mmdb, or a table of ranges "
        "(docs/guide/hotline.md); empty: unknown",
    )  # fmt: skip
    country_database: str = setting("", "likewise, in which country an address is")
    abuse_database: str = setting("", "table of whom to tell, by network or autonomous system")
    cdn_database: str = setting("", "table of networks or autonomous systems that hide where something is hosted")
    operator: str = setting("", "who checks, as evidence names it: an organisation, not a person")
    legal_basis: str = setting("", "why that is allowed, as evidence quotes it")
    placeholders: str = setting(
        "", "file of SHA-256 digests, one a line, of pictures that hosts show in the place of removed ones; empty: none"
    )
    parking_hosts: str = setting("", "file of hosts, one a line, that sell or park names; empty: none")
    recheck_first_h: tuple[int, ...] = setting(
        (1, 6, 24), "hours after the check, and again after a notice and a return, at which is looked again: most of "
        "what is taken down goes within a day", unit="h",
    )  # fmt: skip
    recheck_daily: int = setting(14, "daily looks after those", unit="looks", at_least=0, at_most=366)
    recheck_weekly: int = setting(
        8, "weekly looks after the daily ones; what was taken down comes back within weeks or not", unit="looks",
        at_least=0, at_most=520,
    )  # fmt: skip
    recheck_tries: int = setting(
        3, "silent looks in a row after which what cannot be reached counts as gone", unit="looks", at_least=1,
        at_most=100,
    )  # fmt: skip
    recheck_doubt_h: int = setting(24, "over which these are spread: outages end within a day", unit="h", at_least=0)
    recheck_vantages: tuple[str, ...] = setting(
        (), "further points to look from, NAME=socks5h://host:port; with any, silence counts only when it was heard "
        "from two: a host may have locked out one address",
    )  # fmt: skip
