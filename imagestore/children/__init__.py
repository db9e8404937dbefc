"""Processes that decode strangers' bytes, and may abort, hang or be killed at any moment.

`decoder` is what runs in such a process, `decoders` how its parent gets one (Pebble's process pool),
`slots` how many work at once on this machine.
"""
