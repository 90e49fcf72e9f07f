"""The sections that a running service consists of: decoding, confinement, catalog, index, server, policy."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.limits import AlgorithmPolicy, ViewPolicy, default_algorithm_policies, default_view_policies, setting
from hashmatch.model import Fidelity, Views
from hashmatch.sections.access import AccessConfig, QuotaConfig, TlsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeConfig:
    """Gates in front of the image decoders (reference security §4)."""

    max_bytes: int = setting(
        32 << 20, "a 100 Mpx camera JPEG is about 30 MB; also the size of a worker's shared buffer",
        unit="bytes", at_least=1, at_most=512 << 20,
    )  # fmt: skip
    max_pixels: int = setting(
        50_000_000, "imgproxy's default; 150 MB as RGB, and every camera photo we know fits",
        unit="pixels", at_least=25, at_most=500_000_000,
    )  # fmt: skip
    max_side_px: int = setting(
        20_000, "long screenshots and panoramas fit; libwebp stops at 16,383, libjpeg at 65,535",
        unit="pixels", at_least=5, at_most=65_535,
    )  # fmt: skip
    min_side_px: int = setting(
        5, "PDQ is undefined below five pixels a side (reference recipe, step 4)",
        unit="pixels", at_least=5, at_most=1_000,
    )  # fmt: skip
    max_scan_pixels: int = setting(
        1_000_000_000, "JPEG scans times pixels: 0.7 ns each measured, so 0.7 s; a 3.9 MB scan bomb asks for 1e12",
        unit="pixels", at_least=1_000_000,
    )  # fmt: skip
    max_jpeg_scans: int = setting(
        256, "nvImageCodec's limit, after the cure53 audit of libjpeg-turbo; ordinary progressive files have ten",
        unit="scans", at_least=1,
    )  # fmt: skip
    max_parts: int = setting(
        300_000, "what Pillow steps through in Python, counted in GIF sub-blocks at 0.5 microseconds, of which 32 MB "
        "hold 131,000; a JPEG segment or TIFF tag costs as much as four, a PNG chunk as eight",
        unit="parts", at_least=1_000,
    )  # fmt: skip
    max_frames_hashed: int = setting(
        8, "frames of an animation that are hashed, evenly spaced, the first always among them",
        unit="frames", at_least=1, at_most=32,
    )  # fmt: skip
    max_frames_seen: int = setting(
        200, "frames that are stepped through, forward only; counting all 50,000 IFDs of a hostile TIFF takes 15 s",
        unit="frames", at_least=1, at_most=10_000,
    )  # fmt: skip
    fidelity: Fidelity = setting(  # noqa: RUF009 - declares a field, as for every other setting
        Fidelity.EXACT, "exact; or screen: a large JPEG is first hashed from a scaled decode, exactly where that finds "
        "anything; decoding costs half, searching more, and verdicts were the same (docs/explain/fidelity.md)",
    )  # fmt: skip
    screen_side_px: int = setting(
        2_048, "shorter side from which a JPEG is screened: below it, looking further in half a million values costs "
        "more than decoding saves; nothing below 512 is ever scaled", unit="pixels", at_least=512,
    )  # fmt: skip
    max_animation_pixels: int = setting(
        200_000_000, "pixels over all frames that are stepped through: about a second of GIF decoding",
        unit="pixels", at_least=25,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """The confined worker processes that decode strangers' images (reference security §2)."""

    workers: int = setting(0, "0 means one per core: decoding is CPU-bound", unit="processes", at_least=0, at_most=256)
    queue: int = setting(
        64, "images waiting for a worker before callers are told RESOURCE_EXHAUSTED; a second of work on two cores",
        unit="images", at_least=0, at_most=100_000,
    )  # fmt: skip
    queue_ms: int = setting(
        1_000, "an image that would wait longer is refused at once, as is one that would miss its caller's deadline; a "
        "wait of a second is what callers of an upload path bear", unit="ms", at_least=1, at_most=600_000,
    )  # fmt: skip
    deadline_ms: int = setting(
        10_000, "the slowest allowed image measured takes 0.7 s; the rest is for a loaded machine",
        unit="ms", at_least=10, at_most=600_000,
    )  # fmt: skip
    start_timeout_ms: int = setting(
        120_000, "first start compiles the kernels when no compiled cache is found",
        unit="ms", at_least=1_000, at_most=600_000,
    )  # fmt: skip
    nice: int = setting(
        10, "levels of nice(1) by which workers stand back behind whoever answers: under twice the load refusals take "
        "4 ms with 19, 5 with 10, 8 with 5, 60 with 0; the more, the less is hashed beside others in its control group",
        unit="levels", at_least=0, at_most=19,
    )  # fmt: skip
    memory_bytes: int = setting(
        3 << 30, "address space of one worker, everything mapped counted; 49 Mpx with all algorithms takes 1.5 GB",
        unit="bytes", at_least=512 << 20,
    )  # fmt: skip
    recycle_after: int = setting(
        1_000, "a worker is replaced after so many images, so that heap remnants do not pile up; costs 3.5 ms",
        unit="images", at_least=1,
    )  # fmt: skip
    quarantine_images: int = setting(
        4_096, "images that killed workers and are remembered by digest, about 250 bytes each; of more, the one that "
        "killed longest ago is forgotten; 0 tries everything again", unit="images", at_least=0, at_most=1_000_000,
    )  # fmt: skip
    quarantine_s: float = setting(
        600.0, "how long an image that killed two workers is refused without a try; doubled each time it kills again, "
        "up to a day", unit="s", at_least=1, at_most=86_400,
    )  # fmt: skip
    allow_degraded: bool = setting(
        default=False, why="serve although the kernel refuses part of the confinement; the posture then says so"
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogConfig:
    """Where the hash sets are: in the data directory, or in a PostgreSQL that several services share."""

    url: str = setting(
        "", "empty: SQLite in the data directory; postgresql://user@host:port/database for replicas. Never with the "
        "password: PGPASSWORD or PGPASSFILE bring that, so that no configuration, listing or log holds it",
    )  # fmt: skip
    connections: int = setting(
        16, "of one process, at most: 4 short calls, 8 imports and exports, 2 to follow, the rest for overlap; "
        "PostgreSQL takes 100 by default, so five services", unit="connections", at_least=4, at_most=1_000,
    )  # fmt: skip
    connect_timeout_s: int = setting(
        5, "how long to wait for a server that does not answer, or for a free connection; a caller's deadline is "
        "rarely longer", unit="s", at_least=2, at_most=600,
    )  # fmt: skip
    lock_timeout_s: int = setting(
        60, "how long a write waits for another's; one import of five million rows keeps the lock about that long",
        unit="s", at_least=1, at_most=3_600,
    )  # fmt: skip
    silence_s: int = setting(
        15, "a peer that acknowledges nothing for so long is given up; the kernel's default of two hours would leave a "
        "replica waiting on a cut network", unit="s", at_least=3, at_most=3_600,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """The search index (DESIGN §6)."""

    max_delta_entries: int = setting(
        50_000, "entries added since the last snapshot before a compaction starts; a flat scan of them takes 0.1 ms",
        unit="entries", at_least=1, at_most=5_000_000,
    )  # fmt: skip
    max_hits: int = setting(
        100, "hits in one report; the nearest are kept and the report says that there were more",
        unit="hits", at_least=1, at_most=10_000,
    )  # fmt: skip
    queue_ms: int = setting(
        2_000, "lookups of given hashes that would wait longer are refused at once; a batch of a thousand takes up to "
        "half a second of a core, so a few of them may wait", unit="ms", at_least=1, at_most=600_000,
    )  # fmt: skip
    poll_ms: int = setting(
        250, "how often a server asks the catalog whether another process changed it", unit="ms", at_least=10
    )
    snapshots_kept: int = setting(
        2, "the current one and the one before, so that a corrupt file leaves something to fall back on",
        unit="snapshots", at_least=1, at_most=100,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The gRPC server (reference security §3.2 has the measurement behind each number)."""

    listen: str = setting("127.0.0.1:50051", "loopback: nothing is exposed until someone decides so")
    processes: int = setting(
        1, "that share the address and the workers; 0: one per core. Images need no second one, for their work is in "
        "the workers; lookups of hashes do (docs/explain/serving.md)", unit="processes", at_least=0, at_most=256,
    )  # fmt: skip
    move_s: int = setting(
        10, "with several processes a connection is moved on after that, with no call lost: so load spreads, and a "
        "process can be replaced; a new connection costs 5 ms", unit="s", at_least=1, at_most=600,
    )  # fmt: skip
    max_message_bytes: int = setting(
        33 << 20, "one image of decode.max_bytes plus the message around it", unit="bytes", at_least=1 << 10
    )
    max_concurrent_streams: int = setting(64, "per connection; Envoy's edge default is 100", unit="streams", at_least=1)
    max_connections: int = setting(
        256, "sockets that never speak cannot starve the rest", unit="connections", at_least=1
    )
    max_metadata_bytes: int = setting(16_384, "gRPC's own hard limit", unit="bytes", at_least=1_024)
    handshake_timeout_ms: int = setting(5_000, "gRPC's default of 120 s invites slow-loris", unit="ms", at_least=100)
    connection_idle_s: int = setting(300, "idle connections are closed", unit="s", at_least=1)
    connection_age_s: int = setting(
        1_800, "the only server-side remedy against bodies that never finish", unit="s", at_least=1
    )
    connection_grace_s: int = setting(60, "time for calls in flight on an aged connection", unit="s", at_least=1)
    keepalive_s: int = setting(60, "a peer that vanished is noticed after this and the next", unit="s", at_least=1)
    keepalive_timeout_s: int = setting(20, "how long a keepalive ping may stay unanswered", unit="s", at_least=1)
    min_ping_interval_s: int = setting(
        30, "peers that ping more often are disconnected; gRPC's default of 300 s drops honest keepalive", unit="s",
        at_least=1,
    )  # fmt: skip
    drain_s: int = setting(20, "how long accepted calls may run after SIGTERM", unit="s", at_least=0, at_most=3_600)
    stream_window: int = setting(
        16, "images of one DetectStream in flight; the server stops reading beyond it", unit="items", at_least=1
    )
    max_batch: int = setting(10_000, "hashes in one DetectHashes call", unit="hashes", at_least=1)
    import_idle_s: int = setting(
        30, "an import occupies a thread and a temporary table, and a sender that falls silent must not keep them",
        unit="s", at_least=1, at_most=3_600,
    )  # fmt: skip
    health_poll_ms: int = setting(
        250, "how often readiness is composed again; below any orchestrator's probe interval", unit="ms", at_least=10
    )
    allow_insecure_remote: bool = setting(
        default=False,
        why="listen beyond this machine although callers are not known or the way is not encrypted; for private "
        "networks behind a proxy that does both",
    )
    reflection: bool = setting(
        default=False, why="off: the service's shape is nobody's business until someone decides so"
    )
    tls: TlsConfig = field(default_factory=TlsConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    quota: QuotaConfig = field(default_factory=QuotaConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodConfig:
    """The guard against an entry that suddenly matches far more than it used to (docs/explain/flood.md)."""

    enabled: bool = setting(default=True, why="count matches per entry, and tell when one floods")
    quarantine: bool = setting(
        default=True,
        why="put an entry that floods into quarantine, where its hits are reported and change no verdict; "
        "false only tells",
    )
    window_s: int = setting(
        3_600, "matches are counted in windows of an hour: short enough to act, long enough that a burst of uploads "
        "of one picture is not a flood", unit="s", at_least=1, at_most=604_800,
    )  # fmt: skip
    min_matches: int = setting(
        1_000, "what any entry may match in a window: known pictures that go around are matched by the hundred, a "
        "blank page by the ten thousand; set it to what your reviewers can look at", unit="matches", at_least=1,
    )  # fmt: skip
    factor: float = setting(
        10.0, "how many times its mean an entry may match in a window: ten times any week before is no accident",
        unit="times", at_least=1,
    )  # fmt: skip
    history_windows: int = setting(
        168, "windows over which the mean fades: a week of hours", unit="windows", at_least=2, at_most=100_000
    )
    max_entries: int = setting(
        100_000, "entries that are counted at a time, about 250 bytes each; of more, the one that matched longest ago "
        "is forgotten", unit="entries", at_least=10, at_most=10_000_000,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What the verdicts mean (docs/explain/responsible-use.md says what they do not mean)."""

    min_side_px: int = setting(
        50, "smaller pictures that match nothing are not_checked, not no_match; Safer asks for 50, PhotoDNA for 160",
        unit="pixels", at_least=5,
    )  # fmt: skip
    min_image_quality: int = setting(
        50, "below this PDQ quality no perceptual hash decides anything (the reference discards quality <= 49)",
        unit="0..100", at_least=0, at_most=100,
    )  # fmt: skip
    views: Views = setting(  # noqa: RUF009 - declares a field, as for every other setting
        Views.CHEAP, "what is undone before hashing: none, cheap, or full, which looks again, harder, at whatever "
        "matched nothing; what each finds and costs is in docs/explain/views.md",
    )  # fmt: skip
    max_flat_percent: int = setting(
        81, "of a view without any change, above which it is a page, a form or a screen, and a hit is possible_match: "
        "others of its layout are as near; photographs have up to 81 (docs/explain/robustness.md)",
        unit="percent", at_least=0, at_most=100,
    )  # fmt: skip
    review_false_rate: float = setting(
        1e-6, "unrelated values in the review band of one picture by chance, at most: ten needless looks in ten "
        "million uploads; its edge follows from that and the list's length (docs/explain/thresholds.md)",
        unit="values per picture", at_least=1e-15, at_most=1,
    )  # fmt: skip
    algorithms: Mapping[str, AlgorithmPolicy] = field(default_factory=default_algorithm_policies)
    view_limits: Mapping[str, ViewPolicy] = field(default_factory=default_view_policies)
    sets: Mapping[str, str] = field(default_factory=lambda: types.MappingProxyType({}))
    """Set name to ``enforced``, ``shadow`` or ``allow``; overrides the set's own mode."""
