"""Reverse mode as a graph transformation."""
