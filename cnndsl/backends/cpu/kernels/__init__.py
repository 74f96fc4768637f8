"""Kernels by op family; importing this registers them all."""

from cnndsl.backends.cpu.kernels import conv as conv
from cnndsl.backends.cpu.kernels import elementwise as elementwise
from cnndsl.backends.cpu.kernels import elementwise_loss as elementwise_loss
from cnndsl.backends.cpu.kernels import linalg as linalg
from cnndsl.backends.cpu.kernels import loss as loss
from cnndsl.backends.cpu.kernels import lrn as lrn
from cnndsl.backends.cpu.kernels import magnitude as magnitude
from cnndsl.backends.cpu.kernels import norm as norm
from cnndsl.backends.cpu.kernels import norm_grad as norm_grad
from cnndsl.backends.cpu.kernels import pad as pad
from cnndsl.backends.cpu.kernels import pixels as pixels
from cnndsl.backends.cpu.kernels import pool as pool
from cnndsl.backends.cpu.kernels import pool_grad as pool_grad
from cnndsl.backends.cpu.kernels import random as random
from cnndsl.backends.cpu.kernels import reduce as reduce
from cnndsl.backends.cpu.kernels import reduce_where as reduce_where
from cnndsl.backends.cpu.kernels import resize as resize
from cnndsl.backends.cpu.kernels import shape as shape
from cnndsl.backends.cpu.kernels import softmax as softmax
