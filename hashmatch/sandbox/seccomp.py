"""The system-call filter: what a worker may still ask of the kernel, as a classic BPF program.

Theory of operation
-------------------
The filter is an allow-list. A decoder that has everything loaded and its picture in memory needs memory, time, its one
socket and its own end; those calls are allowed. Calls that look for files answer EACCES, because libraries try them and
cope (a locale, a CPU count, a profile). ``mmap`` and ``mprotect`` are allowed only without PROT_EXEC: no byte that
arrives later can become code. Everything else kills the process at once, as does any call through a foreign calling
convention (32-bit, x32), where the same numbers mean other calls.

:func:`program` is a pure function from a machine's table to bytes, and :func:`verdict` says what the kernel would do;
tests run the bytes through an interpreter and compare.

A :class:`Checked` call is allowed only when each of its :class:`Condition` holds; ``networked`` makes its own machine
of that.

What this module deliberately does not do: a worker's filter looks at no argument but PROT_EXEC. The calls that remain
either take no object or only descriptors that the worker already holds.

Source
------
Linux ``Documentation/userspace-api/seccomp_filter.rst``; ``linux/audit.h``, ``linux/filter.h``; system-call numbers
from ``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64). Attack table: reference security §2.1.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashmatch.sandbox import libc

PROT_EXEC = 4

_MODE_FILTER = 2
_RET_KILL_PROCESS = 0x80000000
_RET_ERRNO = 0x00050000
_RET_ALLOW = 0x7FFF0000

# Offsets in struct seccomp_data; both machines are little-endian, so the low half of an argument comes first.
_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_ARGUMENTS = 16
_ARGUMENT_BYTES = 8

# Opcodes: BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_K with JEQ and JGE, and BPF_RET|BPF_K.
_LOAD = 0x20
_AND = 0x54
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_RETURN = 0x06

_X32_BIT = 0x40000000

_INSTRUCTION = struct.Struct("<HBBI")


class Rule(enum.IntEnum):
    """What the filter does with a call."""

    ALLOW = _RET_ALLOW
    DENY = _RET_ERRNO | errno.EACCES
    KILL = _RET_KILL_PROCESS


@dataclass(frozen=True, slots=True)
class Condition:
    """One argument of a call, from 0: its low 32 bits under ``mask`` must be one of ``values``.

    The arguments that are looked at are ``int`` or flags, of which the kernel takes the low half.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF

    def holds(self, arguments: Sequence[int]) -> bool:
        """Whether a call with these arguments may be made."""
        return arguments[self.argument] & self.mask in self.values


@dataclass(frozen=True, slots=True)
class Checked:
    """A call that is allowed when every condition holds, and what becomes of it otherwise."""

    number: int
    conditions: tuple[Condition, ...]
    otherwise: Rule = Rule.KILL


@dataclass(frozen=True, slots=True)
class Machine:
    """System-call numbers of one architecture, by what the filter does with them."""

    audit_arch: int
    allowed: Mapping[str, int]
    denied: Mapping[str, int]
    checked: Mapping[str, Checked]


_WITHOUT_EXEC = (Condition(2, (0,), mask=PROT_EXEC),)


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        audit_arch=0xC000003E,
        allowed={
            "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "munmap": 11, "brk": 12, "rt_sigaction": 13,
            "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28,
            "nanosleep": 35, "getpid": 39, "sendto": 44, "recvfrom": 45, "exit": 60, "gettimeofday": 96,
            "getrusage": 98, "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204,
            "restart_syscall": 219, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318,
        },
        denied={
            "open": 2, "stat": 4, "lstat": 6, "access": 21, "getcwd": 79, "creat": 85, "readlink": 89, "statfs": 137,
            "openat": 257, "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "statx": 332, "openat2": 437,
            "faccessat2": 439,
        },
        checked={"mmap": Checked(9, _WITHOUT_EXEC), "mprotect": Checked(10, _WITHOUT_EXEC)},
    ),
    "aarch64": Machine(
        audit_arch=0xC00000B7,
        allowed={
            "close": 57, "lseek": 62, "read": 63, "write": 64, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98,
            "nanosleep": 101, "clock_gettime": 113, "clock_nanosleep": 115, "sched_getaffinity": 123,
            "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
            "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169, "getpid": 172, "gettid": 178, "sendto": 206,
            "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216, "madvise": 233, "getrandom": 278,
        },
        denied={
            "getcwd": 17, "statfs": 43, "faccessat": 48, "openat": 56, "readlinkat": 78, "newfstatat": 79,
            "statx": 291, "openat2": 437, "faccessat2": 439,
        },
        checked={"mmap": Checked(222, _WITHOUT_EXEC), "mprotect": Checked(226, _WITHOUT_EXEC)},
    ),
}  # fmt: skip
"""aarch64 has no ``open``, ``stat`` and their like: its C library asks only for the ``…at`` forms."""


