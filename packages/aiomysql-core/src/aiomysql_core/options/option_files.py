"""Option files, read as the servers' own programs do.

MySQL: "Using Option Files".  One difference: they take the last byte of a value that ends in 0xA0
(à in UTF-8, where it isn't quoted) for white space.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiomysql_core.options.keywords import KEYWORDS, check_value, parse_boolean

#: Option-file key -> keyword of connect().
_KEYS = {keyword.file: name for name, keyword in KEYWORDS.items() if keyword.file}

_ESCAPES = {
    b"n": b"\n",
    b"t": b"\t",
    b"b": b"\b",
    b"r": b"\r",
    b"s": b" ",
    b'"': b'"',
    b"'": b"'",
    b"\\": b"\\",
}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)

#: How deep files may include others; deeper ones are passed over.
_DEEPEST = 10

#: What may stand before the key of an option that is true or false, and its value then.
_SWITCHES: Mapping[str, bytes] = {"skip-": b"0", "disable-": b"0", "enable-": b"1"}

#: How keys about TLS begin: none of them is passed over.
_ABOUT_TLS = ("ssl", "tls")

#: Those that are true or false.
_BOOLEANS = frozenset({"ssl", "ssl-verify-server-cert"})


def read_option_file(path: str, group: str | None = None) -> Mapping[str, Any]:
    """The keywords of connect() that `path` sets in its `group` (default "client").

    Groups, comments, quotes, escapes and inclusions are those of the servers' own programs; keys
    this driver has no use for are passed over, but for those about TLS.  The key `ssl` stands under
    its name, as a bool.  Raises ValueError for a file that can't be read, for what the programs
    refuse, and naming the key for a value that can't be one and for what is asked of TLS and can't
    be done.
    """
    wanted = (group or "client").lower().encode(errors="surrogatepass")
    found: dict[str, Any] = {}
    for file, key, value in _read(os.path.expanduser(path), wanted, 0):
        _add(found, file, key, value)
    return found


def apply_option_file(path: str, group: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, keywords of connect(), with those of an option file, which go before them.

    Raises what `read_option_file` raises, and ValueError where both say how a connection is to be
    encrypted and don't say the same.
    """
    read = dict(read_option_file(path, group))
    encrypts = read.pop("ssl", None)
    for name in ("ssl_mode", "ssl_verify_identity"):
        before, now = given[name], read.get(name)
        if before is not None and now is not None and str(before).upper() != str(now).upper():
            raise ValueError(
                f"option {name!r} and option file {path} say different things: "
                "leave one of them out"
            )
    merged = {**given, **read}
    mode = merged["ssl_mode"]
    if encrypts is False:
        if mode not in (None, "DISABLED"):
            raise _contradiction(path, "without", mode)
        merged["ssl_mode"] = "DISABLED"
    elif encrypts:
        # What insists on TLS already may ask for more than this key does.
        if mode in ("DISABLED", "PREFERRED") or merged["ssl"] is False:
            raise _contradiction(path, "with", mode or "ssl=False")
        if check_value("ssl_disabled", merged["ssl_disabled"], KEYWORDS["ssl_disabled"]):
            raise _contradiction(path, "with", "ssl_disabled=True")
        insisting = ("ssl", "ssl_ca", "ssl_capath", "ssl_verify_cert", "ssl_verify_identity")
        if mode is None and not any(merged[name] for name in insisting):
            merged["ssl_mode"] = "REQUIRED"
    return merged


def _contradiction(path: str, what: str, other: str) -> ValueError:
    return ValueError(
        f"option file {path}: key ssl asks for a connection {what} TLS, which contradicts {other}"
    )


def _read(path: str, wanted: bytes, depth: int) -> Iterator[tuple[str, bytes, bytes | None]]:
    """File, key and value of each option in the group; None: it has no value."""
    try:
        with open(path, "rb") as opened:
            lines = opened.read().split(b"\n")
    except (OSError, ValueError) as error:  # ValueError: no path can be like this
        if depth and isinstance(error, FileNotFoundError):
            return  # as for the servers' programs
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"option 'read_default_file': {path!r} can't be read: {reason}") from error
    current: bytes | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in b"#;":
            continue
        where = f"option file {path}, line {number}"
        if text.startswith(b"!"):
            for included in _included(_without_comment(text[1:]), where):
                if depth < _DEEPEST:
                    yield from _read(included, wanted, depth + 1)
        elif text.startswith(b"["):
            name, bracket, _ = text[1:].partition(b"]")
            if not bracket:
                raise ValueError(f"{where}: a group without ']'")
            current = name.rstrip().lower()
        elif current is None:
            raise ValueError(f"{where}: an option before the first group")
        elif current == wanted:
            key, separator, value = _without_comment(text).partition(b"=")
            yield path, key.rstrip(), _unquoted(value.strip()) if separator else None


def _included(directive: bytes, where: str) -> Iterator[str]:
    """The files that `!include` or `!includedir` names."""
    word, *rest = directive.split(None, 1) if directive.strip() else (b"",)
    if word not in (b"include", b"includedir"):
        return  # as for the servers' programs
    if not rest:
        raise ValueError(f"{where}: !{word.decode()} without a path")
    path = os.fsdecode(rest[0])
    if word == b"include":
        yield path
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise ValueError(f"{where}: {path} can't be read: {error.strerror}") from error
    yield from (os.path.join(path, name) for name in names if name.endswith(".cnf"))


def _without_comment(text: bytes) -> bytes:
    """A line without the comment at its end, which begins with # outside of quotes."""
    quote = escaped = 0
    for position, byte in enumerate(text):
        if byte in b"'\"" and not escaped:
            quote = 0 if quote == byte else quote or byte
        elif byte == ord("#") and not quote:
            return text[:position]
        escaped = bool(quote) and byte == ord("\\") and not escaped
    return text


def _unquoted(value: bytes) -> bytes:
    """A value without the quotes around it, and with its escapes replaced."""
    if len(value) > 1 and value[0] in b"'\"" and value[0] == value[-1]:
        value = value[1:-1]
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), value)


def _add(found: dict[str, Any], file: str, key: bytes, value: bytes | None) -> None:
    """Add what an option stands for."""
    name = key.decode(errors="replace").replace("_", "-").lower()
    is_loose = name.startswith("loose-")
    name = name.removeprefix("loose-")
    for switch, meaning in _SWITCHES.items():
        switched = name.removeprefix(switch)
        if switched != name and switched.startswith(_ABOUT_TLS):
            name, value = switched, meaning if switched in _BOOLEANS else None
    if value is None and name in _BOOLEANS:
        value = b"1"
    keyword = "ssl" if name == "ssl" else _KEYS.get(name)
    if name.startswith(_ABOUT_TLS) and not (keyword is None and is_loose):
        if keyword is None:
            raise ValueError(f"option file {file}: this driver can't do what {name} asks for")
        if not value:
            raise ValueError(f"option file {file}: {name} has no value")
    if keyword is None or value is None:
        return  # without value, for example a password that is to be asked for: nobody can be
    try:
        text = value.decode()
    except UnicodeDecodeError:
        if keyword != "password":
            raise ValueError(f"option file {file}: the value of {name} is not in UTF-8") from None
        found[keyword] = value
        return
    parse = parse_boolean if name in _BOOLEANS else KEYWORDS[keyword].parse
    try:
        found[keyword] = text if parse is None else parse(text)
    except ValueError:
        raise ValueError(f"option file {file}: {name} can't be {text!r}") from None
