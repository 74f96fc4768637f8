"""Graph to graph: each pass a file."""

from cnndsl.passes import canonicalize as canonicalize
from cnndsl.passes import decompose as decompose
from cnndsl.passes import eliminate_common_subexpressions as eliminate_common_subexpressions
from cnndsl.passes import eliminate_dead_nodes as eliminate_dead_nodes
from cnndsl.passes import fold_batch_norm as fold_batch_norm
from cnndsl.passes import fold_constants as fold_constants
from cnndsl.passes import fuse_elementwise as fuse_elementwise
from cnndsl.passes import fuse_epilogue as fuse_epilogue
from cnndsl.passes import fuse_norm as fuse_norm
