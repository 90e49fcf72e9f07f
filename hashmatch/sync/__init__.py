"""Keeping sets equal to lists that others keep: what to ask next, asking it, and taking in what came.

Theory of operation
-------------------
``walks`` holds one pure state machine per source: from a checkpoint and the last page follows the next request, and in
the end the next checkpoint. ``web`` is the one wall around HTTP, ``intake`` the one way into the catalog, ``run`` puts
the three together, and ``feedback`` sends back what was decided here. A checkpoint is kept only after everything before
it was taken in; whatever goes wrong, the next run begins where the last complete one ended.

What this package deliberately does not do: it parses no page (``exchange``), and it draws nothing (``cli``).
"""
