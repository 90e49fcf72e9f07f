"""A hash function that attacks: what a decoder could do that was taken over by the picture.

The zygote is started with this module in the place of the real one, so that every attack comes through the real pool,
zygote and worker. The first bytes of the "image" name the attack, the rest is its argument. Whatever the attack finds
goes into the detail of a refusal: ``allowed``, or the name of the errno. The attacks do no harm where nothing stops
them: the negative control runs them unconfined.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import platform
import socket
import sys
import time
from collections.abc import Callable

from hashmatch.config import DecodeConfig
from hashmatch.model import ComputedHash, HashOptions, MediaInfo, Picture, Refusal

CLONE_NEWUSER = 0x10000000
FOUR_GIB = 4 << 30

_libc = ctypes.CDLL(None, use_errno=True)
_NUMBERS = {
    "x86_64": {"ptrace": 101, "process_vm_readv": 310, "bpf": 321, "io_uring_setup": 425},
    "aarch64": {"ptrace": 117, "process_vm_readv": 270, "bpf": 280, "io_uring_setup": 425},
}[platform.machine()]


def warm() -> None:
    """Nothing to warm: everything was imported above."""


def hash_picture(data: bytes, _decode: DecodeConfig, _options: HashOptions) -> Picture:
    """Carry out the attack that ``data`` names; anything else is "hashed" to its SHA-256."""
    name, _, argument = data.partition(b" ")
    attack = ATTACKS.get(name.decode("latin-1"))
    if attack is None:
        return Picture(media=MediaInfo("TEST", 8, 8), hashes=(ComputedHash("pdq", hashlib.sha256(data).digest(), 100),))
    try:
        attack(argument)
    except OSError as error:
        return Picture(refusal=Refusal.CORRUPT, detail=errno.errorcode[error.errno or 0])
    return Picture(refusal=Refusal.CORRUPT, detail="allowed")


def _call(name: str, *arguments: object) -> None:
    """Call the kernel, raising OSError with its errno."""
    if _libc.syscall(_NUMBERS[name], *arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _open_for_writing(path: bytes) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))


def _open_for_reading(path: bytes) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _leak(path_and_content: bytes) -> None:
    """Write the picture to disk, and make sure that it is there."""
    path, _, content = path_and_content.partition(b" ")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, content)
    os.fsync(descriptor)
    os.close(descriptor)


def _fork(_: bytes) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _connect(port: bytes) -> None:
    with socket.socket() as attempt:
        attempt.connect(("127.0.0.1", int(port)))


def _make_picture_memory_writable(_: bytes) -> None:
    frame = sys._getframe()
    while "picture_memory" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    view = memoryview(frame.f_locals["picture_memory"])
    buffer = (ctypes.c_ssize_t * 16)()  # a Py_buffer, whose first member is the address
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    if _libc.mprotect(ctypes.c_void_p(buffer[0]), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _babble(_: bytes) -> None:
    """Say something that is not a reply on every descriptor that will take it."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff" * 4096)
        except OSError:
            continue


def _spin(_: bytes) -> None:
    while True:
        pass


def _raise(_: bytes) -> None:
    raise RuntimeError("secret picture bytes")


ATTACKS: dict[str, Callable[[bytes], object]] = {
    "open-read": _open_for_reading,
    "open-write": _open_for_writing,
    "leak": _leak,
    "listdir": os.listdir,
    "stat": os.stat,
    "socket": lambda _: socket.socket().close(),
    "connect": _connect,
    "execve": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606 - the attack
    "fork": _fork,
    "mmap-exec": lambda _: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close(),
    "ptrace": lambda _: _call("ptrace", 0, 0, 0, 0),
    "memfd": lambda _: os.close(os.memfd_create("attack")),
    "unlink": os.unlink,
    "kill-parent": lambda _: os.kill(os.getppid(), 0),
    "kill-group": lambda _: os.killpg(os.getpgrp(), 0),
    "process-vm-readv": lambda _: _call("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0),
    "io-uring": lambda _: _call("io_uring_setup", 1, 0),
    "bpf": lambda _: _call("bpf", 0, 0, 0),
    "unshare": lambda _: _call_unshare(),
    "own-memory-file": lambda _: _open_for_reading(b"/proc/self/mem"),
    "write-picture-memory": _make_picture_memory_writable,
    "allocate": lambda _: bytes(FOUR_GIB),
    "segfault": lambda _: ctypes.string_at(0),
    "abort": lambda _: os.abort(),
    "spin": _spin,
    "sleep": lambda seconds: time.sleep(float(seconds.split()[0])),
    "babble": _babble,
    "raise": _raise,
    "exit": lambda _: os._exit(3),
}


def _call_unshare() -> None:
    if _libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
