"""Definitions and rule tables."""

from cnndsl.ops import activations as activations
from cnndsl.ops import conv as conv
from cnndsl.ops import elementwise as elementwise
from cnndsl.ops import elementwise_loss as elementwise_loss
from cnndsl.ops import evaluate as evaluate
from cnndsl.ops import fused as fused
from cnndsl.ops import linalg as linalg
from cnndsl.ops import loss as loss
from cnndsl.ops import lrn as lrn
from cnndsl.ops import magnitude as magnitude
from cnndsl.ops import norm as norm
from cnndsl.ops import norm_grad as norm_grad
from cnndsl.ops import pad as pad
from cnndsl.ops import pixels as pixels
from cnndsl.ops import pool as pool
from cnndsl.ops import random as random
from cnndsl.ops import reduce as reduce
from cnndsl.ops import resize as resize
from cnndsl.ops import shape as shape
from cnndsl.ops import smooth as smooth
from cnndsl.ops import softmax as softmax
from cnndsl.ops import structural as structural
from cnndsl.ops import unary as unary
