"""A compiler for convolutional networks: the lecture slide is the program."""

__version__ = "0.1.0"
