"""Option files.

MySQL: "Using Option Files".  `!include` is not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiomysql_core.options.options import KEYWORDS

#: Option-file key -> keyword of connect(), and what turns the text into the keyword's value.
_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    keyword.file[0]: (name, keyword.file[1])
    for name, keyword in KEYWORDS.items()
    if keyword.file is not None
}

_GROUP = re.compile(r"\[([^]]+)\]")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "s": " ", '"': '"', "'": "'", "\\": "\\"}


def read_option_file(path: str, group: str | None = None) -> Mapping[str, Any]:
    """The keywords of connect() that `path` sets in its `group` (default "client").

    Groups, comments, quotes and escapes are those of the server's own tools; keys this driver
    has no use for are passed over.  A file that does not exist counts as empty.  Raises ValueError
    for a value that can't be one, which is named.
    """
    try:
        with open(os.path.expanduser(path), encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return {}
    wanted = group or "client"
    found: dict[str, Any] = {}
    current = None
    for line in lines:
        text = line.strip()
        if not text or text[0] in "#;!":
            continue
        header = _GROUP.match(text)
        if header is not None:
            current = header[1].strip()
            continue
        if current != wanted:
            continue
        key, separator, raw = text.partition("=")
        known = _KEYS.get(key.strip().replace("_", "-"))
        if known is None or not separator:
            continue
        keyword, convert = known
        try:
            found[keyword] = convert(_value(raw))
        except ValueError:
            raise ValueError(
                f"option file {path}: {key.strip()} can't be {raw.strip()!r}"
            ) from None
    return found


def _value(raw: str) -> str:
    """The value behind a `=`: quotes taken off, or a comment at its end; escapes replaced."""
    text = raw.strip()
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        while end > 0 and text[end - 1] == "\\":
            end = text.find(text[0], end + 1)
        text = text[1:end] if end > 0 else text[1:]
    else:
        text = re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text)
