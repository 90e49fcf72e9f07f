"""The unit takes away what the service does not need, and leaves what its workers' confinement does."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hashmatch import config
from hashmatch.config import ServerConfig
from hashmatch.sandbox import seccomp
from tests.repo import tree

UNIT = tree.read("deploy/systemd/hashmatch.service")
EXPOSURE = 20
"""Out of 100: the most that ``systemd-analyze security`` calls OK; systemd 252 finds 13."""

Settings = Mapping[str, list[str]]


def settings(text: str) -> dict[str, list[str]]:
    """Return every value of each setting, in its order; sections are of no account here, names differ between them."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, given, value = line.partition("=")
        if given and not line.startswith(("#", ";")):
            found.setdefault(name, []).append(value)
    return found


REQUIRED: Mapping[str, str] = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectProc": "invisible",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "StateDirectory": "hashmatch",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "LimitCORE": "0",
    "MemorySwapMax": "0",
    "OOMPolicy": "continue",
    "KillMode": "mixed",
    "KillSignal": "SIGTERM",
    "MemoryDenyWriteExecute": "no",  # Numba's machine code, also from a cache
}


def faults(text: str) -> Iterator[str]:
    """Say what a unit lacks."""
    found = settings(text)
    for name, value in REQUIRED.items():
        if found.get(name) != [value]:
            yield f"{name}: {found.get(name)}"
    stop_s = int(found.get("TimeoutStopSec", ["0"])[0])
    if stop_s <= ServerConfig().drain_s:
        yield f"TimeoutStopSec: {stop_s} s is not more than server.drain_s"
    if not found.get("SystemCallFilter", [""])[0].startswith("@system-service "):
        yield "SystemCallFilter: not a list of what is allowed"
    if any(name in found for name in ("ReadWritePaths", "BindPaths", "PermissionsStartOnly")):
        yield "the service may write outside its state"


def test_the_unit_has_no_fault() -> None:
    assert list(faults(UNIT)) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        *((f"{name}={value}\n", "", f"{name}: None") for name, value in sorted(REQUIRED.items())),
        ("ProtectSystem=strict", "ProtectSystem=full", "ProtectSystem: ['full']"),
        ("TimeoutStopSec=30", "TimeoutStopSec=20", "TimeoutStopSec: 20 s is not more than server.drain_s"),
        (
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@mount @system-service",
            "SystemCallFilter: not a list of what is allowed",
        ),
        ("UMask=0077", "UMask=0077\nReadWritePaths=/srv", "the service may write outside its state"),
    ],
)
def test_a_worse_unit_is_seen(before: str, after: str, fault: str) -> None:
    assert before in UNIT
    assert fault in list(faults(UNIT.replace(before, after)))


def test_the_file_for_tls_hands_over_what_it_names() -> None:
    added = settings(tree.read("deploy/systemd/tls.conf"))
    credentials = {value.partition(":")[0] for value in added["LoadCredential"]}
    assert set(re.findall(r"%d/(\S+)", " ".join(added["Environment"]))) == credentials


