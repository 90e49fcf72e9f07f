"""One address fetched from a stranger's host: what may be asked for, how, and in a process of its own.

    urls.py        text to a URL that may be fetched: repaired, canonical, ASCII (pure)
    hosts.py       the host of a URL, from any spelling to the one that is looked up (pure)
    addresses.py   which network addresses may be connected to (pure)
    fetch.py       one address, redirects included, every limit enforced while reading
    fetching.py    the same in a process of its own; fetched_json.py is what that says, warm.py what it loads first

The parts of a fetch, in the order in which it needs them:

    politeness.py  how many at a time, and how soon after one another
    robots.py      what the host's robots.txt says of it
    resolve.py     names to addresses
    connect.py     the one place where a connection is made; tls.py says whom to trust
    asking.py      the headers of a request (pure)
    answers.py     the head of an answer to an outcome (pure)
    coding.py      bodies as they were sent to bodies as they are (pure)
    pace.py        whether a body comes fast enough (pure)
    stops.py       how any of them ends the fetch

What this package deliberately does not do: it does not look into a body, and keeps none.
"""
