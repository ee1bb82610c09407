"""The commands of the protocol and the responses to them."""
