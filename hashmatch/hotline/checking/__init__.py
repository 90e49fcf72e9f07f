"""A submission to its items and its summary.

    check.py       the use case
    visit.py       one page with everything on it
    looking.py     one file: fetched, recognised, asked about
    remembered.py  what thousand pages show is fetched once
    slots.py       so many fetches at a time, and so many of one host
    abreast.py     work side by side, of which nothing is left when it ends
    opening.py     the processes that all of it needs, put together

What this package deliberately does not do: it keeps nothing; ``jobs`` does.
"""
