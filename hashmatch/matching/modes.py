"""What a set's mode is where the configuration has a say. Pure.

Theory of operation
-------------------
A set has a mode in the catalog; ``policy.sets`` may give it another one here. The modes: hits of an *enforced* set
decide; those of a *shadow* set are reported and decide nothing; those of an *allow* set, reviewed and not harmful, take
weight from other hits (``allow``).

What this module deliberately does not do: it weighs nothing.
"""

from __future__ import annotations

from hashmatch.config import PolicyConfig
from hashmatch.model import EntryRef, SetMode


def mode_of(set_name: str, mode: SetMode, policy: PolicyConfig) -> SetMode:
    """Return the mode of a set; the configuration overrides the set's own."""
    return SetMode(policy.sets.get(set_name, mode))


def enforced(set_name: str, mode: SetMode, policy: PolicyConfig) -> bool:
    """Whether hits in this set may change a verdict."""
    return mode_of(set_name, mode, policy) is SetMode.ENFORCED


def allows(entry: EntryRef, policy: PolicyConfig) -> bool:
    """Whether the entry is of an allow set."""
    return mode_of(entry.set_name, entry.mode, policy) is SetMode.ALLOW
