"""A document to the addresses in it, read in processes that may do nothing else.

    page.py        HTML and CSS to addresses, in the order of the page (pure)
    reading.py     the same in processes of its own; page_worker.py is their inside, page_wire.py what they say
    sniff.py       what bytes are, by their beginning (pure)

The parts of ``page``, all pure:

    charset.py     which encoding a document is in
    tags.py        tags without a tree, for what is too deep to build one of
    elements.py    which elements and attributes hold addresses
    srcset.py, css.py, json_ld.py, data_urls.py    addresses inside of values
    collecting.py  each address once, and no more than the limits
    challenges.py  whether the page wants a login, or proof of a person

What this package deliberately does not do: it runs no script, and fetches nothing that a document refers to.
"""
