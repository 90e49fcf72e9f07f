"""The image takes away what the service does not need (docs/adr/0007-image.md); its compose files: tests/deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

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


DOCKERFILE = tree.read("Dockerfile")


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
