"""The kinds of stores behind `storage.py`, which alone may use them."""
