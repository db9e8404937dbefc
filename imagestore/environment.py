"""Environment variables, read one by one, with every fault remembered."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=str)


class Environment:
    """Variables with defaults. What is wrong with one is a line in `faults`, and its default counts."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.faults: list[str] = []

    def text(self, name: str, default: str) -> str:
        """The variable, or what its `<name>_FILE` holds (a mounted secret), or the default."""
        path = self._env.get(f"{name}_FILE")
        if path and not self._env.get(name):
            try:
                return Path(path).read_text().strip()
            except OSError as error:
                self.faults.append(f"{name}_FILE is {path!r}, which cannot be read ({error.strerror})")
        return self._env.get(name) or default

    def choice(self, name: str, choices: tuple[Word, ...], default: Word) -> Word:
        """One of some words."""
        value = self._env.get(name) or default
        for word in choices:
            if word == value:
                return word
        self.faults.append(f"{name} is {value!r}, expected one of {', '.join(choices)}")
        return default

    def integer(self, name: str, low: int, high: int, default: int) -> int:
        """An integer from `low` to `high`."""
        return self._numeric(name, int, low, high, default)

    def number(self, name: str, low: float, high: float, default: float) -> float:
        """A number from `low` to `high`."""
        return self._numeric(name, float, low, high, default)

    def _numeric(
        self, name: str, convert: Callable[[str], Number], low: Number, high: Number, default: Number
    ) -> Number:
        text = self._env.get(name)
        if not text:
            return default
        try:
            value: Number | None = convert(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            self.faults.append(f"{name} is {text!r}, expected a number from {low} to {high}")
            return default
        return value

    def words(self, name: str) -> list[str]:
        """The words of a list, separated by blanks or commas."""
        return self.text(name, "").replace(",", " ").split()
