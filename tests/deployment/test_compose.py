"""The compose files take away what no service needs, and say the same as the image and the defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hashmatch import __version__
from hashmatch.config import ServerConfig
from tests.deployment import documents
from tests.repo import tree
from tests.repo.test_container import DOCKERFILE, instructions

SINGLE = tree.read("deploy/compose/compose.yaml")
REPLICAS = tree.read("deploy/compose/replicas.yaml")

FOR_ALL: Mapping[str, str] = {
    "restart": "unless-stopped",
    "user": r"[1-9]\d*:[1-9]\d*",
    "read_only": "True",
    "cap_drop": r"\['ALL'\]",
    "security_opt": r"\['no-new-privileges:true'\]",
    "pids_limit": r"\d+",
    "mem_limit": r".+",
    "logging.options.max-size": r"\d+m",
    "logging.options.max-file": r"\d+",
    "ulimits.core": "0",
}
FOR_OURS: Mapping[str, str] = {
    "image": r"\$\{IMAGE:-hashmatch:" + re.escape(__version__) + r"\}",
    "init": "True",
    "user": "10001:10001",
    "tmpfs": r"\['/tmp:.*'\]",
    "cpus": r".+",
    "ulimits.memlock": r"\d+",
    "ulimits.nofile": r"\d+",
    "volumes": r"\['\w+:/data'\]",
    "ports": r"\['(\$\{LISTEN:-)?127\.0\.0\.1:\d+\}?:50051'\]",
}
NEVER = ("privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode", "env_file")


def facts(service: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted path and text of every value that is no mapping."""
    for name, value in service.items():
        if isinstance(value, dict):
            yield from facts(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(value)


def service_faults(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    """Say what any service lacks."""
    known = dict(facts(service))
    for setting, pattern in FOR_ALL.items():
        if not re.fullmatch(pattern, known.get(setting, "")):
            yield f"{name}: {setting}: {known.get(setting)}"
    for mount in service.get("tmpfs", ["none"]):
        if not re.fullmatch(r"/[\w/]+:(?=.*\bnoexec\b)(?=.*\bnosuid\b)(?=.*\bnodev\b).*\bsize=\d+m\b.*", mount):
            yield f"{name}: tmpfs: {mount}"
    if service.get("memswap_limit") != service.get("mem_limit"):
        yield f"{name}: memswap_limit: the container may swap"
    yield from (f"{name}: {setting}: {service[setting]}" for setting in NEVER if setting in service)
    for variable, value in service.get("environment", {}).items():
        if "PASSWORD" in variable and not str(value).startswith("/run/secrets/"):
            yield f"{name}: {variable}: a secret in the environment"


def our_faults(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    """Say what a service of ours puts otherwise than the Dockerfile and the defaults."""
    known = dict(facts(service))
    for setting, pattern in FOR_OURS.items():
        if not re.fullmatch(pattern, known.get(setting, "")):
            yield f"{name}: {setting}: {known.get(setting)}"
    probe = json.loads(dict(instructions(DOCKERFILE))["HEALTHCHECK"].partition("CMD ")[2])
    if service.get("healthcheck", {}).get("test", [""])[1:] != probe:
        yield f"{name}: healthcheck.test: not the image's"
    grace_s = int(str(service.get("stop_grace_period", "0s")).removesuffix("s"))
    if grace_s <= ServerConfig().drain_s:
        yield f"{name}: stop_grace_period: {grace_s} s is not more than server.drain_s"


def network_faults(document: Mapping[str, Any]) -> Iterator[str]:
    """Say which services nobody calls from outside, and could themselves call out."""
    for name, service in document["services"].items():
        networks = [document["networks"][network] or {} for network in service["networks"]]
        if not service.get("ports") and not all(network.get("internal") for network in networks):
            yield f"{name}: on a network that leads out"


def faults(text: str) -> list[str]:
    """Say what a compose file lacks."""
    document = documents.parsed(text)
    found = list(network_faults(document))
    for name, service in document["services"].items():
        found += service_faults(name, service)
        if "hashmatch" in str(service.get("image")):
            found += our_faults(name, service)
    return found


@pytest.mark.parametrize("text", [SINGLE, REPLICAS], ids=["single", "replicas"])
def test_a_compose_file_has_no_fault(text: str) -> None:
    assert faults(text) == []


def test_both_files_say_the_same_of_our_service() -> None:
    single = documents.parsed(SINGLE)["services"]["hashmatch"]
    shared = documents.parsed(REPLICAS)["x-service"]
    differs = {name for name in single.keys() | shared.keys() if single.get(name) != shared.get(name)}
    assert differs == {"environment", "networks", "secrets", "depends_on", "volumes", "ports"}


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("    read_only: true\n", "", "hashmatch: read_only: None"),
        ("read_only: true", "read_only: false", "hashmatch: read_only: False"),
        ('user: "10001:10001"', 'user: "0:0"', "hashmatch: user: 0:0"),
        ("      - ALL", "      - CHOWN", "hashmatch: cap_drop: ['CHOWN']"),
        ("no-new-privileges:true", "seccomp:unconfined", "hashmatch: security_opt: ['seccomp:unconfined']"),
        ("${LISTEN:-127.0.0.1:50051}", "50051", "hashmatch: ports: ['50051:50051']"),
        ("memswap_limit: ${MEMORY:-2g}", "memswap_limit: -1", "hashmatch: memswap_limit: the container may swap"),
        ("    memswap_limit: ${MEMORY:-2g}\n", "", "hashmatch: memswap_limit: the container may swap"),
        ("    init: true\n", "    init: true\n    privileged: true\n", "hashmatch: privileged: True"),
        ("core: 0", "core: -1", "hashmatch: ulimits.core: -1"),
        ('["CMD", "python"', '["CMD", "true"', "hashmatch: healthcheck.test: not the image's"),
        (
            "stop_grace_period: 30s",
            "stop_grace_period: 10s",
            "hashmatch: stop_grace_period: 10 s is not more than server.drain_s",
        ),
        (f"hashmatch:{__version__}", "hashmatch:latest", "hashmatch: image: ${IMAGE:-hashmatch:latest}"),
        (",size=16m", "", "hashmatch: tmpfs: /tmp:rw,noexec,nosuid,nodev,mode=1777"),
        ("noexec,", "", "hashmatch: tmpfs: /tmp:rw,nosuid,nodev,size=16m,mode=1777"),
    ],
)
def test_a_worse_compose_file_is_seen(before: str, after: str, fault: str) -> None:
    assert before in SINGLE
    assert fault in faults(SINGLE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("    internal: true\n", "", "postgres: on a network that leads out"),
        (
            "_PASSWORD_FILE: /run/secrets/postgres-password",
            "_PASSWORD: x",
            "postgres: POSTGRES_PASSWORD: a secret in the environment",
        ),
        ('    user: "999:999"\n', "", "postgres: user: None"),
        ("    read_only: true\n    cap_drop", "    cap_drop", "postgres: read_only: None"),
    ],
)
def test_a_worse_file_of_replicas_is_seen(before: str, after: str, fault: str) -> None:
    assert before in REPLICAS
    assert fault in faults(REPLICAS.replace(before, after))


def test_the_file_for_tls_takes_the_trust_in_the_network_back() -> None:
    added = documents.one("deploy/compose/tls.yaml")
    environment = added["services"]["hashmatch"]["environment"]
    assert environment["HASHMATCH_SERVER_ALLOW_INSECURE_REMOTE"] == "false"
    mounted = {f"/run/secrets/{name}" for name in added["services"]["hashmatch"]["secrets"]}
    assert {value for name, value in environment.items() if "/" in value} == mounted
    assert added["secrets"].keys() == set(added["services"]["hashmatch"]["secrets"])
