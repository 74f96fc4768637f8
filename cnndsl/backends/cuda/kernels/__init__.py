"""Rules that write kernels, by family."""

from cnndsl.backends.cuda.kernels import conv as conv
from cnndsl.backends.cuda.kernels import elementwise as elementwise
from cnndsl.backends.cuda.kernels import elementwise_loss as elementwise_loss
from cnndsl.backends.cuda.kernels import linalg as linalg
from cnndsl.backends.cuda.kernels import loss as loss
from cnndsl.backends.cuda.kernels import lrn as lrn
from cnndsl.backends.cuda.kernels import magnitude as magnitude
from cnndsl.backends.cuda.kernels import norm as norm
from cnndsl.backends.cuda.kernels import norm_grad as norm_grad
from cnndsl.backends.cuda.kernels import pad as pad
from cnndsl.backends.cuda.kernels import pool as pool
from cnndsl.backends.cuda.kernels import random as random
from cnndsl.backends.cuda.kernels import reduce as reduce
from cnndsl.backends.cuda.kernels import shape as shape
from cnndsl.backends.cuda.kernels import softmax as softmax
