"""`cnndsl explain`: what a diagnostic code means."""

from __future__ import annotations

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import json_option


@click.command()
@click.argument("code")
@json_option
def explain(*, code: str, as_json: bool) -> int:
    """Say what a code such as E0301 means: cause, example, fix."""
    from cnndsl.support.codes import CODES
    from cnndsl.support.pages import page_of
    from cnndsl.support.suggest import nearest

    if code.upper() not in CODES:
        close = nearest(code.upper(), CODES)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise click.UsageError(f"there is no code {code!r}.{hint}")
    page = page_of(code)
    if as_json:
        emit_json(
            {
                "code": page.code,
                "title": page.title,
                "cause": page.cause,
                "example": page.example,
                "fix": page.fix,
            }
        )
    else:
        click.echo(page.text(), nl=False)
    return 0
