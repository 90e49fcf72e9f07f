"""The manifests take away what no pod needs, and say the same as the image and the defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hashmatch import __version__
from hashmatch.config import Config, ServerConfig, parse
from hashmatch.telemetry.page import judged
from tests.deployment import documents
from tests.repo import tree
from tests.repo.test_container import DOCKERFILE, instructions

RENDERED = {name: tree.read(f"deploy/kubernetes/{name}.yaml") for name in ("replicas", "single")}

Manifest = dict[str, Any]


def find(manifests: list[Manifest], kind: str) -> Manifest | None:
    """Return the one manifest of a kind, if there is one."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    assert len(found) <= 1, kind
    return found[0] if found else None


def pod_of(manifests: list[Manifest]) -> Manifest:
    """Return what all pods are like."""
    (pods,) = (manifest for manifest in manifests if manifest["kind"] == "StatefulSet")
    spec = pods["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container_faults(container: Manifest) -> Iterator[str]:
    """Say what one container may do too much."""
    name = container["name"]
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if container.get("securityContext") != wanted:
        yield f"{name}: securityContext: {container.get('securityContext')}"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield f"{name}: no limit on memory"
    if container["image"] != f"hashmatch:{__version__}":
        yield f"{name}: image: {container['image']}"
    for variable in container.get("env", ()):
        if "PASSWORD" in variable["name"] and "secretKeyRef" not in variable.get("valueFrom", {}):
            yield f"{name}: {variable['name']}: a secret in the manifest"


def pod_faults(pod: Manifest) -> Iterator[str]:
    """Say what the pod may do too much, or is told otherwise than the image."""
    context = pod.get("securityContext", {})
    user = dict(instructions(DOCKERFILE))["USER"].split(":")
    if [str(context.get(name)) for name in ("runAsUser", "runAsGroup")] != user or not context.get("runAsNonRoot"):
        yield f"user: {context}"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"seccompProfile: {context.get('seccompProfile')}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "a token for the cluster is mounted"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if name in pod:
            yield f"{name}: {pod[name]}"
    for volume in pod["volumes"]:
        if "hostPath" in volume or volume.get("secret", {}).get("defaultMode", 0) & 0o007:
            yield f"volume: {volume['name']}"
        if "emptyDir" in volume and {"medium", "sizeLimit"} - volume["emptyDir"].keys():
            yield f"volume: {volume['name']}: not bounded memory"
    for container in [*pod.get("initContainers", ()), *pod["containers"]]:
        yield from container_faults(container)


def life_faults(pod: Manifest) -> Iterator[str]:
    """Say where starting, answering and stopping do not fit together."""
    (container,) = pod["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    drain_s = int(environment["HASHMATCH_SERVER_DRAIN_S"])
    pause_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    if drain_s != ServerConfig().drain_s:
        yield f"drain: {drain_s} s"
    if pod["terminationGracePeriodSeconds"] <= drain_s + pause_s:
        yield f"terminationGracePeriodSeconds: {pod['terminationGracePeriodSeconds']} s is not more than both together"
    encrypted = "HASHMATCH_SERVER_TLS_KEY" in environment
    probe = json.loads(dict(instructions(DOCKERFILE))["HEALTHCHECK"].partition("CMD ")[2])
    for name in ("startupProbe", "readinessProbe"):
        ready = {"exec": {"command": probe}}
        if not encrypted:
            ready = {"grpc": {"port": 50051, "service": "hashmatch.v1.DetectionService"}}
        if not ready.items() <= container.get(name, {}).items():
            yield f"{name}: {container.get(name)}"
    if "livenessProbe" not in container:
        yield "no livenessProbe"
    if not encrypted and environment.get("HASHMATCH_SERVER_ALLOW_INSECURE_REMOTE") != "true":
        yield "the service would refuse to listen"


def network_faults(manifests: list[Manifest]) -> Iterator[str]:
    """Say where a pod may be reached, or may go, that nobody needs."""
    policy = find(manifests, "NetworkPolicy")
    if policy is None:
        yield "no NetworkPolicy"
        return
    if sorted(policy["spec"]["policyTypes"]) != ["Egress", "Ingress"]:
        yield f"policyTypes: {policy['spec']['policyTypes']}"
    if any(not rule.get("from") for rule in policy["spec"]["ingress"]):
        yield "anybody may call"
    environment = {each["name"] for each in pod_of(manifests)["containers"][0]["env"]}
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [{"port": "any"}])}
    if ports != ({53, 5432} if "HASHMATCH_CATALOG_URL" in environment else set()):
        yield f"egress: {sorted(map(str, ports))}"


