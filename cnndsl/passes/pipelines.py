"""The two pipelines, with the reason for each pass and its place."""

from __future__ import annotations

from cnndsl.passes.base import Pass
from cnndsl.passes.canonicalize import Canonicalize
from cnndsl.passes.decompose import Decompose
from cnndsl.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from cnndsl.passes.eliminate_dead_nodes import EliminateDeadNodes
from cnndsl.passes.fold_batch_norm import FoldBatchNorm
from cnndsl.passes.fold_constants import FoldConstants
from cnndsl.passes.fuse_elementwise import FuseElementwise
from cnndsl.passes.fuse_epilogue import FuseEpilogue
from cnndsl.passes.fuse_norm import FuseNorm

INFER: tuple[Pass, ...] = (
    EliminateDeadNodes(),  # losses and metrics that nobody asked for would keep values alive
    Decompose(),  # the parts of composite ops are met by all that follows
    FoldBatchNorm(),  # before fusion: a layer with an epilogue is not folded into
    FoldConstants(),  # before the algebra, which looks for constants
    Canonicalize(),  # brings a layer and its activation together
    EliminateCommonSubexpressions(),  # before fusion: two chains are harder to compare than two ops
    FuseEpilogue(),  # the largest saving takes first choice of the elementwise ops
    FuseElementwise(),  # takes what is left of them
    FuseNorm(),  # batch norms that no convolution could take in
    FuseEpilogue(),  # a result that two ops read is read by one when they are fused
    FoldConstants(),  # a table that became a bias was reshaped
    EliminateDeadNodes(),  # what the others left behind
)
"""For graphs that only compute outputs."""

TRAIN: tuple[Pass, ...] = (
    EliminateDeadNodes(),  # outputs of the forward graph that no update needs stay; their rest goes
    Decompose(),  # as above
    FoldConstants(),  # the gradient of a mean begins with arithmetic on constants
    Canonicalize(),  # gradients are broadcast where they need not be, negated twice, ...
    EliminateCommonSubexpressions(),  # vjp rules recompute what their neighbours have
    FuseEpilogue(),  # a layer whose activation's gradient reads the result only
    FuseElementwise(),  # the optimizer's arithmetic becomes one kernel a parameter
    FuseNorm(),  # after the layers, which lose nothing to it; takes whole chains
    FuseEpilogue(),  # as above
    EliminateDeadNodes(),  # as above
)
"""For graphs with updates, after differentiation. Batch norms are not folded: their statistics and
weights move."""
