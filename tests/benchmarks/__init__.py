"""Measurements, run by `make bench`; tests never assert wall time."""
