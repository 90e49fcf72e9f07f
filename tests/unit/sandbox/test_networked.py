"""The filter of the process with the network does what its specification says, for every call and argument."""

from __future__ import annotations

import itertools
import socket

import pytest

from hashmatch.sandbox import networked, seccomp
from hashmatch.sandbox.seccomp import MACHINES, Machine, Rule, verdict
from tests.unit.sandbox.test_seccomp import EVERY_NUMBER, interpret

FASTOPEN = 0x20000000
BOTH = [(name, datagrams) for name in sorted(MACHINES) for datagrams in (False, True)]


def made(name: str, *, datagrams: bool) -> Machine:
    return networked.machine(MACHINES[name], networked._NUMBERS[name], datagrams=datagrams)


@pytest.mark.parametrize(("name", "datagrams"), BOTH)
def test_program_does_what_the_specification_says(name: str, *, datagrams: bool) -> None:
    machine = made(name, datagrams=datagrams)
    code = seccomp.program(machine)
    values = (0, 1, 2, 3, 6, 9, 10, 17, 0x5421, 0x80801, FASTOPEN, 1 << 32)
    checked = {call.number for call in machine.checked.values()}
    for number in EVERY_NUMBER:
        choices = itertools.product(values, values, values, values) if number in checked else [(0, 0, 0, 0)]
        for four in itertools.islice(choices, 0, None, 7 if number in checked else 1):
            arguments = (*four, 0, 0)
            assert interpret(code, machine.audit_arch, number, arguments) == verdict(machine, number, arguments)


@pytest.mark.parametrize(("name", "datagrams"), BOTH)
def test_no_number_stands_twice(name: str, *, datagrams: bool) -> None:
    machine = made(name, datagrams=datagrams)
    numbers = [*machine.allowed.values(), *machine.denied.values(), *(call.number for call in machine.checked.values())]
    assert len(numbers) == len(set(numbers))


SOCKETS = [
    (socket.AF_INET, socket.SOCK_STREAM, 0, Rule.ALLOW), (socket.AF_INET6, socket.SOCK_STREAM, 6, Rule.ALLOW),
    (socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0, Rule.ALLOW),
    (socket.AF_INET, socket.SOCK_STREAM, 262, Rule.KILL), (socket.AF_INET, socket.SOCK_STREAM, 132, Rule.KILL),
    (socket.AF_INET, socket.SOCK_RAW, 1, Rule.KILL), (socket.AF_INET, socket.SOCK_SEQPACKET, 132, Rule.KILL),
    (socket.AF_UNIX, socket.SOCK_STREAM, 0, Rule.KILL), (socket.AF_NETLINK, socket.SOCK_RAW, 0, Rule.KILL),
    (socket.AF_PACKET, socket.SOCK_RAW, 0, Rule.KILL), (socket.AF_VSOCK, socket.SOCK_STREAM, 0, Rule.KILL),
]  # fmt: skip


@pytest.mark.parametrize(("family", "kind", "protocol", "rule"), SOCKETS)
def test_sockets(family: int, kind: int, protocol: int, rule: Rule) -> None:
    for name, datagrams in BOTH:
        machine = made(name, datagrams=datagrams)
        number = machine.checked["socket"].number
        assert verdict(machine, number, (family, kind, protocol, 0, 0, 0)) is rule


@pytest.mark.parametrize(("name", "datagrams"), BOTH)
def test_datagrams_only_where_names_are_resolved(name: str, *, datagrams: bool) -> None:
    machine = made(name, datagrams=datagrams)
    number = machine.checked["socket"].number
    for protocol in (0, 17):
        said = verdict(machine, number, (socket.AF_INET, socket.SOCK_DGRAM, protocol, 0, 0, 0))
        assert said is (Rule.ALLOW if datagrams else Rule.KILL)


@pytest.mark.parametrize(("name", "datagrams"), BOTH)
def test_nothing_connects_past_landlock(name: str, *, datagrams: bool) -> None:
    machine = made(name, datagrams=datagrams)
    sendto, sendmsg = machine.checked["sendto"].number, machine.checked["sendmsg"].number
    assert verdict(machine, sendto, (3, 0, 5, 0x4000, 0, 0)) is Rule.ALLOW
    assert verdict(machine, sendto, (3, 0, 5, FASTOPEN | 0x4000, 0, 0)) is Rule.KILL
    assert verdict(machine, sendmsg, (3, 0, FASTOPEN, 0, 0, 0)) is Rule.KILL
    assert verdict(machine, machine.checked["setsockopt"].number, (3, 6, 30, 0, 4, 0)) is Rule.DENY


def test_what_an_attacker_wants_is_not_allowed_on_x86_64() -> None:
    wanted = {
        "accept": 43, "recvmsg": 47, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
        "execve": 59, "kill": 62, "fcntl": 72, "unlink": 87, "ptrace": 101, "prctl": 157, "tkill": 200, "io_setup": 206,
        "tgkill": 234, "openat": 257, "unshare": 272, "accept4": 288, "recvmmsg": 299, "sendmmsg": 307, "setns": 308,
        "process_vm_readv": 310, "memfd_create": 319, "bpf": 321, "execveat": 322, "pidfd_send_signal": 424,
        "io_uring_setup": 425, "clone3": 435, "pidfd_getfd": 438,
    }  # fmt: skip
    machine = made("x86_64", datagrams=True)
    assert [name for name, number in wanted.items() if verdict(machine, number) is Rule.ALLOW] == []


def test_a_worker_is_not_widened() -> None:
    for machine in MACHINES.values():
        assert "socket" not in {*machine.allowed, *machine.denied, *machine.checked}
