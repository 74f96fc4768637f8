"""Layers: what the words of a program mean, with parameters of their own."""

from cnndsl.layers import activation as activation
from cnndsl.layers import conv as conv
from cnndsl.layers import dense as dense
from cnndsl.layers import dropout as dropout
from cnndsl.layers import join as join
from cnndsl.layers import losses as losses
from cnndsl.layers import norm as norm
from cnndsl.layers import pool as pool
from cnndsl.layers import radial as radial
from cnndsl.layers import recurrent as recurrent
from cnndsl.layers import resize as resize
from cnndsl.layers import shape as shape
from cnndsl.layers import unpool as unpool
from cnndsl.layers import upconv as upconv
