"""The Markdown files that people read, taken apart: blocks of code, headings, links."""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.servers import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Block:
    """One block of code. `language` is empty for indented blocks and for fences without a word."""

    file: str
    line: int
    language: str
    code: str

    @property
    def first(self) -> str:
        """Its first line that is not a comment, by which people and lists name it."""
        lines = (line.strip() for line in self.code.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks() -> list[Block]:
    """Every block of code of every document."""
    return [
        Block(_name(path), (token.map or [0])[0] + 1, token.info.strip(), token.content)
        for path in DOCUMENTS
        for token in _tokens(path)
        if token.type in ("fence", "code_block")
    ]


def links(path: Path) -> list[str]:
    """What a document's links and pictures lead to."""
    found = []
    for token in _tokens(path):
        for part in token.children or ():
            target = part.attrs.get("href") or part.attrs.get("src")
            if target:
                found.append(str(target))
    return found


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    tokens = list(_tokens(path))
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(code: str) -> Iterator[str]:
    """The lines of a shell block, with continued lines joined, and without comments and here-documents."""
    lines = iter(code.replace("\\\n", " ").splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        yield line.strip()
        if mark := re.search(r"<<'?(\w+)'?", line):
            while next(lines, mark[1]).strip() != mark[1]:
                pass


def simple_commands(line: str) -> list[list[str]]:
    """The commands of a line with pipes and lists, each as words without redirections and variables."""
    # What a command gives to another one is not looked into.
    line = re.sub(r"\$\([^()]*\)", "given", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        elif set(word) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        elif found[-1] or not re.match(r"[A-Z_]+=", word):
            found[-1].append(word)
    return [words for words in found if words]


def _tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text())


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
