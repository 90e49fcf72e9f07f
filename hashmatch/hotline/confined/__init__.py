"""A process that may do one kind of work, started, asked and ended.

    child.py       such a process from outside: started when it is needed, started again when it dies
    inside.py      the same from inside: locked up first, then one answer per question
    framing.py     what they say to each other (pure)

What this package deliberately does not do: it does not know what the work is; ``web`` and ``pages`` do.
"""
