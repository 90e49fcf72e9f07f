"""The posture says what is in force, why something is not, and what to do."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from hashmatch.errors import BadFrame
from hashmatch.sandbox import posture
from hashmatch.sandbox.confine import Outcome, Step
from hashmatch.sandbox.posture import Posture, Protection, assess

ALL = Outcome((0,) * len(Step), landlock_abi=7)


def with_errno(step: Step, number: int) -> Outcome:
    return Outcome(tuple(number if each is step else 0 for each in Step), landlock_abi=7)


def test_everything_in_force_is_confined() -> None:
    made = assess(ALL, signal.SIGSYS, memory_locked=True, swap=())
    assert made.confined
    assert made.missing() == ()
    assert made.explain_missing() == ""
    assert all(protection.active for protection in made.protections)
    details = {protection.name: protection.detail for protection in made.protections}
    assert details["landlock"] == "no file, no TCP, no signal to other processes (ABI 7)"
    assert details["self-test"] == "a worker that created a socket was killed by the filter"


@pytest.mark.parametrize("step", Step)
def test_each_step_is_required(step: Step) -> None:
    made = assess(with_errno(step, errno.EPERM), signal.SIGSYS, memory_locked=True, swap=())
    assert not made.confined
    (missing,) = made.missing()
    assert missing.detail == "Operation not permitted"


def test_a_missing_landlock_is_explained() -> None:
    made = assess(with_errno(Step.LANDLOCK, errno.EOPNOTSUPP), signal.SIGSYS, memory_locked=True, swap=())
    assert made.explain_missing() == (
        "landlock is not in force (Operation not supported): use Linux 5.13 or newer with landlock among the security "
        "modules (the lsm= boot option)"
    )


@pytest.mark.parametrize(
    ("ended_by", "detail"),
    [
        (None, "a worker that created a socket survived"),
        (signal.SIGKILL, "a worker that created a socket ended by signal 9"),
        (0, "a worker that created a socket exited"),
    ],
)
def test_only_the_filters_kill_passes_the_self_test(ended_by: int | None, detail: str) -> None:
    made = assess(ALL, ended_by, memory_locked=True, swap=())
    assert not made.confined
    assert made.missing() == (Protection("self-test", active=False, detail=detail),)


def test_swap_and_locks_are_told_but_not_required() -> None:
    made = assess(ALL, signal.SIGSYS, memory_locked=False, swap=("/dev/sda2",))
    assert made.confined
    inactive = {protection.name: protection.detail for protection in made.protections if not protection.active}
    assert inactive == {
        "images-locked": "RLIMIT_MEMLOCK is smaller than the workers' image memory",
        "no-swap": "swap on /dev/sda2",
    }


def test_nothing_known_is_not_confined() -> None:
    assert not Posture(()).confined
    assert not assess(Outcome(), None, memory_locked=True, swap=()).confined


def test_swap_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swaps = tmp_path / "swaps"
    monkeypatch.setattr(posture, "_PROC_SWAPS", swaps)
    assert posture.swap_devices() == (str(swaps),), "not knowing is not the same as none"
    swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 8 0 -2\n/swap file 9 0 -3\n")
    assert posture.swap_devices() == ("/dev/sda2", "/swap")
    swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n")
    assert posture.swap_devices() == ()


def hello(**changes: object) -> dict[str, object]:
    return {"errnos": [0] * len(Step), "landlock_abi": 7, "networked": True, "breaches": []} | changes


def test_a_child_that_holds_is_confined() -> None:
    made = posture.of_child(hello())
    assert made.confined
    details = {protection.name: protection.detail for protection in made.protections}
    assert details["landlock"] == "no file, no TCP but to its ports, no signal to other processes (ABI 7)"
    assert details["self-test"] == "nothing that is forbidden could be done"
    plain = {p.name: p.detail for p in posture.of_child(hello(networked=False)).protections}
    assert plain["landlock"] == "no file, no TCP, no signal to other processes (ABI 7)"


def test_a_child_that_could_do_something_is_not() -> None:
    made = posture.of_child(hello(breaches=["listen", "bind"]))
    assert made.missing() == (Protection("self-test", active=False, detail="the process could listen, bind"),)


def test_a_child_that_left_the_lockdown_out_is_not() -> None:
    assert not posture.of_child(hello(errnos=[-1] * len(Step), networked=False)).confined


@pytest.mark.parametrize(
    "broken",
    [{}, hello(errnos=[0]), hello(errnos="all"), hello(errnos=None), hello(landlock_abi="x"), hello(breaches=None)],
)
def test_a_child_that_does_not_say_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        posture.of_child(broken)
