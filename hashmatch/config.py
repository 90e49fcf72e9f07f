"""Every limit of hashmatch, with its unit and the reason for the number.

Theory of operation
-------------------
The configuration is a tree of frozen dataclasses. Each field is declared by :func:`~hashmatch.limits.setting`, which
carries the default, the unit, the allowed range and the reason or precedent for the number; ``hashmatch config show``
and docs/reference/config.md are both generated from that. :func:`load` reads, in rising precedence, the defaults, a
TOML file and environment variables (``HASHMATCH_SERVER_LISTEN`` sets ``server.listen``), and refuses unknown keys,
wrong types and values outside the range with the name of the field and what would be right.

What this module deliberately does not do: nothing else in hashmatch reads TOML or the environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashmatch.errors import BadConfig
from hashmatch.limits import AlgorithmPolicy, ViewPolicy, default_algorithm_policies, default_view_policies, setting
from hashmatch.model import Fidelity, Views

ENV_PREFIX = "HASHMATCH_"
ENV_NOT_SETTINGS = frozenset({"HASHMATCH_CONFIG", "HASHMATCH_DATA", "HASHMATCH_EXTRA_DATA"})


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
    deadline_ms: int = setting(
        10_000, "the slowest allowed image measured takes 0.7 s; the rest is for a loaded machine",
        unit="ms", at_least=10, at_most=600_000,
    )  # fmt: skip
    start_timeout_ms: int = setting(
        120_000, "first start compiles the kernels when no compiled cache is found",
        unit="ms", at_least=1_000, at_most=600_000,
    )  # fmt: skip
    memory_bytes: int = setting(
        3 << 30, "address space of one worker, everything mapped counted; 49 Mpx with all algorithms takes 1.5 GB",
        unit="bytes", at_least=512 << 20,
    )  # fmt: skip
    recycle_after: int = setting(
        1_000, "a worker is replaced after so many images, so that heap remnants do not pile up; costs 3.5 ms",
        unit="images", at_least=1,
    )  # fmt: skip
    allow_degraded: bool = setting(
        default=False, why="serve although the kernel refuses part of the confinement; the posture then says so"
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
        why="there is no TLS and no authentication yet: beyond loopback, everybody on the network could search and "
        "change the hash sets; for private networks whose proxy does both",
    )
    reflection: bool = setting(
        default=False, why="off: the service's shape is nobody's business until someone decides so"
    )


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
    """Set name to ``enforced`` or ``shadow``; overrides the set's own mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as ``config show`` prints it."""

    name: str
    value: object
    default: object
    unit: str
    why: str
    origin: str


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Defaults, then the TOML file, then the environment.

    Raises
    ------
    BadConfig
        Unreadable file, unknown key, wrong type or value out of range; the message names the field.

    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadConfig(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadConfig(f"{path} is not valid TOML: {error}") from error
    for dotted, text in _environment(environ):
        section, _, name = dotted.partition(".")
        table = tree.setdefault(section, {})
        if not isinstance(table, dict):
            raise BadConfig(f"{section}: expected a table", field=section)
        table[name] = text
    config: Config = _build(Config, tree, "")
    _check_across(config)
    return config


def rows(config: Config, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Iterator[SettingRow]:
    """Every setting with its value, default, unit, reason and where the value came from."""
    from_env = {dotted for dotted, _ in _environment(environ)}
    from_file = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    for section in dataclasses.fields(Config):
        part = getattr(config, section.name)
        for item in dataclasses.fields(part):
            name = f"{section.name}.{item.name}"
            if "why" not in item.metadata:
                continue
            in_file = item.name in from_file.get(section.name, {})
            origin = "environment" if name in from_env else "file" if in_file else "default"
            yield SettingRow(
                name, getattr(part, item.name), item.default, item.metadata["unit"], item.metadata["why"], origin
            )
    in_policy = from_file.get("policy", {})
    yield from _limit_rows("algorithms", config.policy.algorithms, default_algorithm_policies(), in_policy)
    yield from _limit_rows("view_limits", config.policy.view_limits, default_view_policies(), in_policy)
    for set_name, mode in config.policy.sets.items():
        yield SettingRow(f"policy.sets.{set_name}", mode, "", "", "mode of this set, whatever the catalog says", "file")


def _limit_rows(
    table: str, limits: Mapping[str, Any], standard: Mapping[str, Any], in_file: Mapping[str, Any]
) -> Iterator[SettingRow]:
    """Rows of one table of limits, one per algorithm or kind of view and setting."""
    given = in_file.get(table, {})
    for key, policy in limits.items():
        for item in dataclasses.fields(policy):
            origin = "file" if item.name in given.get(key, {}) else "default"
            yield SettingRow(
                f"policy.{table}.{key}.{item.name}",
                getattr(policy, item.name),
                getattr(standard.get(key, type(policy)()), item.name),
                item.metadata["unit"],
                item.metadata["why"],
                origin,
            )


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, text)`` for each HASHMATCH_SECTION_NAME variable."""
    sections = {f.name.upper(): f.name for f in dataclasses.fields(Config)}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in ENV_NOT_SETTINGS:
            continue
        head, _, tail = variable.removeprefix(ENV_PREFIX).partition("_")
        if head not in sections or not tail:
            raise BadConfig(
                f"the environment variable {variable} names no setting; `hashmatch config show` lists them",
                field=variable,
            )
        yield f"{sections[head]}.{tail.lower()}", environ[variable]


def _build(cls: Any, tree: object, where: str) -> Any:
    """Build ``cls`` from a plain tree, checking every leaf."""
    if not isinstance(tree, Mapping):
        raise BadConfig(f"{where or 'the file'}: expected a table", field=where)
    known = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, raw in tree.items():
        name = f"{where}.{key}" if where else key
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            msg = f"{name}: no such setting" + (
                f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            )
            raise BadConfig(msg, field=name)
        values[key] = _leaf_or_branch(hints[key], known[key], raw, name)
    return cls(**values)


def _leaf_or_branch(hint: Any, item: Any, raw: object, name: str) -> object:
    if dataclasses.is_dataclass(hint):
        return _build(hint, raw, name)
    if name == "policy.algorithms":
        return _policies(AlgorithmPolicy, default_algorithm_policies(), raw, name)
    if name == "policy.view_limits":
        return _view_policies(raw, name)
    if name == "policy.sets":
        return _set_modes(raw, name)
    value = _choice(hint, raw, name) if hint in {Views, Fidelity} else _scalar(hint, raw, name)
    meta = item.metadata
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = meta["at_least"], meta["at_most"]
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            span = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
            msg = f"{name}: {value} is out of range; {span} {meta['unit']}".rstrip()
            raise BadConfig(msg, field=name)
    return value


def _choice(hint: Any, raw: object, name: str) -> object:
    """Convert one of the words of an enumeration."""
    if isinstance(raw, str) and raw in set(hint):
        return hint(raw)
    raise BadConfig(f"{name}: expected one of {', '.join(hint)}, got {raw!r}", field=name)


def _scalar(hint: type, raw: object, name: str) -> object:
    """Convert one TOML value or environment text to the field's type."""
    if hint is bool:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in {"true", "false", "1", "0", "yes", "no"}:
            return raw.lower() in {"true", "1", "yes"}
    elif hint in {int, float}:
        if isinstance(raw, (int, hint)) and not isinstance(raw, bool):
            return hint(raw)
        if isinstance(raw, str):
            with contextlib.suppress(ValueError):
                return hint(raw)  # which takes 1_000 too
    elif hint is str and isinstance(raw, str):
        return raw
    raise BadConfig(f"{name}: expected {hint.__name__}, got {raw!r}", field=name)


def _policies(cls: Any, defaults: Mapping[str, Any], raw: object, name: str) -> Mapping[str, Any]:
    """Lay the file's tables over the defaults, one algorithm or kind of view at a time."""
    what = "algorithm" if cls is AlgorithmPolicy else "kind of view"
    if not isinstance(raw, Mapping):
        raise BadConfig(f"{name}: expected one table per {what}", field=name)
    merged = dict(defaults)
    for key, table in raw.items():
        base = dataclasses.asdict(merged.get(key, cls()))
        given = dict(table) if isinstance(table, Mapping) else table
        if cls is AlgorithmPolicy and isinstance(given, dict) and "possible_distance" in given:
            base["possible_distance_max"] = -1  # whoever names a distance means it
        merged[key] = _build(cls, {**base, **given} if isinstance(given, dict) else given, f"{name}.{key}")
    return types.MappingProxyType(merged)


def _view_policies(raw: object, name: str) -> Mapping[str, ViewPolicy]:
    """Limits per kind of view; a kind that does not exist is a mistake, not a plug-in."""
    defaults = default_view_policies()
    unknown = sorted(set(raw) - set(defaults)) if isinstance(raw, Mapping) else []
    if unknown:
        raise BadConfig(
            f"{name}.{unknown[0]}: no such kind of view; there are {', '.join(defaults)}", field=f"{name}.{unknown[0]}"
        )
    return _policies(ViewPolicy, defaults, raw, name)


def _set_modes(raw: object, name: str) -> Mapping[str, str]:
    if not isinstance(raw, Mapping) or any(mode not in {"enforced", "shadow"} for mode in raw.values()):
        msg = f'{name}: expected set names with "enforced" or "shadow"'
        raise BadConfig(msg, field=name)
    return types.MappingProxyType({str(key): str(mode) for key, mode in raw.items()})


def _check_across(config: Config) -> None:
    """Rules that join two settings."""
    if config.server.max_message_bytes <= config.decode.max_bytes:
        raise BadConfig(
            f"server.max_message_bytes: {config.server.max_message_bytes} must exceed decode.max_bytes "
            f"({config.decode.max_bytes}), or the largest allowed image cannot be sent",
            field="server.max_message_bytes",
        )
    limits: dict[str, AlgorithmPolicy | ViewPolicy] = {
        **{f"policy.algorithms.{name}": policy for name, policy in config.policy.algorithms.items()},
        **{f"policy.view_limits.{kind}": policy for kind, policy in config.policy.view_limits.items()},
    }
    for name, policy in limits.items():
        if policy.possible_distance < policy.match_distance:
            raise BadConfig(
                f"{name}.possible_distance: {policy.possible_distance} must be at least "
                f"match_distance ({policy.match_distance})",
                field=f"{name}.possible_distance",
            )
        if isinstance(policy, AlgorithmPolicy) and 0 <= policy.possible_distance_max < policy.match_distance:
            raise BadConfig(
                f"{name}.possible_distance_max: {policy.possible_distance_max} must be at least "
                f"match_distance ({policy.match_distance}), or -1",
                field=f"{name}.possible_distance_max",
            )
