"""Where everything is kept: inbox (a durable queue), posts (a searchable store), ledger (decisions and state).

Each has one protocol in its package and one contract suite in ``tests/store`` for all of its backends.
"""
