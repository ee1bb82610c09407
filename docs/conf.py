"""Sphinx's settings for this folder: `make docs`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from aiomysql import __version__

project = "aiomysql"
author = "aiomysql contributors"
copyright = author  # noqa: A001  (Sphinx names it so)
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
suppress_warnings: list[str] = []

# Pages are written for GitHub, too: links name files, and headings are linked as they are there.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# Docstrings have names of code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"aiomysql {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# Prompts and what programs print are not to be copied.
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"
copybutton_prompt_text = "$ "


DOCS = Path(__file__).parent

#: Pages of the site whose text stands elsewhere in the repository.
ELSEWHERE = {
    "benchmarking": DOCS.parent / "benchmarks" / "README.md",
    "contributing": DOCS.parent / "CONTRIBUTING.md",
    "readme": DOCS.parent / "README.md",
}

#: What a decorator hides.
CONTEXTS = {"aiomysql_core.connect": "AwaitableContextManager[Connection]"}


def take_text(app: Any, docname: str, source: list[str]) -> None:
    """Take a page's text from where it is, and let its links lead to pages of the site."""
    path = ELSEWHERE.get(docname, DOCS / f"{docname}.md")
    if not path.exists():
        return  # reStructuredText
    pages = {other: DOCS / f"{name}.md" for name, other in ELSEWHERE.items()}
    if docname in ELSEWHERE:
        app.env.note_dependency(str(path))
        source[0] = path.read_text("utf-8")

    def on_the_site(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(path.parent / match[1]))
        return "](" + os.path.relpath(pages.get(target, target), (DOCS / docname).parent)

    source[0] = re.sub(r"\]\((?!\w+:)([^#)\s]+)", on_the_site, source[0])


def skip_internal(
    app: object, what: str, name: str, value: Any, skip: bool, options: object
) -> bool | None:
    """Leave out the methods whose docstrings say that they are for other classes only."""
    return True if (value.__doc__ or "").startswith("For cursors:") else None


def shorten(
    app: object, what: str, name: str, value: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Write defaults that are tables or classes as one would."""
    if not signature:
        return None
    signature = re.sub(r"= \{.*\}", "= ...", signature)
    signature = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", signature)
    signature = re.sub(r"<(?:\w+\.)*(\w+) object>", r"\1()", signature)
    return signature, CONTEXTS.get(name, returns)


def mark_names(
    app: object, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Show the names in front of a list's items as code."""
    for number, line in enumerate(lines):
        if found := re.match(r"- ((?:\w+, )*\w+):", line):
            marked = ", ".join(f"`{one}`" for one in found[1].split(", "))
            lines[number] = f"- {marked}:{line[found.end() :]}"


def break_long_names(
    app: object, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Let long names in tables be broken behind their underscores, dots and slashes."""

    def breakable(match: re.Match[str]) -> str:
        return re.sub(r"([_./:=,(])(?=\w)", r"\1<wbr>", match[0])

    def in_text(match: re.Match[str]) -> str:
        return re.sub(r"[^\s<>]{13,}", breakable, match[0])

    def in_table(match: re.Match[str]) -> str:
        return re.sub(r">[^<]+", in_text, match[0])

    if "body" in context:
        context["body"] = re.sub(r"(?s)<table.*?</table>", in_table, context["body"])


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", mark_names)
    app.connect("autodoc-process-signature", shorten)
    app.connect("html-page-context", break_long_names)
    app.connect("source-read", take_text)
    app.connect("autodoc-skip-member", skip_internal)
