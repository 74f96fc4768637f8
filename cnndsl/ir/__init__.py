"""Types, graph, builder, printer, patterns; the only user of networkx."""
