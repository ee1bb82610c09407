"""The commands of the protocol and the responses to them."""

__all__ = ["bulk", "end_of_text", "exchange", "prepared", "query"]
