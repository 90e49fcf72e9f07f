"""Reported URLs: fetched without danger, read, checked against what is known, and proved afterwards without an image.

Theory of operation
-------------------
Bytes go one way only. The fetcher, a confined process that may connect and not open a file, hands them over; pages go
to a confined process that may do neither and gives back addresses; images go to a
:class:`~hashmatch.hotline.ports.Detects`, which is the sandbox or a server. What is kept are
:class:`~hashmatch.model.hotline.Item` and :class:`~hashmatch.model.hotline.Summary`.

Imports point down this list, and packages on one line do not know each other; a contract in ``pyproject.toml`` holds
them to it. Each package says in its own docstring what its modules do.

    followup, outputs   what became of it later; results for people and programs
    checking            a submission to its items and its summary: start reading at checking/check.py
    jobs                a list as a file of work, and the loop that gets it done
    pages, proof        a document to the addresses in it; signed records of what was seen
    web, hosting        one address fetched from a stranger's host; where it is hosted
    confined, ports.py  processes that may do one thing; what a check needs of others, as protocols

What this package deliberately does not do: it keeps no image, shows none, and tells nobody; ``projections`` and
``outbox`` tell.
"""
