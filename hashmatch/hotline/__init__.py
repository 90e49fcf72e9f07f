"""Reported URLs: fetched without danger, read, checked against what is known, and proved afterwards without an image.

Theory of operation
-------------------
Bytes go one way only. The fetcher, a confined process that may connect and not open a file, hands them over; pages go
to a confined process that may do neither and gives back addresses; images go to a
:class:`~hashmatch.hotline.ports.Detects`, which is the sandbox or a server. What is kept are
:class:`~hashmatch.model.hotline.Item` and :class:`~hashmatch.model.hotline.Summary`.

    addresses.py   which addresses may be connected to (pure)
    urls.py        text to a URL that may be fetched: repaired, canonical, ASCII; hosts.py its host (both pure)
    fetch.py       one address fetched, redirects included, every limit enforced while reading; its parts are resolve,
                   connect and tls, answers, coding and pace (pure), politeness, robots; stops is how it is ended
    fetching.py    the same in a process of its own; warm loads what it needs, fetched_json is what it says
    child.py       a confined process from outside, inside.py from inside, framing.py what they say (pure)
    page.py        HTML and CSS to addresses (pure); tags, charset, css, srcset, elements, collecting are its parts
    sniff.py       bytes to what they are (pure)
    reading.py     page.py in processes of its own; page_worker is their inside, page_wire what they say
    places.py      address to network, country, whom to tell (offline databases)
    lists.py       lists of addresses from whoever wrote them
    check.py       the use case: a submission to items and a summary; looking.py one file, visit.py one page
    gravity.py     which outcome outweighs which
    job.py         the job file: what was done, so that it is not done again; results.py reads it back
    opening.py     the processes of a check, put together; turns.py hands submissions out host by host, without a file
    pipeline.py    a job from its first submission to its last
    recheck.py     is it gone: what looks say, states, schedule (pure)
    watches.py     what is watched, in the job file; watching.py looks again, rechecking.py when it is due
    survival.py    how long things last, the Kaplan-Meier estimate (pure); takedown.py time to takedown by host
    notices.py    whom to tell of what was found, as facts of cases in one group per recipient (pure)
    near.py        which hashes are near each other: groups and stars (pure)
    links.py       the same picture elsewhere (pure); links_export.py its table and its graph
    evidence.py    what is signed, and clock.py how well it is dated
    evidence_store.py  the same read and verified; warc.py hands it to web archives

What this package deliberately does not do: it keeps no image, shows none, and tells nobody; ``projections`` and
``outbox`` tell.
"""
