"""TLS contexts, built once per option set: loading the CA store takes tens of milliseconds."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=2)
def default_context(*, verify: bool) -> ssl.SSLContext:
    """A client context; with `verify` the server's certificate must name the host and be signed by
    a CA that the system trusts.
    """
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
