"""Probes of the small homework."""