NO_ARGUMENTS = (0,) * 6


def verdict(
    machine: Machine, number: int, arguments: Sequence[int] = NO_ARGUMENTS, audit_arch: int | None = None
) -> Rule:
    """Say what the filter must do with one call: the specification that :func:`program` implements."""
    if audit_arch not in {None, machine.audit_arch} or number >= _X32_BIT:
        return Rule.KILL
    if number in machine.allowed.values():
        return Rule.ALLOW
    if number in machine.denied.values():
        return Rule.DENY
    for call in machine.checked.values():
        if number == call.number:
            return Rule.ALLOW if all(condition.holds(arguments) for condition in call.conditions) else call.otherwise
    return Rule.KILL


def program(machine: Machine) -> bytes:
    """Assemble the filter as an array of ``struct sock_filter``.

    Jumps name labels, which are known when everything is placed; all of them lead forward.
    """
    listing = _Listing()
    listing.plain(_LOAD, _OFFSET_ARCH)
    listing.jump(_JUMP_EQUAL, machine.audit_arch, otherwise=Rule.KILL.name)
    listing.plain(_LOAD, _OFFSET_NUMBER)
    listing.jump(_JUMP_AT_LEAST, _X32_BIT, Rule.KILL.name)
    for number in machine.allowed.values():
        listing.jump(_JUMP_EQUAL, number, Rule.ALLOW.name)
    for number in machine.denied.values():
        listing.jump(_JUMP_EQUAL, number, Rule.DENY.name)
    for name, call in machine.checked.items():
        listing.jump(_JUMP_EQUAL, call.number, name)
    listing.plain(_RETURN, Rule.KILL)
    for name, call in machine.checked.items():
        listing.check(name, call)
    for rule in Rule:
        listing.place(rule.name)
        listing.plain(_RETURN, rule)
    return listing.assemble()


class _Listing:
    """Instructions with labels; an empty label is the next instruction."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, str, str, int]] = []
        self._places: dict[str, int] = {}

    def place(self, label: str) -> None:
        self._places[label] = len(self._instructions)

    def plain(self, opcode: int, value: int) -> None:
        self._instructions.append((opcode, "", "", value))

    def jump(self, opcode: int, value: int, target: str = "", otherwise: str = "") -> None:
        self._instructions.append((opcode, target, otherwise, value))

    def check(self, name: str, call: Checked) -> None:
        """Place the block that looks at the arguments of one call."""
        self.place(name)
        for position, condition in enumerate(call.conditions, start=1):
            good = Rule.ALLOW.name if position == len(call.conditions) else f"{name} {position}"
            self.plain(_LOAD, _OFFSET_ARGUMENTS + _ARGUMENT_BYTES * condition.argument)
            self.plain(_AND, condition.mask)
            *others, last = condition.values
            for value in others:
                self.jump(_JUMP_EQUAL, value, good)
            self.jump(_JUMP_EQUAL, last, good, call.otherwise.name)
            self.place(good)

    def assemble(self) -> bytes:
        def distance(at: int, label: str) -> int:
            return self._places[label] - at - 1 if label else 0

        return b"".join(
            _INSTRUCTION.pack(opcode, distance(at, target), distance(at, otherwise), value)
            for at, (opcode, target, otherwise, value) in enumerate(self._instructions)
        )


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def this_machine() -> Machine:
    """Return the worker's table of the machine that this runs on.

    Raises
    ------
    OSError
        ENOTSUP: there is none.

    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOTSUP, f"no system-call table for {platform.machine()}")
    return machine


def install(machine: Machine | None = None) -> None:
    """Put this process behind the filter, for good. ``no_new_privs`` must be set before.

    Parameters
    ----------
    machine : Machine, optional
        The table; that of a worker on this machine.

    Raises
    ------
    OSError
        ENOTSUP on a machine without a table here, EINVAL where the kernel has no seccomp filters.

    """
    code = program(machine or this_machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = _SockFprog(len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(fprog))
