"""Fault tests: a steady load on a whole stack, faults one by one, and a check of every acknowledged write.

`journal.py` what clients saw, `ledger.py` what was promised to them, `load.py` the clients, `system.py` the
stack, `harms.py` how to break and mend a part of it, `catalogue.py` the faults (data), `trial.py` the run,
`checker.py` the comparison at the end, `report.py` the table.
"""
