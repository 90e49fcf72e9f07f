"""The sections about cases: who reports, what is kept, where reports go."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReporterConfig:
    """Who reports: what every report says of its sender (docs/guide/reporting.md)."""

    name: str = setting("", "the organisation, as the authorities know it")
    legal_representative: str = setting("", "of a provider from outside the Union, under Article 13 of the DSA")
    contact_point: str = setting("", "whom authorities turn to: a function rather than a person")
    contact_information: str = setting("", "how the contact point is reached")
    first_name: str = setting("", "of the person who reports; CyberTipline asks for one")
    last_name: str = setting("", "of the person who reports")
    email: str = setting("", "where answers go; no CyberTip and no XARF without one")
    phone: str = setting("", "where to call")
    domain: str = setting("", "DNS name of the organisation, for XARF")
    country: str = setting("", "of the organisation, ISO 3166 alpha-2")
    address: str = setting("", "postal, for letters")
    legal_url: str = setting("", "terms of service or policy, for CyberTipline")
    platform: str = setting("", "what is meant when a case names no platform")
    esp_service: str = setting("", "name of the service under which accounts exist, for CyberTipline")
    cybertip_xsd: str = setting(
        "", "path of the schema that NCMEC serves to those who have credentials; CyberTips are then held to it as well"
    )
    hotline: bool = setting(
        default=False,
        why="a hotline gives notice of what is on others' services, a provider reports what is on its own",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesConfig:
    """What is kept of a report, and for how long (docs/guide/reporting.md)."""

    receipt_key: str = setting(
        "", "file with the Ed25519 key that signs receipts, as `hashmatch hashset keygen` makes it; empty: one of its "
        "own in the data directory. Services behind one address need one key",
    )  # fmt: skip
    receipt_days: int = setting(
        30, "how old a match may be of which a case is opened; a report is due as soon as possible, not a month later",
        unit="days", at_least=1, at_most=3_650,
    )  # fmt: skip
    keep_days: int = setting(
        365, "a case is erased so long after it was opened: hotlines and authorities ask back within a year, and "
        "personal data are not kept for longer than they are needed", unit="days", at_least=1, at_most=36_500,
    )  # fmt: skip
    warn_days: int = setting(
        30, "so long before a case is erased, deliveries of it that wait for a person are pointed out: in the log, and "
        "by `report outbox`; a month has every holiday in it", unit="days", at_least=0, at_most=365,
    )  # fmt: skip
    hold_days: int = setting(
        365, "how long the caller's own store keeps what a report is about: one year under 18 USC 2258A(h) as amended "
        "by the REPORT Act", unit="days", at_least=1, at_most=36_500,
    )  # fmt: skip
    hold_outlet: str = setting("", "name of the webhook that is told when material is to be kept and when no longer")
    flush_s: int = setting(
        10, "counters are written so often; a process that is killed loses what it counted since", unit="s",
        at_least=1, at_most=3_600,
    )  # fmt: skip
    sweep_s: int = setting(
        3_600, "how often it is looked for what is to be erased and which holds end", unit="s", at_least=1,
        at_most=86_400,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletConfig:
    """One place that reports go to: ``[outbox.outlets.NAME]`` (docs/guide/reporting.md)."""

    kind: str = setting("", "what is there: cybertipline, dsa-database, mail, webhook or folder")
    environment: str = setting(
        "", "test or production; a known host of the other kind is refused, and so is a case of the other kind"
    )
    url: str = setting("", "https://host/path; of mail smtp://host:port or smtps://host:port; of folder file:///path")
    credentials: str = setting("", "where the secrets are: env:PREFIX or file:/path, never the secrets themselves")
    sender: str = setting("", "mail: the address that notices come from")
    recipient: str = setting("", "mail: the address that notices go to, where the request names none")
    two_person: bool = setting(default=False, why="a second person must release what the first one sent")
    dry_run: bool = setting(default=False, why="render, check and record, and send nothing")
    rate_per_minute: int = setting(
        60, "requests that are begun, at most; one a second is what the receivers' terms have room for",
        unit="per minute", at_least=1, at_most=60_000,
    )  # fmt: skip
    concurrency: int = setting(2, "deliveries at a time", unit="deliveries", at_least=1, at_most=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """How reports are delivered: at least once, and idempotent where the receiver allows it."""

    timeout_s: int = setting(60, "one request, its answer included", unit="s", at_least=1, at_most=3_600)
    connect_timeout_s: int = setting(10, "a host that answers does so within this", unit="s", at_least=1)
    tries: int = setting(
        12, "of one delivery; with doubling waits that is about a day", unit="tries", at_least=1, at_most=1_000
    )
    first_wait_s: float = setting(
        15.0, "bound of the first wait before trying again; doubled each time, and drawn at random below that",
        unit="s", at_least=0,
    )  # fmt: skip
    longest_wait_s: float = setting(14_400.0, "bound of any wait that was not asked for", unit="s", at_least=0)
    lease_s: int = setting(
        300, "a delivery that a process took and said nothing of for so long is taken by another; longer than any "
        "request", unit="s", at_least=5, at_most=86_400,
    )  # fmt: skip
    poll_ms: int = setting(1_000, "how often the outbox is looked at", unit="ms", at_least=10, at_most=600_000)
    max_answer_bytes: int = setting(
        1 << 20, "of any receiver; reports are answered in a kilobyte", unit="bytes", at_least=1 << 10,
        at_most=1 << 26,
    )  # fmt: skip
    outlets: Mapping[str, OutletConfig] = field(default_factory=lambda: types.MappingProxyType({}))
    """Name to outlet."""
