"""Monitor: counts, what is usual of them, what is not, and the alerts that follow."""
