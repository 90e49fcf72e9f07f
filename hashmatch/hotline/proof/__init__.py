"""Evidence of what was seen, without a picture.

    evidence.py        one signed record per picture that was looked at, or tried
    clock.py           how far the machine's clock may be trusted
    evidence_store.py  records read again: verified, looked up, held against a job, handed out
    warc.py            the same for the tools of web archives

What this package deliberately does not do: it keeps no byte of an answer's body.
"""
