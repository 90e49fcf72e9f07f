"""The sections of the configuration: every limit, with its unit and the reason for the number.

Theory of operation
-------------------
One frozen dataclass per section, in one module per part of hashmatch. Each field is declared by
:func:`~hashmatch.limits.setting`, which carries the default, the unit, the allowed range and the reason or precedent
for the number.

What this package deliberately does not do: it reads no file; ``config`` does.
"""

from hashmatch.sections.access import AccessConfig, QuotaConfig, TlsConfig
from hashmatch.sections.audit import AuditConfig
from hashmatch.sections.exchanging import SourceConfig, SyncConfig
from hashmatch.sections.hotline import HotlineConfig
from hashmatch.sections.reporting import CasesConfig, OutboxConfig, OutletConfig, ReporterConfig
from hashmatch.sections.serving import (
    CatalogConfig,
    DecodeConfig,
    FloodConfig,
    IndexConfig,
    PolicyConfig,
    SandboxConfig,
    ServerConfig,
)
from hashmatch.sections.telemetry import MetricsConfig, TracingConfig

__all__ = [
    "AccessConfig",
    "AuditConfig",
    "CasesConfig",
    "CatalogConfig",
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
    "SourceConfig",
    "SyncConfig",
    "TlsConfig",
    "TracingConfig",
]
