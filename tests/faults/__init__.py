"""Faults between client and server: a proxy that does harm, and a storm of cancellations."""
