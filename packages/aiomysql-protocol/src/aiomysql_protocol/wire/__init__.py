"""The wire format: frames, payloads, packets and their parts, and what both sides can do."""

__all__ = ["capabilities", "charsets", "compression", "errors", "framing", "packets", "primitives"]
