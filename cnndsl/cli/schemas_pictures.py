"""What `--json` prints: pictures, explanations, comparisons and families."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.cli.schema_forms import (
    COUNT,
    FLAG,
    INTEGER,
    NUMBER,
    SIZE,
    STRING,
    Schema,
    array,
    by_name,
    optional,
    record,
)

DIFF_ROW = record(name=STRING, words=STRING, output=SIZE, params=COUNT, macs=COUNT)
"""A row of one of two programs."""

TRIAL = record(
    number=COUNT,
    settings=by_name(STRING),
    epochs=COUNT,
    accuracy=optional(NUMBER),
    params=COUNT,
    macs=COUNT,
    layers=COUNT,
    seconds=NUMBER,
    test=optional(NUMBER),
)
"""A variant that was trained."""

PICTURES: Mapping[str, Schema] = {
    "draw": record(
        name=STRING,
        format={"enum": ["svg", "png", "dot", "mmd"]},
        file=optional(STRING),
        boxes=array(
            record(
                name=STRING,
                layers=array(STRING),
                words=array(STRING),
                inputs=array(STRING),
                sizes=array(SIZE),
                copies=COUNT,
                params=COUNT,
                macs=COUNT,
            )
        ),
        text=optional(STRING),
    ),
    "explain": {
        "anyOf": [
            record(code=STRING, title=STRING, cause=STRING, example=STRING, fix=STRING),
            record(
                layer=STRING,
                kind=STRING,
                words=STRING,
                accounts=by_name(STRING),
                at=optional(array(COUNT)),
                window=optional(array(array(INTEGER))),
                value=optional(NUMBER),
                reference=optional(NUMBER),
                steps=array(record(text=STRING, value=NUMBER)),
                planes=array(
                    record(
                        title=STRING,
                        numbers={"type": "array"},
                        weights=optional({"type": "array"}),
                        products=optional({"type": "array"}),
                    )
                ),
            ),
        ]
    },
    "diff": record(
        a=STRING,
        b=STRING,
        same=FLAG,
        rows=array(record(alike=FLAG, a=optional(DIFF_ROW), b=optional(DIFF_ROW))),
        totals=by_name(record(a=COUNT, b=COUNT)),
    ),
    "compare": record(
        from_=optional(COUNT),
        to=optional(COUNT),
        networks=array(STRING),
        layers=array(array(STRING)),
        quantities=by_name(array(COUNT)),
    ),
    "variants": record(
        count=COUNT,
        exact=FLAG,
        choices=by_name(STRING),
        variants=array(record(settings=by_name(STRING))),
    ),
    "search": {
        "anyOf": [
            record(event={"const": "start"}, search=STRING, variants=COUNT),
            {"allOf": [record(event={"const": "trial"}), TRIAL]},
            record(event={"const": "done"}, ranking=array(TRIAL), search=STRING),
        ]
    },
}
"""The document of each command; of `search`, each of its lines."""
