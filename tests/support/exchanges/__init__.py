"""Local simulators of the exchanges that a synchronisation fetches from, faults included."""
