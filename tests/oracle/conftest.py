"""Nothing here is a test: the scripts need PyTorch, which is no dependency."""

collect_ignore_glob = ["*torch*.py"]
