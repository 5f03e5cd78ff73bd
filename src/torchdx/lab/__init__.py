"""The laboratory: published findings that are run again, and how they fare.

study -> rows -> verdict -> ledger. A study (`studies/`, one a file) declares its claims and yields
rows; the runner spreads its seeds over processes and keeps what they yield; the statistics judge
each claim by an interval; the ledger tells of all of them, failures too.
"""
