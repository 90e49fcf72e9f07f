"""The filter's bytes, run by an interpreter of classic BPF, do what the specification says for every call."""

from __future__ import annotations

import itertools
import platform
import struct
from collections.abc import Sequence

import pytest

from hashmatch.sandbox import seccomp
from hashmatch.sandbox.seccomp import MACHINES, NO_ARGUMENTS, Machine, Rule, verdict

EVERY_NUMBER = [*range(600), 0x3FFFFFFF, 0x40000000, 0x40000001, 0x7FFFFFFF, 0xFFFFFFFF]


def interpret(code: bytes, arch: int, number: int, arguments: Sequence[int]) -> int:
    """Run a classic BPF program on one ``struct seccomp_data``; only the opcodes that the filter uses exist."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments)
    instructions = list(struct.iter_unpack("<HBBI", code))
    accumulator, at = 0, 0
    while True:
        opcode, if_true, if_false, value = instructions[at]
        at += 1
        match opcode:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x54:
                accumulator &= value
            case 0x06:
                return int(value)
            case _:
                pytest.fail(f"opcode {opcode:#x}")


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_program_does_what_the_specification_says(machine: Machine) -> None:
    code = seccomp.program(machine)
    for number, protection in itertools.product(EVERY_NUMBER, (0, 3, 4, 7, 1 << 32)):
        arguments = (0, 0, protection, 0, 0, 0)
        assert interpret(code, machine.audit_arch, number, arguments) == verdict(machine, number, arguments)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_foreign_calling_conventions_are_killed(machine: Machine) -> None:
    code = seccomp.program(machine)
    foreign = {other.audit_arch for other in MACHINES.values()} - {machine.audit_arch} | {0x40000003, 0x40000028, 0}
    for arch, number in itertools.product(foreign, EVERY_NUMBER):
        assert interpret(code, arch, number, NO_ARGUMENTS) == Rule.KILL
        assert verdict(machine, number, NO_ARGUMENTS, arch) is Rule.KILL


def test_what_an_attacker_wants_is_killed_on_x86_64() -> None:
    wanted = {
        "socket": 41, "connect": 42, "sendmsg": 46, "recvmsg": 47, "clone": 56, "fork": 57, "execve": 59, "kill": 62,
        "fcntl": 72, "unlink": 87, "ptrace": 101, "prctl": 157, "tkill": 200, "tgkill": 234, "unshare": 272,
        "process_vm_readv": 310, "memfd_create": 319, "bpf": 321, "execveat": 322, "pkey_mprotect": 329,
        "pidfd_send_signal": 424, "io_uring_setup": 425, "clone3": 435,
    }  # fmt: skip
    kept = {name for name, number in wanted.items() if verdict(MACHINES["x86_64"], number) is not Rule.KILL}
    assert kept == set()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_no_number_stands_twice(machine: Machine) -> None:
    numbers = [*machine.allowed.values(), *machine.denied.values(), *(call.number for call in machine.checked.values())]
    assert len(numbers) == len(set(numbers))


def test_both_machines_allow_the_same() -> None:
    x86_64, aarch64 = MACHINES["x86_64"], MACHINES["aarch64"]
    assert x86_64.allowed.keys() == aarch64.allowed.keys()
    assert x86_64.checked.keys() == aarch64.checked.keys()
    assert aarch64.denied.keys() < x86_64.denied.keys()


def test_a_machine_without_a_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no system-call table for riscv64"):
        seccomp.install()
