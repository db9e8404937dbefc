"""Processes that decode strangers' bytes, and may abort, hang or be killed at any moment.

`decoder` is what runs in such a process, `process` the parent's handle of one, `decoders` those that a
parent has, `slots` how many work at once on this machine.
"""
