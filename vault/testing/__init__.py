"""Shipped helpers for tests and the demo: real servers on private ports, faults, canaries, sample requests."""
