"""One comparison: the same pictures through every system, equality first and then time.

Theory of operation
-------------------
:func:`compare` asks every system that promises PDQ for every picture and holds the answers against each other; a
difference in one bit is an error and nothing is timed. Screening promises to be within so many bits and is held to
that. Then all are timed in one process, on one thread, taking turns (``timing.py``), and so are the stages of our own
way from bytes to hashes.

What this module deliberately does not do: it prints nothing and judges nothing; ``hash_goals.py`` does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hashmatch.bench.hash_pictures import Sample
from hashmatch.bench.hash_stages import stages
from hashmatch.bench.hash_systems import FAMILIES, Answer, HashSystem, Source
from hashmatch.bench.systems import Skipped
from hashmatch.bench.timing import Effort, Timing, Way, measure
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.kernels import pdq as kernel
from hashmatch.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case measured from one source; names are those of systems.

    ``same_bits`` are those that agreed, ``most_bits`` the most that one of the others was off.
    """

    case: str
    source: Source
    pictures: int
    timings: Mapping[str, Timing]
    same_bits: tuple[str, ...]
    most_bits: Mapping[str, int]
    stages: Mapping[str, Timing]
    exact_share: float

    @property
    def name(self) -> str:
        """Key of this row for the goals, e.g. ``512x512 pixels``."""
        return f"{self.case} {self.source}"

    def as_json(self) -> dict[str, object]:
        """Everything, as ``hashmatch bench hash --json`` prints it."""
        times = {name: timing.median_us for name, timing in self.timings.items()}
        own = times.get("ours")
        return {
            "case": self.case,
            "source": self.source.value,
            "pictures": self.pictures,
            "us_per_image": times,
            "interval_us": {name: [timing.low_us, timing.high_us] for name, timing in self.timings.items()},
            "images_per_second": {name: 1e6 / took for name, took in times.items()},
            "ratio_vs": {name: took / own for name, took in times.items()} if own else {},
            "same_bits": list(self.same_bits),
            "most_bits": dict(self.most_bits),
            "exact_share": self.exact_share,
            "stages_us": {name: timing.median_us for name, timing in self.stages.items()},
            "cpu_share": {name: timing.cpu_share for name, timing in self.timings.items()},
            "samples": {name: timing.samples for name, timing in self.timings.items()},
        }


def systems_of(families: Iterable[str]) -> tuple[list[HashSystem], dict[str, str]]:
    """Prepare families and return their systems, and the reasons why others are left out.

    Raises
    ------
    BadInput
        There is no family of that name.

    """
    systems: list[HashSystem] = []
    skipped: dict[str, str] = {}
    for name in families:
        if name not in FAMILIES:
            raise BadInput(f"no such system: {name}; there are {', '.join(FAMILIES)}", field="systems")
        try:
            systems += FAMILIES[name]()
        except Skipped as reason:
            skipped[name] = str(reason)
    return systems, skipped


def compare(
    case: str, source: Source, samples: Sequence[Sample], systems: Sequence[HashSystem], effort: Effort,
    *, progress: Progress = SILENT,
) -> Outcome:  # fmt: skip
    """Check and time the systems that start from ``source``.

    Raises
    ------
    IntegrityError
        Two systems that both promise PDQ gave different answers, or one was further off than it promises.

    """
    chosen = [system for system in systems if system.source is source]
    same = _check(case, samples, chosen)
    # Each round takes all pictures: one that the guard sends the exact way costs several times as much as the others.
    ways = [Way(system.name, functools.partial(_each, system.ask, samples), len(samples)) for system in chosen]
    parts = stages(samples, source)
    timings = measure([*ways, *parts], len(samples), effort, progress)
    return Outcome(
        case=case,
        source=source,
        pictures=len(samples),
        timings={system.name: timings[system.name] for system in chosen},
        same_bits=same,
        most_bits=_near(case, samples, chosen),
        stages={part.name.removeprefix("stage "): timings[part.name] for part in parts},
        exact_share=sum(kernel.pdq_fused(sample.pixels) is None for sample in samples) / len(samples),
    )


def _check(case: str, samples: Sequence[Sample], systems: Sequence[HashSystem]) -> tuple[str, ...]:
    """Hold all answers to every picture against each other; return whose they are."""
    promising = [system for system in systems if system.read is not None and not system.slack_bits]
    for number, sample in enumerate(samples):
        answers = {system.name: _answer(system, sample) for system in promising}
        for name, answer in answers.items():
            for other, expected in answers.items():
                wrong = difference(answer, expected)
                if wrong is not None:
                    raise IntegrityError(f"{case}, picture {number}: {name} and {other} differ: {wrong}")
    return tuple(system.name for system in promising)


def _near(case: str, samples: Sequence[Sample], systems: Sequence[HashSystem]) -> dict[str, int]:
    """Return the most bits that each system which promises to be near was off, over all pictures and orientations."""
    most: dict[str, int] = {}
    for system in systems:
        if not system.slack_bits:
            continue
        most[system.name] = max(
            (int(mine, 16) ^ int(exact.tobytes().hex(), 16)).bit_count()
            for sample in samples
            for mine, exact in zip(_answer(system, sample).hashes, kernel.pdq(sample.pixels).hashes, strict=True)
        )
        if most[system.name] > system.slack_bits:
            raise IntegrityError(
                f"{case}: {system.name} is {most[system.name]} bits off, and promises {system.slack_bits}"
            )
    return most


def _answer(system: HashSystem, sample: Sample) -> Answer:
    assert system.read is not None  # noqa: S101 - the caller chose those that have one
    return system.read(system.ask(sample))


def difference(one: Answer, other: Answer) -> str | None:
    """Say how two answers differ in what both of them say; None when they do not."""
    if None not in {one.quality, other.quality} and one.quality != other.quality:
        return f"quality {one.quality} and {other.quality}"
    for turn, (mine, yours) in zip(kernel.DIHEDRAL_NAMES, zip(one.hashes, other.hashes, strict=False), strict=False):
        if mine != yours:
            return f"{(int(mine, 16) ^ int(yours, 16)).bit_count()} bits of {turn}"
    return None


def _each(work: Callable[[Sample], object], samples: Sequence[Sample], begin: int, end: int) -> None:
    for sample in samples[begin:end]:
        work(sample)
