"""What a service tells of its own work: counts and times, metrics, traces, the lines of its log.

Theory of operation
-------------------
One :class:`~hashmatch.telemetry.tally.Tally` counts in memory. Everything that is shown of it is a projection: the
``traffic`` of ``GetStatus``, and the page that Prometheus reads (``families``). Traces and log lines come from the same
place in the guard, under the same id of the call.

What this package deliberately does not do: none of it ever sees an image, a hash, a URL or a text of a caller's. What
comes from outside and is kept are names from closed lists, and the names of sets and callers, which operators give.
"""
