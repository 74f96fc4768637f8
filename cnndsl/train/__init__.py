"""Step graph, loop, checkpoints."""