def test_only_a_service_of_several_processes_is_sent_the_signal_that_replaces_them() -> None:
    added = settings(tree.read("deploy/systemd/processes.conf"))
    assert added["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    environ = dict(item.split("=", 1) for value in added["Environment"] for item in value.split())
    assert config.load(None, environ).server.processes != ServerConfig().processes == 1
    assert "ExecReload" not in settings(UNIT)


def test_what_the_unit_starts_is_what_the_script_installs() -> None:
    script = tree.read("deploy/systemd/install.sh")
    found = settings(UNIT)
    (home,) = re.findall(r"^home=(\S+)$", script, re.MULTILINE)
    assert found["ExecStart"] == [f"{home}/bin/hashmatch serve"]
    environment = dict(item.split("=", 1) for value in found["Environment"] for item in value.split())
    assert environment["NUMBA_CACHE_DIR"] == f"{home}/kernels"
    for written in (environment["HASHMATCH_CONFIG"], "/etc/systemd/system/hashmatch.service"):
        assert written in script
    assert environment["HASHMATCH_DATA"] == f"/var/lib/{found['StateDirectory'][0]}"


REFUSE_EXECUTABLE_MEMORY = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
from numba import njit
njit("int64(int64)")(lambda number: number + 1)
"""


def test_kernels_cannot_do_without_executable_memory() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSE_EXECUTABLE_MEMORY], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("the kernel cannot refuse executable memory (Linux 6.3)")
    assert "cannot allocate executable memory" in done.stderr
    permitted = REFUSE_EXECUTABLE_MEMORY.replace("REFUSE_EXEC_GAIN = 65, 1", "REFUSE_EXEC_GAIN = 66, 0")
    assert subprocess.run([sys.executable, "-c", permitted], check=False).returncode == 0


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd itself."""
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],  # noqa: S607 - whichever there is
        capture_output=True,
        text=True,
        check=False,
    )


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / "hashmatch.service"
    unit.write_text(UNIT.replace("/opt/hashmatch/bin/hashmatch", "/bin/true"), encoding="utf-8")
    done = analyze("verify", str(unit))
    assert (done.returncode, "hashmatch.service" in done.stderr) == (0, False), done.stderr
    unit.write_text(unit.read_text(encoding="utf-8").replace("NoNewPrivileges=", "NoPrivileges="), encoding="utf-8")
    assert "'NoPrivileges'" in analyze("verify", str(unit)).stderr


@needs_systemd
def test_systemd_finds_little_exposure(tmp_path: Path) -> None:
    unit = tmp_path / "hashmatch.service"
    unit.write_text(UNIT, encoding="utf-8")
    limit = ("security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))
    assert analyze(*limit).returncode == 0, analyze(*limit).stdout
    unit.write_text(UNIT.replace("CapabilityBoundingSet=\n", ""), encoding="utf-8")
    assert analyze(*limit).returncode == 1


def allowed_calls(unit: str) -> set[str]:
    """System calls that the unit's filters leave, by systemd's own sets."""
    sets: dict[str, set[str]] = {}
    members: set[str] = set()
    for line in analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.add(line.strip())

    def expanded(names: str) -> set[str]:
        return set(
            itertools.chain.from_iterable(expanded(" ".join(sets[n])) if n in sets else {n} for n in names.split())
        )

    left: set[str] = set()
    for value in settings(unit)["SystemCallFilter"]:
        left = left - expanded(value[1:]) if value.startswith("~") else left | expanded(value)
    return left


@needs_systemd
def test_the_filter_leaves_what_confining_and_decoding_need() -> None:
    left = allowed_calls(UNIT)
    machine = seccomp.MACHINES["x86_64"]
    confining = {
        "prctl", "seccomp", "landlock_create_ruleset", "landlock_restrict_self", "prlimit64", "memfd_create", "mlock2",
        "clone", "clone3", "wait4", "kill", "pidfd_open", "pidfd_send_signal", "sendmsg", "recvmsg", "socketpair",
        "fcntl", "ftruncate", "fdatasync", "fsync", "execve",
    }  # fmt: skip
    assert {*machine.allowed, *machine.checked, *machine.denied, *confining} - left == set()
    assert left & {"mount", "ptrace", "bpf", "setuid", "chown", "init_module", "reboot", "unshare", "keyctl"} <= {
        "unshare",  # RestrictNamespaces looks at its arguments
        "keyctl",  # KeyringMode gives it an empty one
    }


@needs_systemd
def test_a_filter_that_would_break_the_workers_is_seen() -> None:
    worse = UNIT.replace(" landlock_restrict_self", "").replace("~@privileged", "~@memlock @privileged")
    assert {"landlock_restrict_self", "mlock2"} & allowed_calls(worse) == set()


def test_the_configuration_that_is_installed_changes_no_default() -> None:
    assert config.load(tree.ROOT / "deploy/systemd/hashmatch.toml", {}) == config.Config()
