"""Cases: from a match report's signed receipt and the caller's facts to a record that can be reported.

What this package deliberately does not do: it renders no report (``projections`` does) and sends none
(``outbox`` does).
"""
