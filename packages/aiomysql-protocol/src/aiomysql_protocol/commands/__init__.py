"""The commands of the protocol and the responses to them."""

__all__ = ["exchange", "prepared", "query"]
