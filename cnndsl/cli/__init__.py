"""Commands; the only user of rich and click."""
