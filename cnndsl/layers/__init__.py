"""Layers: what the words of a program mean, with parameters of their own."""
