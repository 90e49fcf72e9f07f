"""The dashboard, the alerts and the recording rules name what a service shows, and every alert says what to do.

What a running service shows is held against the same table in tests/integration/test_service_metrics.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hashmatch.telemetry.families import FAMILIES, PROCESS, Family, Kind
from tests.repo import tree
from tests.repo.test_docs import anchors

RULES = "deploy/prometheus/rules.yml"
ALERTS = "deploy/prometheus/alerts.yml"
DASHBOARD = "deploy/grafana/hashmatch.json"
RUNBOOK = "docs/guide/operations.md"
SEVERITIES = frozenset({"critical", "warning", "info"})

NAME = re.compile(r"(?<![\w\"'$])([a-zA-Z_:][\w:]*)\b")
STRING = re.compile(r"\"[^\"]*\"")
LABELS_OF = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
WORDS = frozenset(
    {
        "sum", "min", "max", "count", "rate", "increase", "histogram_quantile", "and", "unless", "or", "offset",
        "by", "on", "label_values",
    }
)  # fmt: skip
ADDED = frozenset({"job", "instance", "le"})
"""Labels that Prometheus adds, and those of buckets."""


def shown_names(family: Family) -> Iterator[str]:
    """Names of the series of one metric."""
    if family.kind is Kind.HISTOGRAM:
        yield from (f"{family.name}_{part}" for part in ("bucket", "sum", "count"))
    else:
        yield family.name


SHOWN = {name: family for family in (*FAMILIES, *PROCESS) for name in shown_names(family)}


def rules(text: str) -> list[dict[str, Any]]:
    """Every rule of a file, in its order."""
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def queries(text: str) -> Iterator[str]:
    """Every query of a dashboard."""
    board = json.loads(text)
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))
    yield from (item["query"] for item in board["templating"]["list"] if item["type"] == "query")


def metrics_in(query: str) -> set[str]:
    """Names of metrics in a query, whatever else is in it left out."""
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r"\{[^}]*\}", "", LABELS_OF.sub("", STRING.sub('""', query))))
    arguments = re.sub(r"(label_values\([^,]*), \w+\)", r"\1)", bare)
    return {
        name
        for name in NAME.findall(arguments)
        if name not in WORDS and not re.fullmatch(r"\d+\w*", name) and name != "1d"
    }


def unknown(query: str, recorded: set[str]) -> Iterator[str]:
    """Metrics and labels in a query that there are not."""
    for name in sorted(metrics_in(query)):
        if name not in SHOWN and name not in recorded and name != "up":
            yield name
    for name, labels in SELECTOR.findall(re.sub(r"\[[^\]]*\]", "", query)):
        if name in SHOWN:
            given = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
            yield from (f"{name}{{{label}}}" for label in sorted(given - set(SHOWN[name].labels) - ADDED))


RECORDED = {rule["record"] for rule in rules(tree.read(RULES))}


@pytest.mark.parametrize("path", [ALERTS, RULES])
def test_rules_name_what_there_is(path: str) -> None:
    found = rules(tree.read(path))
    assert len(found) > 5
    assert [wrong for rule in found for wrong in unknown(rule["expr"], RECORDED)] == []


def test_the_dashboard_names_what_there_is() -> None:
    found = list(queries(tree.read(DASHBOARD)))
    assert len(found) > 30
    assert [wrong for query in found for wrong in unknown(query, RECORDED)] == []


def test_the_dashboard_shows_every_metric() -> None:
    named = {name for query in queries(tree.read(DASHBOARD)) for name in metrics_in(query)}
    of_rules = {rule["record"]: metrics_in(rule["expr"]) for rule in rules(tree.read(RULES))}
    reached = named | {name for rule in named & set(of_rules) for name in of_rules[rule]}
    reached |= {name for rule in rules(tree.read(ALERTS)) for name in metrics_in(rule["expr"])}
    left_out = {family.name for family in FAMILIES if not reached & set(shown_names(family))}
    assert left_out == {"hashmatch_audit_sequence"}  # a number to look up, not one to watch


def faults(alert: dict[str, Any], headings: set[str]) -> Iterator[str]:
    """Yield what an alert lacks."""
    if alert.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"{alert['alert']}: no severity"
    if not re.fullmatch(r"\d+[smhd]", alert.get("for", "")):
        yield f"{alert['alert']}: no time that it must last"
    about = alert.get("annotations", {})
    if not about.get("summary"):
        yield f"{alert['alert']}: no summary"
    path, _, anchor = about.get("runbook_url", "").partition("#")
    if path != RUNBOOK or anchor not in headings or anchor != alert["alert"].lower():
        yield f"{alert['alert']}: no runbook of its own"


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    headings = anchors(tree.read(RUNBOOK))
    alerts = rules(tree.read(ALERTS))
    assert [fault for alert in alerts for fault in faults(alert, headings)] == []
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    wanted = {alert["alert"].lower() for alert in alerts}
    assert {name for name in headings if name.startswith("hashmatch")} == wanted


def test_panels_have_ids_places_and_sources() -> None:
    panels = json.loads(tree.read(DASHBOARD))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            assert panel["description"]


def test_what_there_is_not_is_seen() -> None:
    query = 'sum by (nothing) (rate(hashmatch_request_total{method="x"}[5m])) / hashmatch_requests_total{verb=~"a"}'
    assert list(unknown(query, set())) == ["hashmatch_request_total", "hashmatch_requests_total{verb}"]
    assert list(unknown("hashmatch:made_up > 0 and hashmatch_ready", RECORDED)) == ["hashmatch:made_up"]
    bad = {"alert": "HashmatchX", "annotations": {"runbook_url": f"{RUNBOOK}#hashmatchy"}}
    assert list(faults(bad, {"hashmatchy"})) == [
        "HashmatchX: no severity",
        "HashmatchX: no time that it must last",
        "HashmatchX: no summary",
        "HashmatchX: no runbook of its own",
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules() -> None:
    command = ["promtool", "check", "rules", *(str(tree.ROOT / path) for path in (RULES, ALERTS))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
