"""Pictures of networks: boxes, their layout, and SVG, DOT and Mermaid text."""
