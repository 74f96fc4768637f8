"""Weights given on the command line, fitted to a session."""

from __future__ import annotations

from pathlib import Path

from cnndsl.runtime.executable import State
from cnndsl.session import Session


def weights_for(session: Session, path: Path) -> State:
    """Read weights for a session's training step; the optimizer begins afresh.

    Raises `WeightsError` with every mismatch.
    """
    from cnndsl.train.checkpoint import check_fit, load_state
    from cnndsl.train.loop import weights_only

    found, _ = load_state(path)
    first = session.first_state()
    weights = weights_only(found)
    wanted = {name: (array.shape, array.dtype) for name, array in weights_only(first).items()}
    check_fit(weights, wanted, name=str(path))
    return weights
