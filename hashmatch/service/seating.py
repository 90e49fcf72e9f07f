"""What one of several processes takes of what is counted for the whole service: a pure division.

Theory of operation
-------------------
Limits that stand for a machine or for a caller are divided by the number of processes, so that all of them together
keep what is written in the configuration: workers, the queue before them, and what a caller may ask for per second and
per day. The kernel spreads connections, not calls, so a caller with one connection has one process's part at a time.
Bursts are left whole, for a message has to fit into one.

The first seat alone delivers reports and sweeps cases: outlets have rates, and they count in one process.

What this module deliberately does not do: it divides nothing that bounds one connection or one message.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Final

from hashmatch.config import Config, QuotaConfig
from hashmatch.errors import BadConfig
from hashmatch.sandbox.pool import worker_count

_RATES: Final = ("calls_per_s", "bytes_per_s", "calls_per_day", "bytes_per_day")


@dataclass(frozen=True, slots=True)
class Seat:
    """One of ``of`` processes, counted from 0."""

    number: int = 0
    of: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one does what only one may do."""
        return self.number == 0

    def part(self, whole: int) -> int:
        """Return this seat's part of ``whole``; the parts add up to it, but none is empty."""
        each, over = divmod(whole, self.of)
        return max(1, each + (self.number < over))


ONLY: Final = Seat()
"""The seat of a service that is one process."""


def seats(config: Config) -> int:
    """Return how many processes the configuration asks for.

    Raises
    ------
    BadConfig
        Several, where there can be only one.

    """
    wanted = config.server.processes or len(os.sched_getaffinity(0))
    if wanted > 1 and config.server.listen.startswith("unix:"):
        raise BadConfig(
            f"server.processes: {wanted} processes cannot share {config.server.listen}; listen on host:port, or set 1",
            field="server.processes",
        )
    if wanted > 1 and config.hotline.serve:
        raise BadConfig(
            f"server.processes: with hotline.serve there can be 1, not {wanted}: what is asked of one host is counted "
            "in one process. Check URLs in a service of its own",
            field="server.processes",
        )
    return wanted


def seated(config: Config, seat: Seat) -> Config:
    """Return the configuration of one seat, quotas excepted: callers may have their own (:func:`divided`)."""
    if seat.of == 1:
        return config
    sandbox = config.sandbox
    queue = seat.part(sandbox.queue) if sandbox.queue else 0
    workers = seat.part(worker_count(sandbox))
    return dataclasses.replace(config, sandbox=dataclasses.replace(sandbox, workers=workers, queue=queue))


def divided(quota: QuotaConfig, seat: Seat) -> QuotaConfig:
    """Return this seat's part of what a caller may ask for; 0 is no limit and stays so."""
    rates = {name: seat.part(whole) for name in _RATES if (whole := getattr(quota, name))}
    return dataclasses.replace(quota, **rates)
