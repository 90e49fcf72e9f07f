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

What this module deliberately does not do: no argument but PROT_EXEC is looked at. The calls that remain either take no
object or only descriptors that the worker already holds.

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
from collections.abc import Mapping
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
_OFFSET_THIRD_ARGUMENT = 16 + 2 * 8

# Opcodes: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_K with JEQ, JGE, JSET, and BPF_RET|BPF_K.
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_X32_BIT = 0x40000000

_INSTRUCTION = struct.Struct("<HBBI")


class Rule(enum.IntEnum):
    """What the filter does with a call."""

    ALLOW = _RET_ALLOW
    DENY = _RET_ERRNO | errno.EACCES
    KILL = _RET_KILL_PROCESS


@dataclass(frozen=True, slots=True)
class Machine:
    """System-call numbers of one architecture, by what the filter does with them."""

    audit_arch: int
    allowed: Mapping[str, int]
    denied: Mapping[str, int]
    without_exec: Mapping[str, int]


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
        without_exec={"mmap": 9, "mprotect": 10},
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
        without_exec={"mmap": 222, "mprotect": 226},
    ),
}  # fmt: skip
"""aarch64 has no ``open``, ``stat`` and their like: its C library asks only for the ``…at`` forms."""


def verdict(machine: Machine, number: int, third_argument: int = 0, audit_arch: int | None = None) -> Rule:
    """Say what the filter must do with one call: the specification that :func:`program` implements."""
    if audit_arch not in {None, machine.audit_arch} or number >= _X32_BIT:
        return Rule.KILL
    if number in machine.allowed.values():
        return Rule.ALLOW
    if number in machine.denied.values():
        return Rule.DENY
    if number in machine.without_exec.values():
        return Rule.KILL if third_argument & PROT_EXEC else Rule.ALLOW
    return Rule.KILL


def program(machine: Machine) -> bytes:
    """Assemble the filter as an array of ``struct sock_filter``.

    Jumps are written against the four endings, which stand last in a fixed order, so each distance is known when the
    instruction is placed.
    """
    by_number = [
        *((number, "allow") for number in machine.allowed.values()),
        *((number, "deny") for number in machine.denied.values()),
        *((number, "check") for number in machine.without_exec.values()),
    ]
    prologue = 4
    length = prologue + len(by_number) + 1
    check = length
    endings = {"check": check, "kill": check + 2, "allow": check + 3, "deny": check + 4}
    code: list[bytes] = []

    def jump(opcode: int, value: int, target: str, *, when: bool = True) -> None:
        distance = endings[target] - len(code) - 1
        code.append(_INSTRUCTION.pack(opcode, distance if when else 0, 0 if when else distance, value))

    def plain(opcode: int, value: int) -> None:
        code.append(_INSTRUCTION.pack(opcode, 0, 0, value))

    plain(_LOAD, _OFFSET_ARCH)
    jump(_JUMP_EQUAL, machine.audit_arch, "kill", when=False)
    plain(_LOAD, _OFFSET_NUMBER)
    jump(_JUMP_AT_LEAST, _X32_BIT, "kill")
    for number, target in by_number:
        jump(_JUMP_EQUAL, number, target)
    plain(_RETURN, Rule.KILL)
    plain(_LOAD, _OFFSET_THIRD_ARGUMENT)
    code.append(_INSTRUCTION.pack(_JUMP_ANY_BIT, 0, 1, PROT_EXEC))
    plain(_RETURN, Rule.KILL)
    plain(_RETURN, Rule.ALLOW)
    plain(_RETURN, Rule.DENY)
    return b"".join(code)


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> None:
    """Put this process behind the filter, for good. ``no_new_privs`` must be set before.

    Raises
    ------
    OSError
        ENOTSUP on a machine without a table here, EINVAL where the kernel has no seccomp filters.

    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOTSUP, f"no system-call table for {platform.machine()}")
    code = program(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = _SockFprog(len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(fprog))
