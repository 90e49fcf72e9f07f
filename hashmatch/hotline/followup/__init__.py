"""After a check: is it gone, where else is it, and whom to tell.

    recheck.py      is it gone: what looks say, states, schedule (pure)
    watches.py      what a job watches, kept in its file
    watching.py     one look, and all that are due; rechecking.py when they are
    survival.py     how long things last, the Kaplan-Meier estimate (pure)
    takedown.py     time to takedown, by host and by country
    near.py         which hashes are near each other: groups, and stars inside them (pure)
    links.py        the same picture elsewhere (pure); links_export.py its table and its graph
    notices.py      whom to tell of what was found, one group per recipient (pure)

What this package deliberately does not do: it tells nobody; ``projections`` and ``outbox`` do.
"""
