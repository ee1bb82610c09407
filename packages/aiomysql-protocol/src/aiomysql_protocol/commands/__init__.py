"""The commands of the protocol and the responses to them."""

__all__ = ["bulk", "exchange", "prepared", "query"]
