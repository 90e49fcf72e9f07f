"""What was promised of the service. Pure; ``goals.py`` has the rules.

What this module deliberately does not do: it measures nothing. Beside each goal stands what bears on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hashmatch.bench.goals import TIMES, Goal, Results, at, quotient, scaled

PEER_PER_S = 68.0
"""Images per second of the strongest peer on two idle cores, extrapolated (issue 8)."""


REACHES: Mapping[str, str] = {"_plain": "within the match distance", "": "with the review band"}
"""How far lookups reach, by the ending of their figures' name: the peers do the one, the default policy the other."""


def _beside(**figures: Callable[[Results], float | None]) -> Callable[[Results], Mapping[str, float | None]]:
    named = {name.replace("_", " "): figure for name, figure in figures.items()}
    return lambda results: {name: figure(results) for name, figure in named.items()}


GOALS: tuple[Goal, ...] = (
    Goal("images through the service, % of the pipeline in process on the cores left", 90, " %",
         at("images", "percent_of_pipeline"), at_least=True,
         beside=_beside(service_per_s=at("images", "service_per_s"), pipeline_per_s=at("images", "pipeline_per_s"),
                        echo_per_s=at("echo", "per_s"), cores_of_the_caller=at("images", "caller_cores"))),
    Goal("images through the service, doing what the strongest peer does, against it", 6, TIMES,
         scaled(at("images_plain", "per_s"), 1 / PEER_PER_S), at_least=True,
         beside=_beside(per_s=at("images_plain", "per_s"))),
    Goal("images through the service, all that it does by default, against the strongest peer", 6, TIMES,
         scaled(at("images", "service_per_s"), 1 / PEER_PER_S), at_least=True),
    *(
        Goal(f"lookups of one hash per call, {what}", 4_000, " per s", at(f"unary{way}", "per_s"), at_least=True,
             beside=_beside(echo_per_s=at("echo_small", "per_s"),
                            cores_of_the_caller=at(f"unary{way}", "caller_cores")))
        for way, what in REACHES.items()
    ),
    *(
        Goal(f"lookups in batches, {what}", 60_000, " hashes per s", at(f"batched{way}", "hashes_per_s"),
             at_least=True, beside=_beside(cores_of_the_caller=at(f"batched{way}", "caller_cores")))
        for way, what in REACHES.items()
    ),
    Goal("p99 by p50 at 70 % load", 3, TIMES,
         quotient(at("steady", "outcomes", "ok", "p99"), at("steady", "outcomes", "ok", "p50")),
         beside=_beside(p50_ms=at("steady", "outcomes", "ok", "p50"),
                        sender_late_p99_ms=at("steady", "sender_late_p99_ms"))),
    Goal("a refusal under twice the load, median", 10, " ms", at("overload", "outcomes", "RESOURCE_EXHAUSTED", "p50"),
         beside=_beside(p99_ms=at("overload", "outcomes", "RESOURCE_EXHAUSTED", "p99"),
                        sender_late_p99_ms=at("overload", "sender_late_p99_ms"))),
    Goal("p99 of accepted calls under twice the load", 1_500, " ms", at("overload", "outcomes", "ok", "p99"),
         beside=_beside(p50_ms=at("overload", "outcomes", "ok", "p50"))),
    Goal("from start to serving, after the first run", 2, " s", at("start", "again_s"),
         beside=_beside(first_run_s=at("start", "first_s"), processes_s=at("start", "processes_s"),
                        importing_s=at("start", "importing_s"))),
)  # fmt: skip
"""In the order of reports."""
