"""A driver without a GPU: the same kernel text compiled by g++, each thread of a block a fiber."""
