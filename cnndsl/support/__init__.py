"""Source spans, diagnostics, registry, settings, files."""
