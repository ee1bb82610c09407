"""Servers that lie, break off and ask for what is none of their business."""
