"""A list of addresses as a file of work: what was done, what remains, and the loop that gets it done.

    lists.py        lists of addresses from whoever wrote them
    plan.py         their lines to lines of a job: repaired, told apart, refused
    job.py          the job file, so that nothing is done again; results.py reads it back
    job_states.py   the states of a submission, and what goes in and comes out (pure)
    job_storage.py  its database; the statements are in sql/
    turns.py        submissions handed out host by host, without a file (pure)
    pipeline.py     a job from its first submission to its last
    gravity.py      which outcome outweighs which (pure)

What this package deliberately does not do: it fetches nothing; who checks a submission is given to ``pipeline``.
"""
