"""Program, data and settings joined for a run."""

from cnndsl.session.choices import Choices
from cnndsl.session.resolve import data_spec, plain_elaboration, resolve
from cnndsl.session.scorers import Scorers, frozen
from cnndsl.session.session import Session, describe_weights, open_session

__all__ = [
    "Choices",
    "Scorers",
    "Session",
    "data_spec",
    "describe_weights",
    "frozen",
    "open_session",
    "plain_elaboration",
    "resolve",
]
