"""The algorithm table and its plug-ins."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from hashmatch.errors import BadConfig, UnknownAlgorithm
from hashmatch.hashing import algorithms
from hashmatch.model import AlgorithmKind

Install = Callable[[str, str], None]

PLUGIN = """
from hashmatch.model import Algorithm, AlgorithmKind

class MeanColour:
    algorithm = Algorithm("{name}", AlgorithmKind.{kind}, {bits}, "{name}", "mean colour", "this test")

    def compute(self, image):
        return bytes(image.resize((1, 1)).getpixel((0, 0)))

plugin = MeanColour()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install distributions with one algorithm plug-in each, for one test."""
    installed: list[str] = []

    def add(module: str, source: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hashmatch.algorithms]\n{module} = {module}:plugin\n")
        installed.append(module)

    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield add
    for module in installed:
        sys.modules.pop(module, None)
    forget()


def forget() -> None:
    """Read the installed plug-ins afresh."""
    algorithms.plugins.cache_clear()
    algorithms.table.cache_clear()
    algorithms.searchable.cache_clear()


def test_the_table_lists_perceptual_algorithms_then_digests_then_opaque_ones_in_a_fixed_order() -> None:
    assert algorithms.perceptual_names() == ("pdq", "pdq-nearest512", "phash", "dhash", "ahash", "whash")
    assert algorithms.digest_names() == ("md5", "sha1", "sha256")
    assert algorithms.exact_names() == ("md5", "sha1", "sha256", "photodna")
    assert algorithms.computed_names() == algorithms.perceptual_names() + algorithms.digest_names()
    assert tuple(algorithms.table()) == algorithms.perceptual_names() + algorithms.exact_names()


def test_what_is_opaque_is_compared_by_equality_and_has_no_quality() -> None:
    row = algorithms.algorithm("photodna")
    assert (row.kind, row.kind.by_equality, row.size_bytes, row.has_quality) == (AlgorithmKind.OPAQUE, True, 144, False)
    assert not AlgorithmKind.PERCEPTUAL.by_equality


def test_both_pdq_dialects_share_one_space_and_nothing_else_shares_any() -> None:
    spaces = [row.space for row in algorithms.table().values()]
    assert spaces.count("pdq") == 2
    assert len(set(spaces)) == len(spaces) - 1
    assert [row.name for row in algorithms.table().values() if row.has_quality] == ["pdq", "pdq-nearest512"]


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        algorithms.table()["pdq"] = algorithms.table()["md5"]  # type: ignore[index]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    expected = (
        "no algorithm 'pdqq' is installed; there are pdq, pdq-nearest512, phash, dhash, ahash, whash, "
        "md5, sha1, sha256, photodna"
    )
    with pytest.raises(UnknownAlgorithm, match=f"^{expected}$"):
        algorithms.algorithm("pdqq")


def test_the_table_loads_no_pillow_numpy_or_numba() -> None:
    check = (
        "import sys; from hashmatch.hashing import algorithms, digests; algorithms.table(); digests.digest(b''); "
        "print(sorted({'PIL', 'numpy', 'numba', 'imagehash'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_stands_between_the_built_ins_and_the_digests(install: Install) -> None:
    install("mean_colour", PLUGIN.format(name="mean", kind="PERCEPTUAL", bits=24))
    assert algorithms.perceptual_names()[-1] == "mean"
    assert tuple(algorithms.table())[6:] == ("mean", "md5", "sha1", "sha256", "photodna")
    assert algorithms.algorithm("mean").kind is AlgorithmKind.PERCEPTUAL


def test_plugins_are_sorted_by_name_not_by_installation(install: Install) -> None:
    install("a_module", PLUGIN.format(name="zeta", kind="PERCEPTUAL", bits=24))
    install("b_module", PLUGIN.format(name="alpha", kind="PERCEPTUAL", bits=24))
    assert algorithms.perceptual_names()[6:] == ("alpha", "zeta")


def test_a_plugin_may_not_take_a_built_in_name(install: Install) -> None:
    install("impostor", PLUGIN.format(name="pdq", kind="PERCEPTUAL", bits=24))
    message = (
        "the algorithm plug-in impostor:plugin of impostor calls itself 'pdq', which is taken by hashmatch itself; "
        "uninstall one of the two"
    )
    with pytest.raises(BadConfig, match=re.escape(message)):
        algorithms.table()


def test_two_plugins_of_one_name_are_both_named_in_the_message(install: Install) -> None:
    install("first", PLUGIN.format(name="mean", kind="PERCEPTUAL", bits=24))
    install("second", PLUGIN.format(name="mean", kind="PERCEPTUAL", bits=24))
    with pytest.raises(BadConfig, match=r"plug-in (first|second):plugin .* taken by (first|second):plugin"):
        algorithms.table()


def test_a_plugin_that_cannot_be_imported_stops_the_process_with_its_name(install: Install) -> None:
    install("broken", "raise RuntimeError('no licence file')")
    message = (
        "the algorithm plug-in broken:plugin of broken cannot be imported (RuntimeError: no licence file); "
        "fix or uninstall it"
    )
    with pytest.raises(BadConfig, match=re.escape(message)):
        algorithms.table()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("plugin = 5", "needs an `algorithm` (hashmatch.model.Algorithm) and a `compute(image)`, got 5"),
        (
            PLUGIN.format(name="mean", kind="PERCEPTUAL", bits=20),
            "must be of kind perceptual with a positive multiple of 8 bits, got perceptual with 20",
        ),
        (
            PLUGIN.format(name="crc", kind="DIGEST", bits=32),
            "must be of kind perceptual with a positive multiple of 8 bits, got digest with 32",
        ),
    ],
)
def test_a_plugin_of_the_wrong_shape_is_refused(install: Install, source: str, problem: str) -> None:
    install("odd", source)
    with pytest.raises(BadConfig, match=re.escape(f"the algorithm plug-in odd:plugin of odd {problem}")):
        algorithms.table()


def test_the_example_in_the_documentation_is_a_plugin_that_works(install: Install) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "formats.md").read_text()
    source = page.split("```python\n")[1].split("```")[0]
    install("mean_colour", source)
    row = algorithms.algorithm("mean-colour")
    value = algorithms.plugins()["mean-colour"].compute(Image.new("RGB", (8, 8), (1, 2, 3)))
    assert value == b"\1\2\3"
    assert len(value) == row.size_bytes
