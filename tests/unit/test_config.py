"""Configuration: precedence, and an error for every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch import config
from hashmatch.errors import BadConfig
from hashmatch.model import Fidelity, Views


def loaded(tmp_path: Path, text: str, **environ: str) -> config.Config:
    path = tmp_path / "hashmatch.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environ)


def test_environment_over_file_over_default(tmp_path: Path) -> None:
    text = "[server]\nlisten = '127.0.0.1:1'\ndrain_s = 3\n[sandbox]\nworkers = 5\n"
    result = loaded(tmp_path, text, HASHMATCH_SERVER_LISTEN="127.0.0.1:2", HASHMATCH_SANDBOX_ALLOW_DEGRADED="true")
    assert (result.server.listen, result.server.drain_s) == ("127.0.0.1:2", 3)
    assert (result.sandbox.workers, result.sandbox.allow_degraded) == (5, True)
    assert result.decode.max_pixels == 50_000_000


def test_a_list_is_an_array_or_text_with_commas(tmp_path: Path) -> None:
    text = "[hotline]\nports = [80, 443, 8_080]\nallow_networks = []\n"
    result = loaded(tmp_path, text, HASHMATCH_HOTLINE_NAMESERVERS="192.0.2.1, 192.0.2.2#5353")
    assert result.hotline.ports == (80, 443, 8080)
    assert result.hotline.allow_networks == ()
    assert result.hotline.nameservers == ("192.0.2.1", "192.0.2.2#5353")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hotline]\nports = 80", "hotline.ports: expected a list of int, got 80"),
        ("[hotline]\nports = [80, 'https']", "hotline.ports[1]: expected int, got 'https'"),
        ("[serve]\nlisten = 'x'", "serve: no such setting; did you mean server?"),
        ("[server]\nlistn = 'x'", "server.listn: no such setting; did you mean listen?"),
        ("[decode]\nmax_pixels = 0", "decode.max_pixels: 0 is out of range; 25 to 500000000 pixels"),
        ("[decode]\nmax_pixels = '5 million'", "decode.max_pixels: expected int, got '5 million'"),
        ("[decode]\nmax_pixels = true", "decode.max_pixels: expected int, got True"),
        ("[sandbox]\nallow_degraded = 'maybe'", "sandbox.allow_degraded: expected bool, got 'maybe'"),
        ("server = 5", "server: expected a table"),
        (
            "[policy.algorithms.pdq]\nmatch = 31",
            "policy.algorithms.pdq.match: no such setting; "  # noqa: ISC004  one text
            "there are match_distance, possible_distance, possible_distance_max, allow_distance, "
            "min_quality",
        ),
        (
            "[policy.algorithms.pdq]\nmatch_distance = 50",
            "policy.algorithms.pdq.possible_distance: 40 must be at least match_distance (50)",
        ),
        (
            "[policy.algorithms.pdq]\npossible_distance_max = 30",
            "policy.algorithms.pdq.possible_distance_max: 30 must be at least match_distance (31), or -1",
        ),
        (
            "[policy]\nreview_false_rate = 0",
            "policy.review_false_rate: 0.0 is out of range; 1e-15 to 1 values per picture",
        ),
        (
            "[policy]\nreview_false_rate = nan",
            "policy.review_false_rate: nan is out of range; 1e-15 to 1 values per picture",
        ),
        ("[policy]\nreview_false_rate = 'rare'", "policy.review_false_rate: expected float, got 'rare'"),
        ("[policy.sets]\nx = 'loud'", "policy.sets: expected set names with one of enforced, shadow, allow"),
        (
            "[decode]\nmax_bytes = 40000000",
            "server.max_message_bytes: 34603008 must exceed decode.max_bytes (40000000), "  # noqa: ISC004  one text
            "or the largest allowed image cannot be sent",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, text)
    assert caught.value.message == message


def test_broken_toml_and_missing_file_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"hashmatch\.toml is not valid TOML: "):
        loaded(tmp_path, "[server")
    with pytest.raises(BadConfig, match=r"cannot read .*absent\.toml: No such file or directory"):
        config.load(tmp_path / "absent.toml", {})


def test_environment_variables_that_name_nothing_are_refused() -> None:
    with pytest.raises(BadConfig, match=r"HASHMATCH_SERVR_LISTEN names no setting; `hashmatch config show` lists them"):
        config.load(None, {"HASHMATCH_SERVR_LISTEN": "x"})
    assert config.load(None, {"HASHMATCH_CONFIG": "x", "HASHMATCH_DATA": "y"}) == config.Config()


def test_algorithm_policies_are_laid_over_the_defaults(tmp_path: Path) -> None:
    text = "[policy.algorithms.pdq]\npossible_distance = 45\n[policy.algorithms.ahash]\npossible_distance = 0\n"
    policies = loaded(tmp_path, text).policy.algorithms
    assert (policies["pdq"].match_distance, policies["pdq"].possible_distance) == (31, 45)
    assert (policies["ahash"].possible_distance, policies["dhash"].possible_distance) == (0, 2)


def test_a_possible_distance_in_the_file_is_fixed_unless_a_widest_is_given_too(tmp_path: Path) -> None:
    fixed = loaded(tmp_path, "[policy.algorithms.pdq]\npossible_distance = 45\n").policy.algorithms
    assert (fixed["pdq"].possible_distance_max, fixed["pdq-canonical"].possible_distance_max) == (-1, 40)
    text = "[policy.algorithms.pdq]\npossible_distance = 45\npossible_distance_max = 48\n"
    assert loaded(tmp_path, text).policy.algorithms["pdq"].possible_distance_max == 48


def test_a_rate_is_a_number_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[policy]\nreview_false_rate = 1\n").policy.review_false_rate == 1.0
    assert config.load(None, {"HASHMATCH_POLICY_REVIEW_FALSE_RATE": "2.5e-4"}).policy.review_false_rate == 2.5e-4


def test_rows_say_where_each_value_came_from(tmp_path: Path) -> None:
    path = tmp_path / "hashmatch.toml"
    path.write_text("[server]\ndrain_s = 3\n[policy.algorithms.pdq]\nmatch_distance = 20\n", encoding="utf-8")
    environ = {"HASHMATCH_SANDBOX_QUEUE": "7"}
    rows = {row.name: row for row in config.rows(config.load(path, environ), path, environ)}
    assert (rows["server.drain_s"].value, rows["server.drain_s"].origin) == (3, "file")
    assert (rows["sandbox.queue"].value, rows["sandbox.queue"].origin) == (7, "environment")
    assert (rows["decode.max_bytes"].value, rows["decode.max_bytes"].origin) == (32 << 20, "default")
    distance = rows["policy.algorithms.pdq.match_distance"]
    assert (distance.value, distance.origin) == (20, "file")


def test_every_setting_gives_a_reason_and_every_number_a_unit() -> None:
    for row in config.rows(config.Config(), None, {}):
        assert row.why, row.name
        if isinstance(row.value, int) and not isinstance(row.value, bool):
            assert row.unit, row.name


def test_views_are_one_of_three_levels() -> None:
    assert config.load(None, {}).policy.views is Views.CHEAP
    assert config.load(None, {"HASHMATCH_POLICY_VIEWS": "full"}).policy.views is Views.FULL
    with pytest.raises(BadConfig, match=r"^policy\.views: expected one of none, cheap, full, got 'most'$"):
        config.load(None, {"HASHMATCH_POLICY_VIEWS": "most"})


def test_fidelity_is_exact_unless_screening_is_asked_for(tmp_path: Path) -> None:
    assert config.load(None, {}).decode.fidelity is Fidelity.EXACT
    decode = loaded(tmp_path, "[decode]\nfidelity = 'screen'\nscreen_side_px = 1024\n").decode
    assert (decode.fidelity, decode.screen_side_px) == (Fidelity.SCREEN, 1_024)
    with pytest.raises(BadConfig, match=r"^decode\.fidelity: expected one of exact, screen, got 'fast'$"):
        config.load(None, {"HASHMATCH_DECODE_FIDELITY": "fast"})
    with pytest.raises(BadConfig, match=r"^decode\.fidelity: expected one of exact, screen, got \['screen'\]$"):
        loaded(tmp_path, "[decode]\nfidelity = ['screen']\n")


def test_limits_of_a_kind_of_view_are_laid_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "hashmatch.toml"
    path.write_text("[policy.view_limits.trim]\npossible_distance = 35\n")
    limits = config.load(path, {}).policy.view_limits
    assert (limits["trim"].match_distance, limits["trim"].possible_distance) == (31, 35)
    assert limits["cell"].possible_distance == 31
    path.write_text("[policy.view_limits.crop]\nmatch_distance = 3\n")
    with pytest.raises(BadConfig, match=r"^policy\.view_limits\.crop: no such kind of view; there are invert, black, "):
        config.load(path, {})
    path.write_text("[policy.view_limits.cell]\npossible_distance = 30\n")
    with pytest.raises(BadConfig, match=r"^policy\.view_limits\.cell\.possible_distance: 30 must be at least"):
        config.load(path, {})
