"""NumPy in the plan's arenas."""
