"""How fast it is, side by side with limits and rivals: `make bench` (docs/performance.md)."""
