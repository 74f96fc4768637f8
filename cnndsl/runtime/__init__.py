"""Executable, profile."""
