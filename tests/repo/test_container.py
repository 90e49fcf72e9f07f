"""The image and its compose file take away what the service does not need (docs/adr/0007-image.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from hashmatch import __version__
from hashmatch.config import ServerConfig
from hashmatch.sandbox import spawner
from tests.repo import tree

Instruction = tuple[str, str]


def instructions(dockerfile: str) -> list[Instruction]:
    """Instructions in their order, comments gone, continued lines joined."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in whole.splitlines())]


def dockerfile_faults(dockerfile: str) -> Iterator[str]:
    """Say what the Dockerfile lacks or should not have."""
    steps = instructions(dockerfile)
    stages = [index for index, (name, _) in enumerate(steps) if name == "FROM"]
    if len(stages) != 2:
        yield f"{len(stages)} stages, not two"
    final = steps[stages[-1] :] if stages else []
    last = dict(final)
    base = next((value for name, value in steps if name == "ARG" and value.startswith("BASE=")), "")
    if not re.search(r":\d[\w.-]*(?:@sha256:\w{64})?$", base) or ":latest" in dockerfile:
        yield "the base image has no version"
    if last.get("USER", "root").partition(":")[0] in {"root", "0"}:
        yield "it runs as root"
    if any(name in {"RUN", "COPY", "ADD"} for name, _ in final[_position(final, "USER") :]):
        yield "something is written after the last USER"
    for name in ("HEALTHCHECK", "ENTRYPOINT", "VOLUME", "EXPOSE"):
        if name not in last:
            yield f"no {name}"
    if last.get("STOPSIGNAL") != "SIGTERM":
        yield "STOPSIGNAL is not SIGTERM"
    yield from _build_faults(steps, [value for name, value in final if name == "RUN"])


def _build_faults(steps: list[Instruction], runs: list[str]) -> Iterator[str]:
    """Judge what is brought in, by all ``steps`` and by the ``runs`` of the final stage."""
    if any("pip" in run and "--no-index" not in run for run in runs):
        yield "the final stage installs from the network"
    if not any("-m hashmatch.kernels" in run for run in runs):
        yield "the kernels are not compiled"
    if any(re.search(r"\b(?:curl|wget|apt-get|apk)\b", value) for name, value in steps if name == "RUN"):
        yield "it fetches more than wheels"
    if any(name == "ADD" or (name == "COPY" and value.split()[0] in {".", "./"}) for name, value in steps):
        yield "it copies what it does not name"


def _position(steps: list[Instruction], name: str) -> int:
    return max((index for index, step in enumerate(steps) if step[0] == name), default=len(steps))


def compose_facts(text: str) -> dict[str, str]:
    """Dotted path to scalar: block mappings and block lists of scalars, which is all that our file uses.

    Raises
    ------
    ValueError
        A line of any other form, so that nothing is overlooked in silence.

    """
    facts: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"( *)(?:- (?P<item>[^#]+?)|(?P<key>[\w.-]+):(?: +(?P<value>[^#]+?))?)", line.rstrip())
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match is None:
            raise ValueError(f"line {number} is of no form that this check understands: {line}")
        depth = len(match[1])
        path = [(level, name) for level, name in path if level < depth]
        where = ".".join(name for _, name in path)
        if match["item"] is not None:
            facts[where] = f"{facts.get(where, '')} {match['item'].strip(chr(34))}".strip()
            continue
        path.append((depth, match["key"]))
        if match["value"] is not None:
            facts[f"{where}.{match['key']}".lstrip(".")] = match["value"].strip('"')
    return facts


REQUIRED: Mapping[str, str] = {
    "image": r"\$\{IMAGE:-hashmatch:" + re.escape(__version__) + r"\}",
    "restart": "unless-stopped",
    "init": "true",
    "user": "10001:10001",
    "read_only": "true",
    "cap_drop": "ALL",
    "security_opt": r"no-new-privileges:true",
    "tmpfs": r"/tmp:.*\bnoexec\b.*\bsize=\d+m\b.*",  # noqa: S108 - a mount point, not a file
    "volumes": "data:/data",
    "ports": r"127\.0\.0\.1:\d+:50051",
    "pids_limit": r"\d+",
    "cpus": r".+",
    "mem_limit": r".+",
    "ulimits.core": "0",
    "logging.options.max-size": r"\d+m",
    "logging.options.max-file": r"\d+",
}


