"""Which series a PromQL expression asks for: a small tokenizer, enough for the queries of our own files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<duration>\[[^\]]*\])
    |(?P<variable>\$\w+)
    |(?P<number>(?:[0-9]*\.)?[0-9]+(?:e[+-]?[0-9]+)?|[+-]?Inf|NaN)
    |(?P<word>[A-Za-z_:][\w:]*)
    |(?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^=<>(){},])""",
    re.VERBOSE,
)
_GROUPING: Final = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS: Final = {"and", "or", "unless", "bool", "offset"}


class PromqlError(Exception):
    """Something that the tokenizer does not know."""


@dataclass(frozen=True)
class Selector:
    """One series selector.

    Attributes:
        name: of the metric.
        labels: that its matchers name.
    """

    name: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Query:
    """What an expression names.

    Attributes:
        selectors: in their order.
        grouped: labels of by, on and the like.
        functions: functions and aggregations.
    """

    selectors: tuple[Selector, ...]
    grouped: frozenset[str]
    functions: frozenset[str]


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise PromqlError(f"{expression[at : at + 20]!r} in {expression!r}")
        at = match.end()
        if match.lastgroup not in (None, "space"):
            yield str(match.lastgroup), match.group()


def parse_query(expression: str) -> Query:
    """Read an expression.

    Raises:
        PromqlError: it has what our queries don't have, or its brackets don't match.
    """
    tokens = [*_tokens(expression), ("mark", "")]
    for opening, closing in ("()", "{}"):
        if [text for _, text in tokens].count(opening) != [text for _, text in tokens].count(closing):
            raise PromqlError(f"{opening} and {closing} don't match in {expression!r}")
    selectors: list[Selector] = []
    grouped: set[str] = set()
    functions: set[str] = set()
    at = 0
    while at < len(tokens) - 1:
        kind, text = tokens[at]
        following = tokens[at + 1][1]
        at += 1
        if kind != "word" or text in _OPERATORS:
            continue
        if text in _GROUPING:
            if following == "(":
                names, at = _until(tokens, at + 1, ")")
                grouped |= set(names)
        elif following == "(" or (following in _GROUPING):
            functions.add(text)
        elif following == "{":
            labels, at = _until(tokens, at + 1, "}")
            selectors.append(Selector(text, frozenset(labels)))
        else:
            selectors.append(Selector(text, frozenset()))
    return Query(tuple(selectors), frozenset(grouped), frozenset(functions))


def _until(tokens: list[tuple[str, str]], at: int, closing: str) -> tuple[list[str], int]:
    words = []
    while tokens[at][1] != closing:
        if tokens[at][0] == "word":
            words.append(tokens[at][1])
        at += 1
    return words, at + 1
