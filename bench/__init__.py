"""Benchmarks: each beside what a user would otherwise use, as a ratio in one run. ``python -m bench [NAME…]``."""
