"""TLS as the workers use it."""

from __future__ import annotations

import ssl


def tls_context(authority: str | None) -> ssl.SSLContext:
    """A context that trusts the authority (the path of a PEM file), or anybody without one."""
    context = ssl.create_default_context(cafile=authority)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
