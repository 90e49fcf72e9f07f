"""The chart and the compose files as those who get them judge them: Helm, Kubernetes' and Compose's schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deployment import documents
from tests.deployment.test_kubernetes import configured, faults, pod_of
from tests.repo import tree

pytestmark = pytest.mark.deploy

CHART = str(tree.ROOT / "deploy/helm/hashmatch")
KUBERNETES = ("1.27", "1.31", "1.37")
"""The oldest that the chart takes, one between, and the newest whose schemas there are."""
WITHOUT_SCHEMA = {"ServiceMonitor"}
"""A resource of the Prometheus operator's, not of Kubernetes'."""


def values(name: str) -> dict[str, Any]:
    """Return one of the sets of values that are rendered for everybody."""
    return documents.one(f"deploy/helm/values/{name}.yaml")


def manifests_of(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Render the chart."""
    import helm_python

    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(given)
        texts = chart.render(given, name="hashmatch", namespace="hashmatch")
    return [
        document
        for name, text in sorted(texts.items())
        if not name.endswith(".txt")
        for document in documents.every(text)
    ]


def schema_faults(manifest: dict[str, Any], version: str) -> Iterator[str]:
    """Say what Kubernetes would not take."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{manifest['kind']}: {'.'.join(map(str, error.path))}: {error.message}"


EVERYTHING: dict[str, Any] = {
    "userNamespace": True,
    "processes": 3,
    "priorityClassName": "high",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "image": {"repository": "hashmatch", "digest": f"sha256:{'0' * 64}", "pullSecrets": [{"name": "registry"}]},
    "extraEnv": [{"name": "HASHMATCH_SANDBOX_WORKERS", "value": "4"}],
    "extraVolumes": [{"name": "outlets", "secret": {"secretName": "outlets"}}],
    "extraVolumeMounts": [{"name": "outlets", "mountPath": "/run/secrets/outlets", "readOnly": True}],
    "serviceAccount": {"annotations": {"e": "f"}},
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"g": "h"}},
    "persistence": {"storageClass": "encrypted", "size": "64Gi"},
    "podDisruptionBudget": {"maxUnavailable": "25%"},
}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", ["replicas", "single", "everything", "callers"])
def test_kubernetes_takes_every_manifest(name: str, version: str) -> None:
    callers = {"clientCaSecret": "callers", "probeSecret": "probe"}
    given = {
        "replicas": values("replicas"),
        "single": values("single"),
        "everything": {**values("replicas"), **EVERYTHING},
        "callers": {**values("replicas"), "tls": {**values("replicas")["tls"], **callers}},
    }[name]
    manifests = [manifest for manifest in manifests_of(given) if manifest["kind"] not in WITHOUT_SCHEMA]
    assert {manifest["kind"] for manifest in manifests} >= {"ConfigMap", "Service", "StatefulSet", "NetworkPolicy"}
    assert [fault for manifest in manifests for fault in schema_faults(manifest, version)] == []


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize("enabled", [True, False])
def test_every_process_has_its_page_where_prometheus_looks(processes: int, *, enabled: bool) -> None:
    given = values("replicas")
    metrics = {"enabled": enabled, "port": 9100, "serviceMonitor": {"enabled": enabled}}
    scaling = {**given["autoscaling"], "queueImages": 8 if enabled else 0}
    manifests = manifests_of({**given, "processes": processes, "metrics": metrics, "autoscaling": scaling})
    assert faults(yaml.safe_dump_all(manifests)) == []
    config = configured(manifests)
    assert (config.server.processes, config.metrics.allow_remote) == (processes, enabled)
    assert config.metrics.listen == ("0.0.0.0:9100" if enabled else "")
    names = [port["name"] for port in pod_of(manifests)["containers"][0]["ports"]]
    pages = ["metrics", *(f"metrics-{number}" for number in range(1, processes))]
    assert names == ["grpc", *(pages if enabled else [])]
    assert all(len(name) <= 15 for name in names), "Kubernetes' limit on names of ports"


def test_what_kubernetes_would_not_take_is_seen() -> None:
    (service, *_) = (manifest for manifest in manifests_of(values("single")) if manifest["kind"] == "Service")
    service["spec"]["ports"][0]["port"] = "grpc"
    service["spec"]["portz"] = []
    assert next(schema_faults(service, KUBERNETES[-1])).startswith("Service: spec")


def test_helm_finds_nothing_to_say_and_the_rendered_files_are_the_charts() -> None:
    command = [sys.executable, str(tree.ROOT / "deploy/helm/render.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "who may call? set tls.secretName and access.keysSecret.name, or allowInsecureRemote"),
        ({"tls": {"secretName": "x", "name": "y"}}, "who may call?"),
        ({"allowInsecureRemote": True, "replicas": 2}, "replicas share a catalog: set catalog.url"),
        (
            {"allowInsecureRemote": True, "replicas": 2, "catalog": {"url": "postgresql://h@db/h"}},
            "receipts.keySecret.name: replicas need one key",
        ),
        ({"allowInsecureRemote": True, "tls": {"secretName": "x"}}, "tls.name: the probes need a name"),
        ({"allowInsecureRemote": True, "tls": {"clientCaSecret": "x"}}, "tls.clientCaSecret: callers show"),
        (
            {"allowInsecureRemote": True, "tls": {"secretName": "x", "name": "y", "clientCaSecret": "z"}},
            "tls.probeSecret: with tls.clientCaSecret the probes need a certificate",
        ),
        (
            {"allowInsecureRemote": True, "metrics": {"serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor.enabled without metrics.enabled",
        ),
        (
            {"allowInsecureRemote": True, "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}},
            "networkPolicy.metricsFrom: nobody could read the metrics",
        ),
        (
            {"allowInsecureRemote": True, "processes": 4, "metrics": {"enabled": True, "port": 50050}},
            "metrics.port: the pages of 4 processes would be on ports 50050 to 50053; 50051 is taken",
        ),
        (
            {"allowInsecureRemote": True, "processes": 2, "metrics": {"enabled": True, "port": 65535}},
            "metrics.port: the pages of 2 processes would be on ports 65535 to 65536",
        ),
        (
            {"allowInsecureRemote": True, "config": "[server]\n  processes = 4\n"},
            "config: set the value processes instead of server.processes",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(given: dict[str, Any], message: str) -> None:
    import helm_python

    with pytest.raises(helm_python.HelmError) as refused:
        manifests_of(given)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"replica": 2}, "replica"),
        ({"image": {"repository": "hashmatch", "tag": "latest"}}, "/image/tag"),
        ({"catalog": {"url": "postgresql://hashmatch:secret@db/hashmatch"}}, "/catalog/url"),
        ({"drainSeconds": "20"}, "/drainSeconds"),
        ({"extraEnv": [{"name": "HASHMATCH_SANDBOX_ALLOW_DEGRADED", "value": "true"}]}, "/extraEnv/0/name"),
        ({"extraEnv": [{"name": "HASHMATCH_METRICS_LISTEN", "value": "0.0.0.0:1"}]}, "/extraEnv/0/name"),
        ({"processes": 0}, "/processes"),
        ({"persistence": {"accessModes": ["ReadWriteMany"]}}, "/persistence/accessModes/0"),
    ],
)
def test_values_of_another_shape_are_refused(given: dict[str, Any], field: str) -> None:
    import helm_python

    with pytest.raises(helm_python.HelmError) as refused:
        manifests_of({"allowInsecureRemote": True, **given})
    assert field in str(refused.value)
    assert manifests_of({"allowInsecureRemote": True}) != []


def test_compose_takes_every_file() -> None:
    vendored = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json")
    schema = jsonschema.Draft202012Validator(json.loads(vendored.read_text(encoding="utf-8")))
    paths = sorted(Path(tree.ROOT / "deploy/compose").glob("*.yaml"))
    assert [path.name for path in paths] == ["compose.yaml", "replicas.yaml", "tls.yaml"]
    found = {path.name: list(schema.iter_errors(documents.parsed(path.read_text(encoding="utf-8")))) for path in paths}
    assert found == {path.name: [] for path in paths}
    worse = documents.one("deploy/compose/compose.yaml")
    worse["services"]["hashmatch"]["memlimit"] = "2g"
    assert [error.message for error in schema.iter_errors(worse)] != []