def configured(manifests: list[Manifest]) -> Config:
    """Return the configuration that a pod has, as the service itself reads it."""
    (container,) = pod_of(manifests)["containers"]
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    files = find(manifests, "ConfigMap")
    assert files is not None
    where = Path(told.pop("HASHMATCH_CONFIG"))
    return parse(files["data"][where.name], told, where)


def metrics_faults(manifests: list[Manifest]) -> Iterator[str]:
    """Say where the pages of metrics are not where others look for them, or are open to more than those."""
    config = configured(manifests)
    (container,) = pod_of(manifests)["containers"]
    pages = {port["name"]: port["containerPort"] for port in container["ports"] if port["name"] != "grpc"}
    asked = find(manifests, "ServiceMonitor")
    offered = {
        port["targetPort"]: port["port"]
        for manifest in manifests
        if manifest["kind"] == "Service"
        for port in manifest["spec"]["ports"]
        if port["name"] != "grpc"
    }
    processes = config.server.processes if config.metrics.listen else 0
    listening = [judged(config.metrics, number)[1] for number in range(processes)]
    if sorted(pages.values()) != listening or offered != pages:
        yield f"pages on {listening}, ports of the pod {pages}, of its service {offered}"
    if asked is not None:
        if [end["port"] for end in asked["spec"]["endpoints"]] != list(pages):
            yield f"ServiceMonitor: {asked['spec']['endpoints']}"
        services = [each for each in manifests if each["kind"] == "Service"]
        wanted = asked["spec"]["selector"]["matchLabels"].items()
        jobs = [
            each["metadata"]["labels"][asked["spec"].get("jobLabel", "")] if "jobLabel" in asked["spec"] else "?"
            for each in services
            if wanted <= each["metadata"]["labels"].items()
        ]
        if jobs != ["hashmatch"]:
            yield f"ServiceMonitor: its jobs are {jobs}, and the alerts look for hashmatch"
    policy = find(manifests, "NetworkPolicy")
    rules = [] if policy is None else policy["spec"]["ingress"]
    let_in = {port["port"] for rule in rules for port in rule["ports"]} - {"grpc"}
    if let_in and let_in != set(pages):
        yield f"NetworkPolicy: {sorted(let_in)}"
    if asked is not None and not let_in:
        yield "NetworkPolicy: nobody may read what the ServiceMonitor asks for"


