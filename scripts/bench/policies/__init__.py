"""Rows of make bench-policy."""
