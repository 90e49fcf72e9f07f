"""Deliveries: documents on their way to those who act, at least once, and once where the receiver allows it.

Theory of operation
-------------------
A delivery is a rendered document, frozen when it was queued, with the outlet it is for. ``states`` has the table of
what may happen to one, ``store`` keeps them in the catalog's database, ``worker`` takes those that are due and hands
each to the ``Outlet`` of its kind. An outlet does the talking: it says what came of it as an ``Outcome``, and saves how
far it came before every step that cannot be taken back, so that a process that is killed in between neither loses nor
doubles what was done.

What this package deliberately does not do: it renders nothing (``projections`` does), and it never holds the bytes of
an image: a file that an authority takes is relayed as a stream.
"""