def compose_faults(text: str, dockerfile: str) -> Iterator[str]:
    """Say what the compose file lacks, or puts otherwise than the Dockerfile and the defaults."""
    facts = compose_facts(text)
    service = {name.removeprefix("services.hashmatch."): value for name, value in facts.items()}
    for name, pattern in REQUIRED.items():
        if not re.fullmatch(pattern, service.get(name, "")):
            yield f"{name}: {service.get(name)!r}"
    if service.get("memswap_limit") != service.get("mem_limit"):
        yield "memswap_limit: the container may swap"
    for name in ("privileged", "cap_add", "network_mode", "pid", "ipc", "devices"):
        if name in service:
            yield f"{name}: {service[name]!r}"
    probe = dict(instructions(dockerfile)).get("HEALTHCHECK", "").partition("CMD ")[2]
    if json.loads(service.get("healthcheck.test", "[]"))[1:] != json.loads(probe or "[]"):
        yield "healthcheck.test: not the image's"
    grace_s = int(service.get("stop_grace_period", "0s").removesuffix("s"))
    if grace_s <= ServerConfig().drain_s:
        yield f"stop_grace_period: {grace_s} s is not more than server.drain_s"


DOCKERFILE = tree.read("Dockerfile")
COMPOSE = tree.read("deploy/compose.yaml")


def test_the_dockerfile_has_no_fault() -> None:
    assert list(dockerfile_faults(DOCKERFILE)) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("USER 10001:10001", "USER root", "it runs as root"),
        ("USER 10001:10001", "USER 0:0", "it runs as root"),
        ("USER 10001:10001\n", "", "it runs as root"),
        ("WORKDIR /data", "RUN touch /x", "something is written after the last USER"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "STOPSIGNAL is not SIGTERM"),
        ("HEALTHCHECK", "# HEALTHCHECK", "no HEALTHCHECK"),
        ("python:3.13-slim-trixie\n\n", "python:latest\n\n", "the base image has no version"),
        ("python:3.13-slim-trixie\n\n", "python\n\n", "the base image has no version"),
        ("FROM ${BASE} AS wheels", "FROM ${BASE} AS a\nFROM ${BASE} AS b", "3 stages, not two"),
        ("--no-index ", "", "the final stage installs from the network"),
        ("-m hashmatch.kernels", "-c pass", "the kernels are not compiled"),
        ("RUN groupadd", "RUN apt-get update && groupadd", "it fetches more than wheels"),
        ("COPY README.md LICENSE ./", "COPY . .", "it copies what it does not name"),
    ],
)
def test_a_worse_dockerfile_is_seen(before: str, after: str, fault: str) -> None:
    assert before in DOCKERFILE
    assert fault in list(dockerfile_faults(DOCKERFILE.replace(before, after)))


def test_the_compose_file_has_no_fault() -> None:
    assert list(compose_faults(COMPOSE, DOCKERFILE)) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("    read_only: true\n", "", "read_only: None"),
        ("read_only: true", "read_only: false", "read_only: 'false'"),
        ('user: "10001:10001"', 'user: "0:0"', "user: '0:0'"),
        ("      - ALL", "      - CHOWN", "cap_drop: 'CHOWN'"),
        ("no-new-privileges:true", "seccomp:unconfined", "security_opt: 'seccomp:unconfined'"),
        ("127.0.0.1:50051:50051", "50051:50051", "ports: '50051:50051'"),
        ("memswap_limit: ${MEMORY:-2g}", "memswap_limit: -1", "memswap_limit: the container may swap"),
        ("    memswap_limit: ${MEMORY:-2g}\n", "", "memswap_limit: the container may swap"),
        ("    init: true\n", "    init: true\n    privileged: true\n", "privileged: 'true'"),
        ("core: 0", "core: -1", "ulimits.core: '-1'"),
        ('["CMD", "python"', '["CMD", "true"', "healthcheck.test: not the image's"),
        ("stop_grace_period: 30s", "stop_grace_period: 10s", "stop_grace_period: 10 s is not more than server.drain_s"),
        (f"hashmatch:{__version__}", "hashmatch:latest", "image: '${IMAGE:-hashmatch:latest}'"),
        ("size=16m", "", "tmpfs: '/tmp:rw,noexec,nosuid,nodev,,mode=1777'"),
    ],
)
def test_a_worse_compose_file_is_seen(before: str, after: str, fault: str) -> None:
    assert before in COMPOSE
    assert fault in list(compose_faults(COMPOSE.replace(before, after), DOCKERFILE))


def test_a_compose_file_in_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line 1 is of no form that this check understands: a: &anchor \{b"):
        compose_facts("a: &anchor {b: c} # d\n")


def test_the_zygote_is_told_where_the_compiled_kernels_are() -> None:
    told = {name for name in spawner._KEPT_ENVIRONMENT if name.startswith("NUMBA_")}
    settings = {setting for name, value in instructions(DOCKERFILE) if name == "ENV" for setting in value.split()}
    assert told == {
        name for name, _, _ in (setting.partition("=") for setting in settings) if name.startswith("NUMBA_")
    }


def test_nothing_enters_the_build_unless_it_is_named() -> None:
    patterns = [line for line in tree.read(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert patterns[0] == "*"
    named = {line.removeprefix("!") for line in patterns if line.startswith("!")}
    copied = {
        source
        for name, value in instructions(DOCKERFILE)
        if name == "COPY"
        for source in value.split()[:-1]
        if not source.startswith("--")
    }
    assert named == copied
