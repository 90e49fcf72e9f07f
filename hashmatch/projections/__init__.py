"""A case in the words of those who receive it: pure functions from a :class:`~hashmatch.model.cases.Case` to bytes.

Theory of operation
-------------------
One module per format. Each has ``problems(case, reporter, now)``, every rule of the format that the case breaks, and
``render(case, context)``, which raises :class:`~hashmatch.errors.BadReport` when there is any, so that nothing
half-right leaves. ``formats`` is the table of all of them; ``domains`` says which harm domain may be told in which
format, and is asked before anything is rendered.

What this package deliberately does not do: it sends nothing, stores nothing, and reads neither clock nor configuration.
"""
