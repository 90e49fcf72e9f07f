"""How limits are divided among the processes of a service."""

from __future__ import annotations

import os

import pytest

from hashmatch.config import Config, HotlineConfig, QuotaConfig, SandboxConfig, ServerConfig
from hashmatch.errors import BadConfig
from hashmatch.service.seating import ONLY, Seat, divided, seated, seats


@pytest.mark.parametrize(("whole", "of"), [(1, 1), (7, 2), (64, 3), (100, 7)])
def test_the_parts_add_up(whole: int, of: int) -> None:
    parts = [Seat(number, of).part(whole) for number in range(of)]
    assert sum(parts) == whole
    assert max(parts) - min(parts) <= 1


def test_no_part_is_empty() -> None:
    assert [Seat(number, 3).part(1) for number in range(3)] == [1, 1, 1]


def test_workers_and_their_queue_are_divided() -> None:
    config = Config(sandbox=SandboxConfig(workers=5, queue=9), server=ServerConfig(processes=2))
    assert [(seated(config, Seat(n, 2)).sandbox.workers, seated(config, Seat(n, 2)).sandbox.queue) for n in (0, 1)] == [
        (3, 5),
        (2, 4),
    ]
    assert seated(config, ONLY) is config
    assert seated(Config(sandbox=SandboxConfig(queue=0)), Seat(0, 2)).sandbox.queue == 0


def test_rates_of_a_caller_are_divided_and_bursts_are_not() -> None:
    quota = QuotaConfig(calls_per_s=10, calls_burst=50, bytes_per_day=1_001)
    assert divided(quota, Seat(0, 2)) == QuotaConfig(calls_per_s=5, calls_burst=50, bytes_per_day=501)
    assert divided(QuotaConfig(), Seat(1, 4)) == QuotaConfig()
    assert divided(quota, ONLY) == quota


def test_only_the_first_leads() -> None:
    assert [Seat(number, 3).leads for number in range(3)] == [True, False, False]


def test_how_many_processes_a_configuration_asks_for() -> None:
    assert seats(Config()) == 1
    assert seats(Config(server=ServerConfig(processes=3))) == 3
    assert seats(Config(server=ServerConfig(processes=0))) == len(os.sched_getaffinity(0))


def test_several_processes_are_refused_where_there_can_be_one() -> None:
    with pytest.raises(BadConfig, match=r"2 processes cannot share unix:/x; listen on host:port, or set 1"):
        seats(Config(server=ServerConfig(processes=2, listen="unix:/x")))
    with pytest.raises(BadConfig, match=r"with hotline.serve there can be 1, not 2"):
        seats(Config(server=ServerConfig(processes=2), hotline=HotlineConfig(serve=True)))
    assert seats(Config(server=ServerConfig(listen="unix:/x"), hotline=HotlineConfig(serve=True))) == 1
