"""Checks that every link within the site leads to a page, and to a place on it.

``python docs/check_links.py FOLDER`` prints the links that don't; the exit status is 1 then.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What an HTML page links to, and what can be linked on it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The parser calls this."""
        for name, value in attrs:
            if name == "id" and value:
                self.targets.add(value)
            if name in ("href", "src") and value:
                self.links.add(value)


def broken(site: Path) -> list[str]:
    """The links that lead nowhere, each behind the name of its page."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            other = pages.get(target)
            if not target.exists() or (anchor and other and anchor not in other.targets):
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return sorted(found)


def main() -> int:
    """Run the command line; return its exit status."""
    site = Path(sys.argv[1])
    found = broken(site)
    for line in found:
        print(f"broken link: {line}", file=sys.stderr)
    if not found:
        print(f"The site is in {site / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
