"""Optimizers, step graph, loop, checkpoints."""
