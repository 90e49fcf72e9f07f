"""A real service under everything that may go wrong, with each of its answers checked; see docs/explain/reliability.md.

Theory of operation
-------------------
Every scenario starts ``hashmatch serve`` as an operator does, calls it from here, and does something to it from
outside: kills its workers, fills its disk, makes its fsync fail, moves its clock, floods it. What is asked and answered
is a :class:`~tests.chaos.history.History`, which an oracle reads: for each answer the generation that it names, and
what brute force finds in that generation.

A scenario has one body and two sizes: the short one is part of ``make test``; the long one, ``make chaos``, is bounded
by ``CHAOS_MINUTES`` and writes what was seen to ``native_bench/results/chaos.json``, from which the page is made.
"""
