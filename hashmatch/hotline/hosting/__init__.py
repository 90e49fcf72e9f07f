"""Where an address is hosted, and whom to tell: looked up in files that the operator supplies.

    places.py        an address to its network, country, delivery network and contact
    place_files.py   the files, each format a function from lines to ranges
    place_tables.py  ranges of addresses, looked up by the narrowest (pure)
    cdn.csv          ranges of large delivery networks, shipped

What this package deliberately does not do: it asks nobody over the network.
"""
