"""Lint the chart, and render it for people without Helm: ``values/X.yaml`` becomes ``deploy/kubernetes/X.yaml``.

    python deploy/helm/render.py            # write
    python deploy/helm/render.py --check    # exit 1 when the chart has a fault or a file is not what would be written

Theory of operation
-------------------
Helm is a Go program; ``helm-python-sdk`` (the extra ``deploy``) is Helm's own library behind ctypes, so templates,
schema and lint rules are Helm's and not an imitation's. Nothing is installed and no cluster is asked.

What this module deliberately does not do: it judges no manifest; tests/deployment does.
"""

# ruff: noqa: INP001 - a program beside the chart, not of a package

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import helm_python
import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE / "hashmatch"
RENDERED = HERE.parent / "kubernetes"
NAME = "hashmatch"
"""Of the release and of its namespace."""
WARNING = 2
"""Severity in Helm's findings from which on they count."""


def faults(values: dict[str, object]) -> Iterator[str]:
    """Say what ``helm lint --strict`` finds."""
    for finding in helm_python.lint(str(CHART), values, strict=True)["messages"]:
        if finding["severity"] >= WARNING:
            yield f"{finding['path']}: {finding['error']}"


def rendered(values: dict[str, object]) -> str:
    """Return all manifests in one text, in the order of their templates."""
    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        manifests = chart.render(values, name=NAME, namespace=NAME)
    texts = [text.strip() for name, text in sorted(manifests.items()) if not name.endswith("NOTES.txt")]
    return "".join(f"---\n{text}\n" for text in texts if text)


def written(source: Path) -> str:
    """Return what belongs into the file of one set of values."""
    values = yaml.safe_load(source.read_text(encoding="utf-8"))
    where = source.relative_to(HERE.parent)
    return f"# Made from deploy/{where} by deploy/helm/render.py; change that.\n{rendered(values)}"


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    wrong = []
    for source in sorted((HERE / "values").glob("*.yaml")):
        wrong += [f"{source.name}: {fault}" for fault in faults(yaml.safe_load(source.read_text(encoding="utf-8")))]
        target, text = RENDERED / source.name, written(source)
        if arguments != ["--check"]:
            target.write_text(text, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            wrong.append(f"{target.name}: not what the chart renders; run deploy/helm/render.py")
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return min(len(wrong), 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
