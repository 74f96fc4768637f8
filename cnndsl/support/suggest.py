"""'Did you mean': the names nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """Give at most `limit` of the `known` names that resemble `name`, best first.

    >>> nearest("maxpol", ["conv", "maxpool", "avgpool"])
    ['maxpool', 'avgpool']
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), list(by_folded), n=limit, cutoff=0.6)
    return [by_folded[key] for key in found]
