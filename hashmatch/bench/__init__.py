"""Measuring: hashmatch beside its peers and beside what the hardware allows, in one run, with recall checked first."""
