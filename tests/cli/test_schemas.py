from __future__ import annotations

import click
import jsonschema
import pytest

from cnndsl.cli import loading
from cnndsl.cli.app import COMMANDS, cnndsl
from cnndsl.cli.schemas import FAILURE, SCHEMAS, optional, record
from cnndsl.session.resolve import BUILT_IN
from tests.cli.runner import run


@pytest.mark.parametrize("name", [*SCHEMAS, "failure"])
def test_schemas_are_schemas(name: str) -> None:
    schema = FAILURE if name == "failure" else SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


def test_every_command_has_one() -> None:
    described = {name.partition(" ")[0] for name in SCHEMAS}
    assert described == set(COMMANDS)
    for name in SCHEMAS:
        group, _, inner = name.partition(" ")
        command = cnndsl.get_command(click.Context(cnndsl), group)
        if inner:
            assert isinstance(command, click.Group)
            assert inner in command.commands


def test_records_need_all_their_keys() -> None:
    schema = record(pass_={"type": "string"}, line=optional({"type": "integer"}))
    jsonschema.validate({"pass": "decompose", "line": None, "more": 1}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"pass": "decompose"}, schema)


def test_failures_have_one_form() -> None:
    import json

    for command in ("summary", "table", "ir", "plan", "verify", "gradcheck"):
        result = run(command, "no-such-program", "--json")
        document = json.loads(result.out)
        jsonschema.validate(document, FAILURE)
        assert document["exit"] == result.code == 1


def test_programs_without_sizes_take_those_that_run_takes() -> None:
    assert loading.USUAL_DATA == BUILT_IN
