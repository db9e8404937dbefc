"""What is said of a measure that was taken several times."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Series:
    """One measure, once a round; at least one value."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a series needs a value")

    @property
    def median(self) -> float:
        """The middle value, which one disturbed round does not move."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value: with few rounds, quartiles would be invented."""
        return min(self.values), max(self.values)

    def over(self, other: "Series") -> "Series":
        """This divided by `other`, round by round: what slows down both in one round cancels out.

        Raises:
            ValueError: they have not the same number of rounds.
        """
        pairs = zip(self.values, other.values, strict=True)
        return Series(tuple(mine / theirs for mine, theirs in pairs))


def alternate(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, Sequence[T]]:
    """Ask each in turn, `rounds` times (A B C A B C ...), so that a busy minute meets all alike."""
    seen: dict[str, list[T]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, ask in contestants.items():
            seen[name].append(ask())
    return dict(seen)
