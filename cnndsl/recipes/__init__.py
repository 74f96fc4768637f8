"""Optimizers and schedules: names, options and their ranges, and what they do."""
