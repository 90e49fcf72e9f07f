"""Tests of the repository itself. Every check is a function, and every function is shown something it must reject."""
