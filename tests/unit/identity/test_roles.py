"""The table of methods has a row for every method of every service, and no other."""

from __future__ import annotations

import importlib
import pkgutil

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import hashmatch.v1
from hashmatch.identity.roles import METHODS, PER_MESSAGE, Role


def offered() -> dict[str, bool]:
    """Every method of every descriptor that there is, and whether its requests are a stream."""
    ours = [
        importlib.import_module(f"hashmatch.v1.{module.name}").DESCRIPTOR
        for module in pkgutil.iter_modules(hashmatch.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    files = [*ours, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR]
    return {
        f"/{service.full_name}/{method.name}": method.client_streaming
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert set(METHODS) == set(offered())
    assert len(METHODS) > 30


def test_only_health_is_open() -> None:
    assert sorted(method for method, roles in METHODS.items() if not roles) == [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
    ]


def test_messages_are_counted_of_streams_only() -> None:
    assert {method: offered()[method] for method in PER_MESSAGE} == dict.fromkeys(PER_MESSAGE, True)


def test_what_tells_how_near_something_was_needs_detail() -> None:
    assert METHODS["/hashmatch.v1.ReportService/RenderReport"] == {Role.REPORT, Role.DETAIL}
