"""The configuration: defaults, a TOML file and the environment, checked and put together.

Theory of operation
-------------------
The configuration is a tree of frozen dataclasses, declared in ``sections``: each field says its default, unit, allowed
range and reason, and ``hashmatch config show`` and docs/reference/config.md are both generated from that. :func:`load`
reads, in rising precedence, the defaults, a TOML file and environment variables (``HASHMATCH_SERVER_LISTEN`` sets
``server.listen``), and refuses unknown keys, wrong types and values outside the range with the name of the field and
what would be right.

What this module deliberately does not do: nothing else in hashmatch reads TOML or the environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import os
import tomllib
import types
import typing
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hashmatch.errors import BadConfig
from hashmatch.limits import AlgorithmPolicy, ViewPolicy, default_algorithm_policies, default_view_policies
from hashmatch.model import Fidelity, SetMode, Views
from hashmatch.sections import (
    AccessConfig,
    AuditConfig,
    CasesConfig,
    CatalogConfig,
    DecodeConfig,
    FloodConfig,
    HotlineConfig,
    IndexConfig,
    MetricsConfig,
    OutboxConfig,
    OutletConfig,
    PolicyConfig,
    QuotaConfig,
    ReporterConfig,
    SandboxConfig,
    ServerConfig,
    SourceConfig,
    SyncConfig,
    TlsConfig,
    TracingConfig,
)

__all__ = [
    "AccessConfig",
    "AuditConfig",
    "CasesConfig",
    "CatalogConfig",
    "Config",
    "DecodeConfig",
    "FloodConfig",
    "HotlineConfig",
    "IndexConfig",
    "MetricsConfig",
    "OutboxConfig",
    "OutletConfig",
    "PolicyConfig",
    "QuotaConfig",
    "ReporterConfig",
    "SandboxConfig",
    "ServerConfig",
    "SettingRow",
    "SourceConfig",
    "SyncConfig",
    "TlsConfig",
    "TracingConfig",
    "api_key",
    "load",
    "parse",
    "read",
    "rows",
    "sections",
]

ENV_PREFIX = "HASHMATCH_"
ENV_NOT_SETTINGS = frozenset(
    {
        "HASHMATCH_CONFIG",
        "HASHMATCH_DATA",
        "HASHMATCH_EXTRA_DATA",
        "HASHMATCH_API_KEY",
        "HASHMATCH_API_KEY_FILE",
        "HASHMATCH_TLS",
        "HASHMATCH_TLS_CA",
        "HASHMATCH_TLS_CERTIFICATE",
        "HASHMATCH_TLS_KEY",
        "HASHMATCH_TLS_NAME",
    }
)
"""Variables for those who call a service, and for the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    flood: FloodConfig = field(default_factory=FloodConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    reporter: ReporterConfig = field(default_factory=ReporterConfig)
    outbox: OutboxConfig = field(default_factory=OutboxConfig)
    cases: CasesConfig = field(default_factory=CasesConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    hotline: HotlineConfig = field(default_factory=HotlineConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    tracing: TracingConfig = field(default_factory=TracingConfig)


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
    return parse(read(path), environ, path)


def read(path: Path | None) -> str:
    """Return the text of the file; empty without one. Raises BadConfig."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path} is not valid TOML: {error}") from error


def parse(text: str, environ: Mapping[str, str] = os.environ, path: Path | None = None) -> Config:
    """Put together what :func:`load` does, from the text of the file, which is ``path``. Raises BadConfig."""
    try:
        tree: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path} is not valid TOML: {error}") from error
    for dotted, given in _environment(environ):
        *above, name = dotted.split(".")
        table = tree
        for depth, section in enumerate(above, 1):
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                where = ".".join(above[:depth])
                raise BadConfig(f"{where}: expected a table", field=where)
        table[name] = given
    config: Config = _build(Config, tree, "")
    _check_across(config)
    return config


def api_key(environ: Mapping[str, str] = os.environ) -> str:
    """Return the key that is shown to services, empty where there is none."""
    return environ.get("HASHMATCH_API_KEY", "").strip()


def rows(config: Config, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Iterator[SettingRow]:
    """Every setting with its value, default, unit, reason and where the value came from."""
    from_env = {dotted for dotted, _ in _environment(environ)}
    from_file = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    for where, part in sections(config):
        table = from_file
        for step in where.split("."):
            table = table.get(step, {})
        for item in dataclasses.fields(part):
            name = f"{where}.{item.name}"
            if "why" not in item.metadata:
                continue
            origin = "environment" if name in from_env else "file" if item.name in table else "default"
            yield SettingRow(
                name, getattr(part, item.name), item.default, item.metadata["unit"], item.metadata["why"], origin
            )
    in_policy = from_file.get("policy", {})
    yield from _limit_rows("policy.algorithms", config.policy.algorithms, default_algorithm_policies(), in_policy)
    yield from _limit_rows("policy.view_limits", config.policy.view_limits, default_view_policies(), in_policy)
    for set_name, mode in config.policy.sets.items():
        yield SettingRow(f"policy.sets.{set_name}", mode, "", "", "mode of this set, whatever the catalog says", "file")
    none: Mapping[str, Any] = {}
    yield from _limit_rows("sync.sources", config.sync.sources, none, from_file.get("sync", {}))
    yield from _limit_rows("outbox.outlets", config.outbox.outlets, none, from_file.get("outbox", {}))


def sections(part: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every section below ``part`` with its dotted name, each before those within it."""
    for item in dataclasses.fields(part):
        inner = getattr(part, item.name)
        if dataclasses.is_dataclass(inner):
            name = f"{above}{item.name}"
            yield name, inner
            yield from sections(inner, f"{name}.")


def fingerprint(config: Config) -> str:
    """Name a configuration by the SHA-256 of its settings, 64 hex digits; secrets are no settings."""
    settings = sorted(f"{row.name}={row.value!r}" for row in rows(config, environ={}))
    return hashlib.sha256("\n".join(settings).encode()).hexdigest()


def _limit_rows(
    table: str, limits: Mapping[str, Any], standard: Mapping[str, Any], in_file: Mapping[str, Any]
) -> Iterator[SettingRow]:
    """Rows of one table of tables, one per algorithm, kind of view, source or outlet, and setting."""
    given = in_file.get(table.rpartition(".")[2], {})
    for key, policy in limits.items():
        for item in dataclasses.fields(policy):
            origin = "file" if item.name in given.get(key, {}) else "default"
            yield SettingRow(
                f"{table}.{key}.{item.name}",
                getattr(policy, item.name),
                getattr(standard.get(key, type(policy)()), item.name),
                item.metadata["unit"],
                item.metadata["why"],
                origin,
            )


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, text)`` for each HASHMATCH_SECTION_NAME variable."""
    known = {f"{ENV_PREFIX}{name.upper().replace('.', '_')}_": name for name, _ in sections(Config())}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in ENV_NOT_SETTINGS:
            continue
        head = max((prefix for prefix in known if variable.startswith(prefix)), key=len, default=variable)
        tail = variable.removeprefix(head)
        if not tail:
            raise BadConfig(
                f"the environment variable {variable} names no setting; `hashmatch config show` lists them",
                field=variable,
            )
        yield f"{known[head]}.{tail.lower()}", environ[variable]


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
    if name in _NAMED:
        return _named(_NAMED[name], raw, name)
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
    if typing.get_origin(hint) is tuple:
        return _several(typing.get_args(hint)[0], raw, name)
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


def _several(hint: type, raw: object, name: str) -> tuple[object, ...]:
    """Convert a TOML array, or text of the environment with commas between."""
    items = [text.strip() for text in raw.split(",") if text.strip()] if isinstance(raw, str) else raw
    if not isinstance(items, list):
        raise BadConfig(f"{name}: expected a list of {hint.__name__}, got {raw!r}", field=name)
    return tuple(_scalar(hint, item, f"{name}[{n}]") for n, item in enumerate(items))


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
    if not isinstance(raw, Mapping) or any(mode not in set(SetMode) for mode in raw.values()):
        msg = f"{name}: expected set names with one of {', '.join(SetMode)}"
        raise BadConfig(msg, field=name)
    return types.MappingProxyType({str(key): str(mode) for key, mode in raw.items()})


_NAMED: Final[Mapping[str, type]] = types.MappingProxyType(
    {"sync.sources": SourceConfig, "outbox.outlets": OutletConfig}
)
"""Tables of tables whose keys are the operator's own names."""


def _named(cls: type, raw: object, name: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise BadConfig(f"{name}: expected one table per {name.rpartition('.')[2][:-1]}, [{name}.NAME]", field=name)
    return types.MappingProxyType({str(key): _build(cls, table, f"{name}.{key}") for key, table in raw.items()})


def _check_across(config: Config) -> None:
    """Rules that join two settings, and those of a text."""
    _check_url(config.catalog.url)
    if config.server.max_message_bytes <= config.decode.max_bytes:
        raise BadConfig(
            f"server.max_message_bytes: {config.server.max_message_bytes} must exceed decode.max_bytes "
            f"({config.decode.max_bytes}), or the largest allowed image cannot be sent",
            field="server.max_message_bytes",
        )
    _check_tls(config.server.tls)
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


def _check_tls(tls: TlsConfig) -> None:
    """Certificate and key belong together, and callers' certificates need both."""
    for name, missing in (("certificate", not tls.certificate), ("key", not tls.key)):
        if missing and (tls.certificate or tls.key or tls.client_ca):
            raise BadConfig(
                f"server.tls.{name}: is missing; TLS needs a certificate and its key", field=f"server.tls.{name}"
            )


def _check_url(url: str) -> None:
    """Refuse what is no address of a PostgreSQL, or holds a password; the text itself is not repeated."""
    field_name = "catalog.url"
    if not url:
        return
    try:
        parts = urllib.parse.urlsplit(url)
        password = parts.password is not None or "password" in urllib.parse.parse_qs(parts.query)
        scheme = parts.scheme
    except ValueError as error:
        raise BadConfig(f"{field_name}: not a URL: {error}", field=field_name) from None
    if scheme not in {"postgresql", "postgres"}:
        raise BadConfig(
            f"{field_name}: expected postgresql://user@host:port/database, or nothing for SQLite in the data directory",
            field=field_name,
        )
    if password:
        raise BadConfig(
            f"{field_name}: leave the password out, whoever lists the configuration would read it; "
            "PGPASSWORD or the file named by PGPASSFILE brings it",
            field=field_name,
        )
