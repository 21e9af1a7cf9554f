"""The campaigns: faults of every kind, for as long as one likes. `python -m tests.torture --minutes 90`, or `make torture`.

Each module is one campaign with a function `torture(effort)`; the short form of each runs in the everyday suite, from the test
module beside it.
"""
