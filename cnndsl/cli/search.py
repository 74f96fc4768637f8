"""`cnndsl search`: find a good variant of a program by training some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import data_options, device_options, json_option, param_option
from cnndsl.cli.run import POSITIVE, choices, training_options
from cnndsl.cli.table_formats import table_text
from cnndsl.cli.text_tables import Column

if TYPE_CHECKING:
    from cnndsl.search.folder import SearchFolder
    from cnndsl.search.search import Candidate, Search
    from cnndsl.search.trial import Trial

EPOCHS = 3
"""Epochs of the best variants, where nobody says how many."""
SHOWN = 20
"""Rows of the table."""

COLUMNS = (
    Column("", right=True),
    Column("variant", right=True),
    Column("accuracy", right=True),
    Column("epochs", right=True),
    Column("parameters", right=True),
    Column("multiply-adds", right=True),
    Column("settings", wraps=True),
)


@click.command()
@click.argument("program", required=False)
@click.option(
    "--budget", type=POSITIVE, metavar="N", help="How many variants are tried.  [default: 8]"
)
@click.option(
    "--strategy",
    type=click.Choice(["random", "halving"]),
    help="Train all variants alike, or keep the better half round by round.  [default: random]",
)
@click.option("--max-params", type=POSITIVE, metavar="N", help="No more parameters than these.")
@click.option("--max-macs", type=POSITIVE, metavar="N", help="No more multiply-adds than these.")
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Go on with the search in this folder."
)
@param_option
@data_options
@training_options
@device_options
@json_option
def search(
    *, program: str | None, resume: Path | None, runs: Path | None, as_json: bool, **chosen: Any
) -> None:
    """Draw variants of PROGRAM, train each for a few epochs, and rank them.

    What is open are the program's parameters and places (`cnndsl variants`); -p fixes some. The
    ranking is by accuracy on the validation images, then by parameters and multiply-adds; `*` marks
    those that no other beats in both accuracy and parameters. The best is measured on the test
    images. Everything is kept in runs/NAME-search-N: a line for each training, weights, a plot.
    --json prints a line for each training.
    """
    if (program is None) == (resume is None):
        raise click.UsageError("give a PROGRAM, or --resume with the folder of a search")
    if resume is not None:
        given = {name for name, value in {**chosen, "runs": runs}.items() if value}
        if given:
            name = sorted(given)[0].replace("_", "-")
            raise click.UsageError(f"a search goes on as it began: --{name} cannot be changed")
        made, folder = reopened(resume)
        candidates = made.candidates()
    else:
        assert program is not None
        made = begun(program, chosen)
        candidates = made.candidates()
        folder = claimed(made, candidates, runs)
    perform(made, folder, candidates, as_json=as_json)


def begun(program: str, chosen: dict[str, Any]) -> Search:
    """Make the search that the options ask for."""
    from cnndsl.frontend.find import read_program

    asked = {name: chosen.pop(name) for name in ("budget", "strategy", "max_params", "max_macs")}
    epochs, seed = chosen.pop("epochs") or EPOCHS, chosen.pop("seed") or 0
    plan = {
        "budget": asked["budget"] or 8,
        "strategy": asked["strategy"] or "random",
        "epochs": epochs,
        "seed": seed,
        "max_params": asked["max_params"],
        "max_macs": asked["max_macs"],
    }
    tree, base_dir = read_program(program)
    return _search(tree, base_dir, choices(chosen), plan)


def reopened(path: Path) -> tuple[Search, SearchFolder]:
    """Make the search of a folder again, as it was.

    Raises `DiagnosticError` E0720 or E0721 for a folder that holds none.
    """
    from cnndsl.cli.train import reopen_choices
    from cnndsl.frontend.parse import parse_file
    from cnndsl.search.folder import SearchFolder
    from cnndsl.support.diagnostics import DiagnosticError, error
    from cnndsl.train.runs import RunFolder

    folder, record = SearchFolder.open(path)
    chosen, base_dir = reopen_choices(RunFolder(path))
    tree = parse_file(folder.program)
    try:
        return _search(tree, base_dir, chosen, record["plan"]), folder
    except (TypeError, ValueError) as why:
        raise DiagnosticError(
            error("E0721", f"{folder.settings} cannot be used", notes=(f"{why}",))
        ) from None


def _search(tree: Any, base_dir: Path | None, chosen: Any, plan: dict[str, Any]) -> Search:
    from cnndsl.cli.loading import sizes_of_data
    from cnndsl.frontend.variants import family
    from cnndsl.search.search import Plan, Search

    size, classes = sizes_of_data(chosen.data)
    plain = replace(chosen, epochs=None, seed=None)
    open_family = family(
        tree, params=plain.params, input_size=size, classes=classes, base_dir=base_dir
    )
    return Search(tree, open_family, plain, Plan(**plan), base_dir)


def claimed(made: Search, candidates: list[Candidate], runs: Path | None) -> SearchFolder:
    """Make the folder of a new search."""
    from cnndsl.cli.training import runs_root
    from cnndsl.search.folder import SearchFolder

    name = Path(made.program.source.name).stem
    text = made.program.source.text
    record = made.record(candidates)
    return SearchFolder.claim(runs_root(runs), name, program=text, record=record)


def perform(
    made: Search, folder: SearchFolder, candidates: list[Candidate], *, as_json: bool
) -> None:
    """Run a search, say what comes of each training, and show the ranking."""
    from cnndsl.cli.training import Stop
    from cnndsl.search.plot import plot
    from cnndsl.support.diagnostics import StoppedError
    from cnndsl.support.files import write_atomic

    stop = Stop()
    made.observe, made.stop = Teller(as_json), stop
    name = candidates[0].session.network.name
    rejected = f", {made.rejected} others did not fit" if made.rejected else ""
    click.echo(
        f"{name}: {len(candidates)} variants{rejected}; the search is in {folder.path}", err=True
    )
    for note in candidates[0].session.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        emit_json({"event": "start", "search": str(folder.path), "variants": len(candidates)})
    try:
        with stop.listening():
            trials = made.run(folder, candidates)
    except StoppedError:
        click.echo(f"`cnndsl search --resume {folder.path}` goes on from there", err=True)
        raise
    write_atomic(folder.plot, plot(trials, title=f"{name}: {len(trials)} variants").encode())
    if as_json:
        emit_json({"event": "done", "ranking": [trial.record() for trial in trials],
                   "search": str(folder.path)})  # fmt: skip
        return
    click.echo(ranking(trials))
    click.echo("")
    click.echo("\n".join(closing(trials[0], folder)))


class Teller:
    """Says what comes of each training."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __call__(self, trial: Trial) -> None:
        """Say it: a line on stderr, and a JSON line on stdout if that is wanted."""
        accuracy = "no number" if trial.accuracy is None else f"{100 * trial.accuracy:6.2f} %"
        settings = " ".join(f"{name}={value}" for name, value in trial.settings.items())
        click.echo(
            f"{trial.number:>3}  {trial.epochs} epochs  {accuracy}  {trial.params:>11,} parameters"
            f"  {trial.seconds:.1f} s  {settings}",
            err=True,
        )
        if self.as_json:
            emit_json({"event": "trial", **trial.record()})


def ranking(trials: list[Trial]) -> str:
    """Write the table, the best first."""
    from cnndsl.search.trial import front

    best = front(trials)
    rows = []
    for trial in trials[:SHOWN]:
        accuracy = "-" if trial.accuracy is None else f"{100 * trial.accuracy:.2f} %"
        rows.append(
            [
                "*" if trial.number in best else "",
                str(trial.number),
                accuracy,
                str(trial.epochs),
                f"{trial.params:,}",
                f"{trial.macs:,}",
                " ".join(f"{name}={value}" for name, value in trial.settings.items()),
            ]
        )
    return table_text(COLUMNS, rows)


def closing(best: Trial, folder: SearchFolder) -> list[str]:
    """Say what the best one is and how to go on with it."""
    words = " ".join(f"-p {name}={value}" for name, value in best.settings.items())
    lines = [f"the best is variant {best.number}: {words}"]
    if best.test is not None:
        lines.append(f"its test accuracy is {100 * best.test:.2f} %")
    lines.append(f"its weights are {folder.run(best.number).best}; the plot is {folder.plot}")
    return lines
