"""What the words of `train` and `data` sections may be, judged while a program is read."""

from __future__ import annotations

from cnndsl.frontend.closeness import instead, is_close, near
from cnndsl.frontend.sections import Setting
from cnndsl.frontend.values import MapValue, SizeValue
from cnndsl.layers.weights import start_words
from cnndsl.recipes.choices import Choice, make_optimizer, make_schedule
from cnndsl.support.diagnostics import DiagnosticError, error

AUGMENTS = ("flip", "shift", "crop", "jitter")
"""Steps of augmentation."""

METRICS = ("accuracy", "acc", "loss", "error", "top1", "top5", "confusion")
"""What may be asked to be measured; of `top3` and its kin the number counts."""


def choice_of(setting: Setting) -> Choice:
    """Give a setting as the recipes take it: maps as dictionaries."""
    plain = tuple(_plain(value) for value in setting.args)
    named = {name: _plain(value) for name, value in setting.kwargs.items()}
    return Choice(setting.name, plain, named, setting.span, setting.spans)


def _plain(value: object) -> object:
    return dict(value.pairs) if isinstance(value, MapValue) else value


def judged_optimizer(setting: Setting) -> Setting:
    """Give the setting back if there is such an optimizer; raises E0730, E0731 or E0732."""
    make_optimizer(choice_of(setting))
    return setting


def judged_schedule(setting: Setting) -> Setting:
    """Give the setting back if there is such a schedule; raises E0730, E0731 or E0732."""
    make_schedule(choice_of(setting))
    return setting


def judged_start(setting: Setting) -> Setting:
    """Give the setting back if weights can begin so; raises E0730."""
    if setting.name in start_words():
        return setting
    raise _unknown("start", setting, start_words())


def judged_metric(setting: Setting) -> str:
    """Give the name of a metric; raises E0730."""
    top = setting.name.removeprefix("top").lstrip("-_")
    if setting.name in METRICS or (setting.name.startswith("top") and top.isdigit() and int(top)):
        return setting.name
    raise _unknown("metric", setting, METRICS)


def judged_augment(setting: Setting) -> Setting:
    """Give the setting back if it is a step of augmentation with what it needs; raises E0731."""
    numbers = [v for v in setting.args if isinstance(v, int | float) and not isinstance(v, bool)]
    sizes = [v for v in setting.args if isinstance(v, SizeValue)]
    needs = {"shift": bool(numbers), "crop": bool(numbers or sizes)}
    if setting.name in AUGMENTS and needs.get(setting.name, True):
        return setting
    close = near(setting.name, AUGMENTS, limit=1)
    meant = close[0] if close and is_close(setting.name, close[0]) else ""
    known = setting.name in AUGMENTS
    what = f"`{setting.name}` does not say how far" if known else (
        f"`{setting.name}` is no step of augmentation"
    )  # fmt: skip
    raise DiagnosticError(
        error(
            "E0731",
            what,
            setting.span,
            label=f"did you mean `{meant}`?" if meant and not known else "",
            notes=("the steps are: flip, shift 2, crop 28x28, jitter pca",),
        )
    )


def _unknown(what: str, setting: Setting, known: tuple[str, ...]) -> DiagnosticError:
    close = near(setting.name, known, limit=1)
    meant = close[0] if close and is_close(setting.name, close[0]) else ""
    alone = not setting.args and not setting.kwargs
    return DiagnosticError(
        error(
            "E0730",
            f"there is no {what} called `{setting.name}`",
            setting.span,
            label=f"did you mean `{meant}`?" if meant else "",
            notes=(f"known: {', '.join(known)}",),
            fixes=instead(setting.span, meant) if alone and setting.span is not None else (),
        )
    )
