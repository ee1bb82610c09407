"""The log-in: the greeting, the response to it, and the authentication methods."""

__all__ = ["auth", "certificate_proof", "change_user", "handshake", "login"]
