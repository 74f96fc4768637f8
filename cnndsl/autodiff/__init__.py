"""Reverse-mode differentiation as a graph transform, and the check against differences."""
