#!/usr/bin/env python3
"""Fails where a text for readers has a word that is never right here, and names the right one.

One term per thing, Kubernetes', Istio's, Prometheus' and Flagger's own: a *tick*, not a look. WORDS has only what has no
proper use at all; words such as run, version or step, which do have one, are left to who writes.

    tools/words.py            the whole repository; `make check` runs it
    tools/words.py FILE ...   these files alone
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]

# A number, an article or the like, after which "look" and "share" are nouns.
BEFORE_NOUN = (
    r"(?:an?|the|its|their|this|each|every|any|no|one|two|three|four|five|six|seven|few|more|first|last|next|later|second"
    r"|another|other|many|by|of|per|same|\d+|\{\})"
)

# (what is wrong, what is right)
WORDS = [
    (rf"\b(?:{BEFORE_NOUN}|Flagger's) looks?\b", "tick (Flagger's), scrape (Prometheus')"),
    (r"\blooks? away\b", "skips its ticks"),
    (r"\b(?:a|the|its|keep|late|hundred) beats?\b", "tick"),
    (r"\btold\b", "measured, reported, or say who says it"),
    (r"\bat rest\b", "idle"),
    (
        r"(?<!primary's )(?<!name the )(?<!: )\bcopies\b(?! of `| (?:the|your|a|an|it|its|each|every|what|all|\S+'s)\b)",
        "mirrored requests (of a template: copies it)",
    ),
    (r"\bcop(?:y|ies) of (?:a|each|every|all|the) requests?\b", "mirrored request"),
    (r"\basked for\b", "threshold (of a check), requested"),
    (r"\bof (?:\d+|\{\}) (?:allowed )?checks\b", "Failed checks: 0 (rolls back at 2)"),
    (rf"\bshares\b|\b{BEFORE_NOUN} share\b(?! of memory)", "weight"),
    (r"\bbirds?\b", "canary"),
    (r"\bstretch(?:es)? of time\b", "window, interval"),
    (r"\b(?:put|puts|putting) (?:\w+ ){0,2}back\b", "reverts"),
    (r"\btak(?:es?|ing|en) (?:itself|it|them|everything|all \w+|everybody)? ?back\b", "rolls back"),
    (r"\bFlagger(?:\'s)? (?:\w+ ){0,3}notic(?:es?|ed|ing)\b", "Flagger detects"),
    (r"\bin mid-run\b", "during a release"),
    (r"\bempty shell\b", "a Deployment with 0 pods"),
    (r"\bdoor (?:for|to|of) ", "say what it is: target, client, entry point"),
    (r"\bby (?:its|his|their) own word\b", "as it reports"),
    (r"[Ww]ithout (?:further|a) words?\b", "by default, silently"),
    (r"\b(?:[Tt]hat|which|start|it) is none\b", "say what it is"),
    (
        r"(?<![Tt]here )(?<!that )\bis no (?:duration|number|address|lab|notebook|image|object|\w+ at all)\b",
        "is not a ...",
    ),
    (r"(?:\d|\{\})(?: | )%(?!\w)", "20%, without a space"),
]
PATTERNS = [(re.compile(wrong, re.IGNORECASE), right) for wrong, right in WORDS]

Text = tuple[int, str]  # the line where it begins, the text


def of_python(source: str) -> Iterator[Text]:
    """Docstrings and other sentences: constants with a space in them. What an f-string fills in is {}."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant)}
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
            and " " in node.value
        ):
            yield node.lineno, node.value


def of_comments(source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def of_code(source: str) -> Iterator[Text]:
    return chain(of_python(source), of_comments(source))


def of_lines(source: str, mark: str = "") -> Iterator[Text]:
    """The lines of a text, or what stands after `mark` in each."""
    for number, line in enumerate(source.splitlines(), 1):
        yield number, line.partition(mark)[2] if mark else line


def of_notebook(source: str) -> Iterator[Text]:
    """Markdown whole; of code the sentences and comments. The line is that of the notebook's file."""
    lines = source.splitlines()
    at = 0
    for cell in json.loads(source)["cells"]:
        text = "".join(cell["source"])
        if not text:
            continue
        first = json.dumps(cell["source"][0], ensure_ascii=False)
        while at < len(lines) and lines[at].strip().rstrip(",") != first:
            at += 1
        found = of_lines(text) if cell["cell_type"] == "markdown" else of_code(text)
        for line, part in found:
            yield at + line, part


def texts(path: Path) -> Iterator[Text]:
    source = path.read_text()
    if path.suffix == ".py":
        return of_code(source)
    if path.suffix == ".ipynb":
        return of_notebook(source)
    if path.suffix == ".yaml" or path.name == "Makefile":
        return of_lines(source, "#")
    return of_lines(source)


def files() -> Iterator[Path]:
    """Everything that a reader meets. docs/parity.md is generated, and quotes scenarios."""
    yield ROOT / "Makefile"
    for pattern in ("*.md", "docs/*.md", "notebooks/*.ipynb", "manifests/*.yaml", "canary_tutorial/**/*.py"):
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.name != "parity.md")


def faults(path: Path) -> Iterator[str]:
    """A line for each wrong word of a file: where it is, what it is, what would be right."""
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    for first, text in texts(path):
        # A sentence goes on across lines, indented ones too; a match is reported on the line where it begins.
        text = re.sub(r"\n[ \t]+", "\n", text)
        joined = text.replace("\n", " ")
        for pattern, right in PATTERNS:
            for match in pattern.finditer(joined):
                if match[0].isupper():
                    continue  # a constant's name
                line = first + text.count("\n", 0, match.start())
                yield f"{name}:{line}: {match[0].strip()!r}: {right}"


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments] or list(files())
    found = [fault for path in paths for fault in faults(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
