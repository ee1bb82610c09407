"""Which file a statement of the LOAD DATA LOCAL INFILE kind names.

MySQL: "LOAD DATA Statement", "Protocol::LOCAL INFILE Request".  A server may answer any statement
with the request for a file; only the one that the statement itself names is ever sent.
"""

from __future__ import annotations

import re

_LOAD_LOCAL = re.compile(
    r"""
    \s* (?: /\* .*? \*/ \s* | (?: -- \s | \# ) [^\n]* \n \s* )*
    LOAD \s+ (?:DATA|XML) \s+ (?: (?:LOW_PRIORITY|CONCURRENT) \s+ )?
    LOCAL \s+ INFILE \s+
    (?: ' (?P<single> (?: [^'\\] | \\. | '' )* ) ' | " (?P<double> (?: [^"\\] | \\. | "" )* ) " )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def local_file_name(statement: str, *, no_backslash_escapes: bool = False) -> str | None:
    """The name of the client's file that `statement` loads; None when it is another statement."""
    match = _LOAD_LOCAL.match(statement)
    if match is None:
        return None
    quote = "'" if match["single"] is not None else '"'
    name = (match["single"] or match["double"] or "").replace(quote * 2, quote)
    if no_backslash_escapes:
        return name
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), name, flags=re.DOTALL)
