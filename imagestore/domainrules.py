"""Settings that differ between domains: `photos=enforce, *=off`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from imagestore.errors import InvalidKey
from imagestore.names import check_domain

Rule = TypeVar("Rule")

EVERY = "*"
"""Stands for all domains that are not named."""


@dataclass(frozen=True, slots=True)
class DomainRules(Generic[Rule]):
    """A rule for each domain that is named, and one for all others."""

    otherwise: Rule
    named: Mapping[str, Rule]
    text: str = ""
    """As nginx/lua/rules.lua reads it."""

    @classmethod
    def parse(cls, text: str, parse_rule: Callable[[str], Rule], otherwise: Rule) -> "DomainRules[Rule]":
        """The rules in a setting: `domain=rule` separated by blanks or commas; `*` is every other domain.

        Raises:
            ValueError: with one line that names the entry and its fault.
        """
        found: dict[str, Rule] = {}
        entries = list(filter(None, re.split(r"[\s,]+", text)))
        for entry in entries:
            domain, separator, rule = entry.partition("=")
            if not separator or domain in found:
                raise ValueError(f"{entry[:60]!r} is no rule of its own, expected domain=rule or *=rule")
            try:
                found[domain if domain == EVERY else check_domain(domain)] = parse_rule(rule)
            except InvalidKey as error:
                raise ValueError(error.detail) from error
        return cls(found.pop(EVERY, otherwise), found, ",".join(entries))

    def of(self, domain: str) -> Rule:
        """The rule that holds in `domain`."""
        return self.named.get(domain, self.otherwise)

    @property
    def all(self) -> tuple[Rule, ...]:
        """Every rule that holds somewhere."""
        return (self.otherwise, *self.named.values())
