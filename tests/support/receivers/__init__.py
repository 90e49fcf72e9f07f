"""Local simulators of those who take reports, faults included."""