def faults(text: str) -> list[str]:
    """Say what manifests lack."""
    manifests = documents.every(text)
    pod = pod_of(manifests)
    found = [*pod_faults(pod), *life_faults(pod), *network_faults(manifests), *metrics_faults(manifests)]
    scaler, budget = find(manifests, "HorizontalPodAutoscaler"), find(manifests, "PodDisruptionBudget")
    pods = find(manifests, "StatefulSet")
    assert pods is not None
    several = scaler is not None or pods["spec"].get("replicas", 1) > 1
    if several != (budget is not None):
        found.append("PodDisruptionBudget: for several pods, and for them only")
    if "HASHMATCH_CATALOG_URL" not in text and several:
        found.append("several pods without a catalog that they share")
    return found


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_manifests_have_no_fault(name: str) -> None:
    assert faults(RENDERED[name]) == []


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_every_selector_finds_the_pods(name: str) -> None:
    manifests = documents.every(RENDERED[name])
    labels = next(each for each in manifests if each["kind"] == "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    selectors = []
    for manifest in manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if selector is not None and manifest["kind"] != "ServiceMonitor":
            selectors.append((manifest["kind"], selector.get("matchLabels", selector)))
    assert {kind for kind, _ in selectors} >= {"StatefulSet", "Service", "NetworkPolicy"}
    assert [kind for kind, selector in selectors if not selector.items() <= labels.items()] == []


def test_replicas_are_scaled_by_cpu_and_by_pictures_that_wait() -> None:
    scaler = find(documents.every(RENDERED["replicas"]), "HorizontalPodAutoscaler")
    assert scaler is not None
    assert [metric["type"] for metric in scaler["spec"]["metrics"]] == ["Resource", "Pods"]
    assert scaler["spec"]["metrics"][1]["pods"]["metric"] == {"name": "hashmatch_queue_images"}
    pods = find(documents.every(RENDERED["replicas"]), "StatefulSet")
    assert pods is not None
    assert "replicas" not in pods["spec"]


def container(pod: Manifest) -> Manifest:
    """Return the service's container."""
    (found,) = pod["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("worsen", "fault"),
    [
        (lambda pod: pod["securityContext"].update(runAsUser=0), "user: "),
        (lambda pod: pod["securityContext"].update(runAsNonRoot=False), "user: "),
        (lambda pod: pod["securityContext"].update(seccompProfile={"type": "Unconfined"}), "seccompProfile: "),
        (lambda pod: pod.update(automountServiceAccountToken=True), "a token for the cluster is mounted"),
        (lambda pod: pod.update(hostNetwork=True), "hostNetwork: True"),
        (lambda pod: pod["volumes"].append({"name": "root", "hostPath": {"path": "/"}}), "volume: root"),
        (lambda pod: pod["volumes"].append({"name": "x", "emptyDir": {}}), "volume: x: not bounded memory"),
        (lambda pod: container(pod)["securityContext"].update(capabilities={"add": ["SYS_ADMIN"]}), "hashmatch: secur"),
        (lambda pod: container(pod)["securityContext"].pop("readOnlyRootFilesystem"), "hashmatch: securityContext"),
        (lambda pod: container(pod)["resources"].pop("limits"), "hashmatch: no limit on memory"),
        (lambda pod: container(pod).update(image="hashmatch:latest"), "hashmatch: image: hashmatch:latest"),
        (
            lambda pod: container(pod)["env"].append({"name": "PGPASSWORD", "value": "x"}),
            "hashmatch: PGPASSWORD: a sec",
        ),
        (lambda pod: pod.update(terminationGracePeriodSeconds=25), "terminationGracePeriodSeconds: 25 s is not more"),
        (lambda pod: container(pod).pop("readinessProbe"), "readinessProbe: None"),
        (lambda pod: container(pod).pop("livenessProbe"), "no livenessProbe"),
    ],
)
def test_a_worse_pod_is_seen(worsen: Callable[[Manifest], object], fault: str) -> None:
    manifests = documents.every(RENDERED["single"])
    worsen(pod_of(manifests))
    assert [found for found in faults(yaml.safe_dump_all(manifests)) if found.startswith(fault)] != []


def test_a_worse_network_is_seen() -> None:
    manifests = documents.every(RENDERED["single"])
    policy = find(manifests, "NetworkPolicy")
    assert policy is not None
    policy["spec"]["egress"] = [{}]
    policy["spec"]["ingress"][0].pop("from")
    assert faults(yaml.safe_dump_all(manifests)) == ["anybody may call", "egress: ['any']"]
    manifests.remove(policy)
    assert faults(yaml.safe_dump_all(manifests)) == ["no NetworkPolicy"]


def monitored(manifests: list[Manifest]) -> Manifest:
    """Return what asks the Prometheus operator to read the pages."""
    found = find(manifests, "ServiceMonitor")
    assert found is not None
    spec = found["spec"]
    assert isinstance(spec, dict)
    return spec


def rule_of_metrics(manifests: list[Manifest]) -> Manifest:
    """Return the rule that lets readers of metrics in."""
    policy = find(manifests, "NetworkPolicy")
    assert policy is not None
    rule = policy["spec"]["ingress"][1]
    assert isinstance(rule, dict)
    return rule


@pytest.mark.parametrize(
    ("worsen", "fault"),
    [
        (
            lambda manifests: container(pod_of(manifests))["ports"].pop(),
            "pages on [9464], ports of the pod {}, of its service {'metrics': 9464}",
        ),
        (
            lambda manifests: container(pod_of(manifests))["env"].append(
                {"name": "HASHMATCH_SERVER_PROCESSES", "value": "2"}
            ),
            "pages on [9464, 9465], ports of the pod {'metrics': 9464}",
        ),
        (
            lambda manifests: container(pod_of(manifests))["env"].append(
                {"name": "HASHMATCH_METRICS_LISTEN", "value": ""}
            ),
            "pages on [], ports of the pod",
        ),
        (lambda manifests: monitored(manifests).pop("jobLabel"), "ServiceMonitor: its jobs are ['?']"),
        (lambda manifests: monitored(manifests).update(endpoints=[]), "ServiceMonitor: []"),
        (lambda manifests: rule_of_metrics(manifests).update(ports=[{"port": "page"}]), "NetworkPolicy: ['page']"),
        (lambda manifests: rule_of_metrics(manifests).update(ports=[]), "NetworkPolicy: nobody may read"),
    ],
)
def test_metrics_that_nobody_finds_are_seen(worsen: Callable[[list[Manifest]], object], fault: str) -> None:
    manifests = documents.every(RENDERED["replicas"])
    worsen(manifests)
    assert [found for found in faults(yaml.safe_dump_all(manifests)) if found.startswith(fault)] != []


def test_the_chart_is_of_this_version() -> None:
    chart = documents.one("deploy/helm/hashmatch/Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
