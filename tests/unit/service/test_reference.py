"""docs/reference/grpc.md and docs/guide/client.md say what the code does."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from hashmatch.client.aio import DEFAULT_TIMEOUT_S, AsyncClient
from hashmatch.client.retry import RetryPolicy
from hashmatch.service import curation, detection, guard
from hashmatch.service.health import ALWAYS, READINESS
from hashmatch.v1 import detection_pb2, hashset_pb2, hotline_pb2, report_pb2, status_pb2

ROOT = Path(__file__).resolve().parents[3]
GRPC = (ROOT / "docs/reference/grpc.md").read_text(encoding="utf-8")
CLIENT = (ROOT / "docs/guide/client.md").read_text(encoding="utf-8")


def methods() -> dict[str, str]:
    """Return method and service of every RPC."""
    files = (detection_pb2, hashset_pb2, hotline_pb2, report_pb2, status_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    return {method.name: service.name for service in services for method in service.methods}


def test_the_table_of_methods_is_complete_and_says_which_are_tried_again() -> None:
    rows = re.findall(r"^\| `(\w+Service)/(\w+)` \|.*\| (yes|no|with a key) \|$", GRPC, re.MULTILINE)
    assert {method: service for service, method, _ in rows} == methods()
    code = "".join(inspect.getsource(item) for item in AsyncClient.__mro__ if item.__module__.startswith("hashmatch."))
    repeated = re.findall(r"_repeatable\(self\._services\.\w+\.(\w+)", code)
    assert {method for _, method, again in rows if again == "yes"} == set(repeated)
    keyed = re.findall(r"_keyed\(self\._services\.\w+\.(\w+)", code)
    assert {method for _, method, again in rows if again == "with a key"} == set(keyed)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"A text is at most {guard.MAX_MESSAGE_BYTES} bytes long." in GRPC
    assert f"| {detection.MAX_ID_LENGTH} printable characters |" in GRPC
    assert f"| imports and exports at once | {curation._STREAMS}; more wait |" in GRPC
    assert f"`timeout_s` of the client ({DEFAULT_TIMEOUT_S:g} s)" in CLIENT
    assert RetryPolicy().attempts == 1 + 3
    assert "at most three times" in CLIENT


def test_every_health_service_is_named() -> None:
    assert all(f"`{name}`" in GRPC for name in (READINESS, *ALWAYS))


def test_every_example_is_python_and_calls_methods_that_exist() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", CLIENT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    called = set()
    for block in blocks:
        tree = compile(block, "client.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(tree, ast.AST)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "client":
                called.add(node.attr)
    assert called >= {"detect", "detect_stream", "detect_hashes", "rescan", "import_entries", "withdraw_entry"}
    assert called >= {"create_report", "send_report", "list_reports", "relay_file", "confirm_match", "statistics"}
    assert all(hasattr(AsyncClient, name) for name in called)
