"""The wire format: frames, payloads, packets and their parts, and what both sides can do."""
