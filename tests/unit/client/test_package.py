"""What importing the SDK loads, what its generated half is, and what its objects say of themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.client import AsyncClient, Client, StreamAnswer, generate
from hashmatch.errors import HashmatchError, ServiceUnavailable

HEAVY = {"numba", "faiss", "PIL", "sqlite3", "numpy", "imagehash", "click", "rich"}


def modules_loaded_by(statement: str) -> set[str]:
    script = f"import json, sys; {statement}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement", ["import hashmatch.client", "from hashmatch import AsyncClient, Client", "import hashmatch"]
)
def test_importing_the_sdk_loads_nothing_heavy(statement: str) -> None:
    assert modules_loaded_by(statement) & HEAVY == set()


def test_the_positive_control_finds_what_is_heavy() -> None:
    assert {"PIL", "numpy"} <= modules_loaded_by("import PIL.Image, numpy")


@pytest.mark.parametrize("name", generate.FILES)
def test_the_committed_synchronous_client_is_what_would_be_generated_today(name: str) -> None:
    committed = Path(generate.__file__).with_name(generate.FILES[name][0]).read_text(encoding="utf-8")
    assert committed == generate.generate(name)


@pytest.mark.parametrize("name", generate.FILES)
def test_nothing_asynchronous_is_left_in_the_synchronous_client(name: str) -> None:
    code = generate.generate(name).partition('"""\n\nfrom __future__')[2]
    assert [line for line in code.splitlines() if "async" in line.lower() or "await" in line.lower()] == []


def test_a_stale_synchronous_client_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in generate.FILES:
        shutil.copy(Path(generate.__file__).with_name(name), tmp_path)
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    (tmp_path / "sync.py").write_text("# edited by hand\n")
    assert generate.main() == 1
    assert capsys.readouterr().err == "hashmatch/client/sync.py differs from aio.py; run `make client`\n"


def test_text_that_the_generator_no_longer_finds_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(generate.__file__).with_name("aio.py")).read_text(encoding="utf-8")
    (tmp_path / "aio.py").write_text(text.replace("The asynchronous client", "A client"), encoding="utf-8")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=r"which aio\.py no longer contains"):
        generate.generate("aio.py")


async def test_a_client_says_where_it_stands() -> None:
    client = AsyncClient("127.0.0.1:1")
    assert repr(client) == "<AsyncClient 127.0.0.1:1: new, 0 calls, 0 retries>"
    async with client:
        assert repr(client) == "<AsyncClient 127.0.0.1:1: open, 0 calls, 0 retries>"
    assert repr(client) == "<AsyncClient 127.0.0.1:1: closed, 0 calls, 0 retries>"
    await client.close()
    with Client("127.0.0.1:1") as synchronous:
        assert repr(synchronous) == "<Client 127.0.0.1:1: open, 0 calls, 0 retries>"


async def test_a_client_outside_its_block_says_how_to_use_it() -> None:
    client = AsyncClient("127.0.0.1:1")
    with pytest.raises(ServiceUnavailable, match=r"not open; use it inside `async with AsyncClient\(\.\.\.\)"):
        await client.detect(b"")
    async with client:
        pass
    with pytest.raises(ServiceUnavailable, match="this client is closed"):
        await client.hash_sets()
    with pytest.raises(ServiceUnavailable, match=r"not open; use it inside `with Client\(\.\.\.\) as client:`"):
        Client("127.0.0.1:1").detect(b"")


def test_an_answer_that_is_neither_is_an_error() -> None:
    with pytest.raises(HashmatchError, match="item 'a' has neither a report nor an error"):
        StreamAnswer("a").unwrap()
