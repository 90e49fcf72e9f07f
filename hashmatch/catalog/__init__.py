"""The hash-set store: which sets there are, what is in them, who said so, and what changed since.

``store`` holds the protocols that callers depend on and ``opening`` chooses the implementation: ``sqlite`` is embedded,
``postgres`` is shared by several services. What both do is in ``relational`` and what it calls, over ``session``.
"""
