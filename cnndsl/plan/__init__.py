"""Order, lifetimes, offsets."""
