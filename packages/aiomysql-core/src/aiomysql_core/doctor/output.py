"""Steps of an examination, and how they are shown."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "failed"

#: Columns of the status and the name, and of a line.
_INDENT = 24
_WIDTH = 100

_COLORS = {OK: "green", WARNING: "yellow", FAILED: "bold red", "": ""}

#: Milliseconds at which the bars of a histogram end.
_BOUNDS = tuple(float(f"{step}e{power}") for power in range(-2, 6) for step in (1, 2, 5))
_LONGEST_BAR = 40


@dataclass
class Step:
    """One thing that was looked at."""

    name: str
    status: str = OK
    #: What was found, in words; the first line sums it up.
    lines: list[str] = field(default_factory=list)
    #: The same for programs.
    facts: dict[str, Any] = field(default_factory=dict)
    #: Of what is not as it should be.
    cause: str = ""
    remedy: str = ""

    def warn(self, cause: str, remedy: str) -> None:
        """Something works, and is not as it should be."""
        if self.status == OK:
            self.status, self.cause, self.remedy = WARNING, cause, remedy
        else:
            self.cause, self.remedy = f"{self.cause}; {cause}", f"{self.remedy}; {remedy}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = {"name": self.name, "status": self.status, "summary": self.lines, **self.facts}
        if self.status != OK:
            said |= {"likely_cause": self.cause, "what_to_do": self.remedy}
        return said


#: Writes a line in a color of rich, or "".
Write = Callable[[str, str], None]


def writer(stream: TextIO) -> Write:
    """What writes lines to `stream`: in color on a terminal, if rich is installed.

    NO_COLOR ends that, and bold letters.
    """
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            pass
        else:
            console = Console(file=stream, highlight=False)
            return lambda line, color: console.print(Text(line, color), soft_wrap=True)

    def write(line: str, color: str) -> None:
        stream.write(f"{line}\n")

    return write


def show(step: Step, write: Write) -> None:
    """Write a step as a paragraph."""
    lines = list(step.lines)
    if step.status != OK:
        lines += [f"Likely cause: {step.cause}."] if step.cause else []
        lines += [f"What to do: {step.remedy}."] if step.remedy else []
    head = f"{step.status:9}{step.name:{_INDENT - 9}}"
    color = _COLORS[step.status]
    for line in lines:
        for piece in textwrap.wrap(printable(line), _WIDTH - _INDENT, break_on_hyphens=False):
            write(head + piece, color)
            head, color = " " * _INDENT, ""
        if step.status != OK:
            color = _COLORS[WARNING]


def printable(text: str) -> str:
    """`text` without what would move the cursor or change the colors of a terminal."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


class Secrets:
    """What is never shown: passwords, as they are and as a data source name has them."""

    def __init__(self, *options: Mapping[str, Any]) -> None:
        """options: of a data source name, of an option file."""
        from urllib.parse import quote, quote_plus

        names = ("password", "ssl_key_password")
        found = [given.get(name) for given in options for name in names]
        texts = [text for text in found if isinstance(text, str)]
        forms = {form(text) for text in texts for form in (str, quote, quote_plus)}
        # A word of one or two letters tells nothing, and without them nothing could be read.
        self._texts = sorted((text for text in forms if len(text) > 2), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """`text`, which others wrote, with stars in their place."""
        for secret in self._texts:
            text = text.replace(secret, "***")
        return text


def histogram(seconds: Iterable[float]) -> list[str]:
    """How often which time was taken, a line for each range."""
    bounds = [_bound(1000 * one) for one in seconds]
    first, last = (_BOUNDS.index(edge) for edge in (min(bounds), max(bounds)))
    most = max(bounds.count(bound) for bound in bounds)
    lines = []
    for bound in _BOUNDS[first : last + 1]:
        count = bounds.count(bound)
        bar = "#" * -(-count * _LONGEST_BAR // most)
        lines.append(f"up to {bound:7g} ms {count:3} {bar}".rstrip())
    return lines


def _bound(milliseconds: float) -> float:
    return next((bound for bound in _BOUNDS if milliseconds <= bound), _BOUNDS[-1])


def milliseconds(seconds: float) -> str:
    """A time in words."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"
