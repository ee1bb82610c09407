"""The pages' links lead somewhere, and the README's figures are those of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("packages/*/README.md"),
    *ROOT.glob("benchmarks/*.md"),
]
README = (ROOT / "README.md").read_text("utf-8")


def anchors(markdown: str) -> set[str]:
    """What the headings of a page can be linked by."""
    text = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, markdown: str) -> list[str]:
    """The links to other places in this repository that are not there."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", markdown):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page, page.read_text("utf-8")) == []


def test_a_broken_link_is_found() -> None:
    page = ROOT / "README.md"
    planted = "# One, two\n[a](#one-two) [b](docs/none.md) [c](docs/pool.md#none) [d](https://x/y)"
    assert broken(page, planted) == ["#one-two", "docs/none.md", "docs/pool.md#none"]
    assert anchors(planted) == {"one-two"}


def row(page: str, start: str, after: str = "# ") -> list[str]:
    """The cells of the first row of a page's tables that begins so, below the text `after`."""
    text = (ROOT / "docs" / page).read_text("utf-8").partition(after)[2]
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_figures_of_the_benchmarks() -> None:
    cells = row("benchmarks.md", "4,000 point queries, 20 tasks, pool of 10, text", "### CPU time")
    asyncmy, _, classic, connector = (f"{float(cell.split()[0]):.1f}" for cell in cells[1:5])
    assert f"| 1 (1) | {classic} | {asyncmy} (1.0 to 1.1) | {connector} |" in README
    assert f"takes [{classic} times less" in README
    assert f"and {asyncmy} times less than with asyncmy" in README
    streamed = row("benchmarks.md", "50,000 mixed rows, streamed", "### Peak of memory")
    assert f"takes [{streamed[1]} MB]" in README
    text, prepared = (
        row("benchmarks.md", f"50,000 rows of 8 integers, {how}", "### Every place")[1].split()[0]
        for how in ("text", "prepared")
    )
    assert f"take {float(prepared):.0f} ms of processor time instead of {float(text):.0f}" in README


def test_figures_of_the_reliability_page() -> None:
    # | | classic aiomysql 0.3.2 | right | error | hang | wrong answer | ...
    hung, wrong = row("reliability.md", "| classic aiomysql 0.3.2")[4:6]
    assert f"[{hung} hung and {wrong} did]" in README
    ours = row("reliability.md", "MariaDB 11.8 | ours")
    assert ours[4:] == ["0", "0", "0"]
    killed = row("reliability.md", "killed")
    assert f"none of {killed[2]} acknowledged rows was missing" in README
    assert killed[4] == "0"
