"""Option files, read as the servers' own programs do.

MySQL: "Using Option Files".  One difference: they take the last byte of a value that ends in 0xA0
(à in UTF-8, where it isn't quoted) for white space.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiomysql_core.options.keywords import KEYWORDS, TLS_KEYWORDS, check_value, parse_boolean
from aiomysql_core.options.tls import TlsOptions, parse_versions
from aiomysql_protocol.wire.compression import UNCOMPRESSED

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

#: What may stand before the key of an option, and whether that switches it on; None: it doesn't.
_PREFIXES: Mapping[str, bool | None] = {
    "loose-": None,
    "skip-": False,
    "disable-": False,
    "enable-": True,
}

#: How keys about TLS begin: none of them is passed over.
_ABOUT_TLS = ("ssl", "tls")

#: The older way to ask for compression.
_COMPRESS = "compress"

#: Those that are true or false.
_BOOLEANS = frozenset({"ssl", "ssl-verify-server-cert", _COMPRESS})

#: What that stands for, as for the servers' programs.
_WHERE_OFFERED = ("zlib", UNCOMPRESSED)


def read_option_file(path: str, group: str | None = None) -> Mapping[str, Any]:
    """The keywords of connect() that `path` sets in its `group` (default "client").

    Groups, comments, quotes, escapes and inclusions are those of the servers' own programs; keys
    this driver has no use for are passed over, but for those about TLS.  The keys `ssl` and
    `compress` stand under their names, as bools.  Raises ValueError for a file that can't be read,
    for what the programs refuse, and naming the key for a value that can't be one and for what is
    asked of TLS and can't be done.
    """
    wanted = (group or "client").lower().encode(errors="surrogatepass")
    found: dict[str, Any] = {}
    for file, key, value in _read(os.path.expanduser(path), wanted, 0):
        _add(found, file, key, value)
    return found


def apply_option_file(path: str, group: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, keywords of connect(), with those of an option file, which go before them.

    Raises what `read_option_file` raises; TypeError or ValueError for what `given` has about TLS
    and can't be; and ValueError where both say how a connection is to be encrypted and don't say
    the same, or one would be weakened by the other.
    """
    read = dict(read_option_file(path, group))
    _apply_compression(read, given)
    asked = {name: check_value(name, given[name], KEYWORDS[name]) for name in TLS_KEYWORDS}
    if asked["ssl_mode"] is not None:
        asked["ssl_mode"] = asked["ssl_mode"].upper()
    in_file = {name: read.pop(name) for name in TLS_KEYWORDS if name in read}
    if in_file:
        asked |= _merged(path, asked, in_file)
    return {**given, **asked, **read}


def _apply_compression(read: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put what a file says of compression in keywords."""
    compress = read.pop(_COMPRESS, None)
    if compress is not None:
        read.setdefault("compression", _WHERE_OFFERED if compress else None)
    if "zstd" not in (read.get("compression", given["compression"]) or ()):
        read.pop("compression_level", None)  # as for the programs, it is zstd's alone


def _merged(path: str, asked: Mapping[str, Any], in_file: dict[str, Any]) -> dict[str, Any]:
    """What arguments and an option file ask of TLS together."""
    encrypts = in_file.pop("ssl", None)
    for name, value in in_file.items():
        before, now = asked[name], value
        if name == "tls_version":
            before, now = parse_versions(before), parse_versions(now)
        if before not in (None, "", ()) and before != now:
            raise ValueError(
                f"option {name!r} and option file {path} say different things: "
                "leave one of them out"
            )
    merged = {**asked, **in_file}
    mode = merged["ssl_mode"]
    if encrypts is False:
        if mode not in (None, "DISABLED"):
            raise _contradiction(path, "without", mode)
        in_file["ssl_mode"] = merged["ssl_mode"] = "DISABLED"
    elif encrypts:
        # What insists on TLS already may ask for more than this key does.
        if mode in ("DISABLED", "PREFERRED") or merged["ssl"] is False:
            raise _contradiction(path, "with", mode or "ssl=False")
        if merged["ssl_disabled"]:
            raise _contradiction(path, "with", "ssl_disabled=True")
        if _meaning(merged).mode is None:
            merged["ssl_mode"] = "REQUIRED"
    together = _meaning(merged)
    for alone in (_meaning(asked), _meaning(in_file)):
        if together.is_weaker_than(alone):
            keys = ", ".join(KEYWORDS[name].file for name in in_file)
            raise ValueError(
                f"option {', '.join(_given(asked))} and option file {path} ({keys}) say "
                "different things about TLS, and one would be weakened by the other: leave one of "
                "them out"
            )
    return merged


def _given(asked: Mapping[str, Any]) -> list[str]:
    """The names of what was given that says how a connection is encrypted, quoted."""
    said = {name: asked[name] for name in asked if asked[name] is not None}
    if not said["ssl_disabled"]:
        del said["ssl_disabled"]
    return [repr(name) for name in said if name not in ("ssl_negotiation", "ssl_session_reuse")]


def _meaning(given: Mapping[str, Any]) -> TlsOptions:
    """What keywords about TLS mean, but for when it begins."""
    return TlsOptions.from_keywords({n: v for n, v in given.items() if n != "ssl_negotiation"})


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


def _without_prefixes(key: str) -> tuple[str, bool, bool | None]:
    """A key without what stands before it, whether it may be unknown, and what it is switched to.

    Of several prefixes the last one counts, as for the servers' programs.
    """
    name, is_loose, switch = key, False, None
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
        name, switch = name.removeprefix(prefix), _PREFIXES[prefix]
        is_loose = is_loose or prefix == "loose-"
    if not name.startswith(_ABOUT_TLS) and name not in _BOOLEANS:
        return key.removeprefix("loose-"), is_loose, None
    return name, is_loose, switch


def _switched(file: str, name: str, value: bytes | None, switch: bool) -> bytes:
    """The value of an option with a prefix; 0 turns the prefix around.

    Raises ValueError for other values than 0 and 1: the servers' programs take "skip-ssl=off" for
    what "skip-ssl" means, which not everybody who writes it does.
    """
    if value not in (None, b"0", b"1"):
        shown = value.decode(errors="replace")
        raise ValueError(
            f"option file {file}: {name} with a prefix can't be {shown!r}, only 0 or 1"
        )
    return b"1" if switch is (value != b"0") else b"0"


def _add(found: dict[str, Any], file: str, key: bytes, value: bytes | None) -> None:
    """Add what an option stands for."""
    name, is_loose, switch = _without_prefixes(
        key.decode(errors="replace").replace("_", "-").lower()
    )
    if switch is not None:
        value = _switched(file, name, value, switch) if name in _BOOLEANS else None
    if value is None and name in _BOOLEANS:
        value = b"1"
    keyword = name if name in ("ssl", _COMPRESS) else _KEYS.get(name)
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
