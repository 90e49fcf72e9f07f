"""What a program wrote is what it would write today."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.repo import tree


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("proto_generate", tree.ROOT / "proto" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_protobuf_modules_are_those_of_the_proto_files(generator: ModuleType) -> None:
    assert generator.differences() == []


def test_stale_missing_and_left_over_modules_are_seen(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hashmatch" / "v1"
    shutil.copytree(tree.ROOT / "hashmatch" / "v1", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "types_pb2.py").write_text("# edited by hand\n")
    (package / "status_pb2.pyi").unlink()
    (package / "removed_pb2.py").touch()
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    assert generator.differences() == ["removed_pb2.py", "status_pb2.pyi", "types_pb2.py"]
