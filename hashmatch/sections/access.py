"""Who may come in, and how much of it: ``[server.tls]``, ``[server.access]``, ``[server.quota]``."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """The service's certificate, and whose certificates it asks callers for (docs/guide/access.md)."""

    certificate: str = setting(
        "", "file with the certificate and those between it and the root, in PEM; empty: no TLS. Read again when it "
        "changes",
    )  # fmt: skip
    key: str = setting("", "file with the private key of the certificate, in PEM, not readable by everybody")
    client_ca: str = setting(
        "", "file with the roots of callers' certificates, in PEM; every caller then has to show one, also to ask for "
        "health",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessConfig:
    """Whom the service knows (docs/guide/access.md)."""

    keys_file: str = setting(
        "", "file that `hashmatch keys` writes; empty: keys.json in the data directory, if there is one. Services "
        "behind one address need the same",
    )  # fmt: skip
    poll_ms: int = setting(
        250, "how often it is looked whether the file has changed: a key that is revoked opens nothing after that",
        unit="ms", at_least=10, at_most=60_000,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaConfig:
    """How much each caller may ask for, unless its own entry says otherwise; 0 is no limit."""

    calls_per_s: int = setting(
        0, "calls, and images of a stream: 0, since the queue before the workers already holds back who asks for more "
        "than there is", unit="calls per s", at_least=0, at_most=1_000_000,
    )  # fmt: skip
    calls_burst: int = setting(
        100, "calls that may come at once: what a page with a hundred pictures sends", unit="calls", at_least=1,
        at_most=10_000_000,
    )  # fmt: skip
    bytes_per_s: int = setting(
        0, "bytes of messages, counted as they arrive", unit="bytes per s", at_least=0, at_most=1 << 40
    )
    bytes_burst: int = setting(
        128 << 20, "bytes that may come at once: four of the largest messages", unit="bytes", at_least=1,
        at_most=1 << 40,
    )  # fmt: skip
    calls_per_day: int = setting(
        0, "calls within a day that begins with the first of them", unit="calls", at_least=0, at_most=1 << 40
    )
    bytes_per_day: int = setting(0, "bytes within such a day", unit="bytes", at_least=0, at_most=1 << 50)
