"""Words of a layer that mean the same wherever they are run: they are read once.

What `conv 64 3x3 stride 2` says follows from the words alone, unless a program binds one of them.
A layer in a loop, in a block or in a net that is used again comes by the same words many times.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.heads import LayerHead
from cnndsl.frontend.readings import Reading
from cnndsl.frontend.scope import Scope


@dataclass(frozen=True, slots=True)
class PlainWords:
    """Words that mean the same each time they are run, as long as none of them is bound."""

    words: ast.Words
    """The words."""
    head: LayerHead
    """What they begin with."""
    names: tuple[str, ...]
    """Those of them that a program might bind."""
    reading: Reading
    """What they say."""

    def still_mean(self, words: ast.Words, head: LayerHead, scope: Scope) -> bool:
        """Tell whether they say it here, too."""
        if words is not self.words or head != self.head:
            return False
        return all(scope.value(name) is None for name in self.names)


def plain_words(words: ast.Words, head: LayerHead, reading: Reading) -> PlainWords | None:
    """Keep what words say, if it takes no more than themselves to know it."""
    simple = all(isinstance(item, ast.Name | ast.Number | ast.Size) for item in words.items[1:])
    if not simple or isinstance(words.items[0], ast.Call | ast.Indexed) or reading.streams:
        return None
    if reading.kind.inputs[1] != 1 or reading.shapes:
        return None
    names = tuple(item.text for item in words.items[head.used :] if isinstance(item, ast.Name))
    return PlainWords(words, head, names, reading)
