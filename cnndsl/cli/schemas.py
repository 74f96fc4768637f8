"""What `--json` prints, command by command, as JSON Schema (draft 2020-12).

Each command prints one document on stdout and nothing else; `run` and `train` print a document a
line. Where something goes wrong, the
document is `FAILURE`, whatever the command. New keys may come; keys that are here stay.
"""

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
from cnndsl.cli.schemas_pictures import PICTURES

PAIR: Schema = {"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}
"""Down and across."""
PLACE = record(line=COUNT, column=COUNT)
"""Counted from 1."""
RANGE = record(start=PLACE, end=PLACE)
"""The end is exclusive."""
DIAGNOSTIC = record(
    code={"type": "string", "pattern": "^[ENW][0-9]{4}$"},
    severity={"enum": ["error", "warning", "note"]},
    message=STRING,
    label=STRING,
    file=optional(STRING),
    range=optional(RANGE),
    related=array(record(file=STRING, range=RANGE, text=STRING)),
    notes=array(STRING),
    helps=array(STRING),
    fixes=array(record(title=STRING, range=RANGE, text=STRING)),
)
"""One thing that is wrong, or worth knowing."""
FAILURE = record(ok={"const": False}, exit=COUNT, error=STRING, diagnostics=array(DIAGNOSTIC))
"""Any command that could not do its work; `exit` is the exit code."""
COST = record(flops=INTEGER, macs=INTEGER, bytes_read=INTEGER, bytes_written=INTEGER)
"""What a run takes, or saves."""
NODE = record(
    id=STRING,
    op=STRING,
    operands=array(STRING),
    attributes=STRING,
    types=array(STRING),
    made_by=STRING,
    of=optional(STRING),
    file=optional(STRING),
    line=optional(COUNT),
)
"""A node of a graph."""
SLOT = record(arena=STRING, offset=COUNT, type=STRING)
"""A place in memory; the offset is in bytes."""
PROGRAM = record(
    name=STRING,
    title=STRING,
    path=STRING,
    inputs=by_name(SIZE),
    layers=COUNT,
    params=COUNT,
    macs=COUNT,
)
"""A program of the zoo."""
LAYER = record(
    name=STRING,
    kind=STRING,
    words=STRING,
    inputs=array(STRING),
    output=SIZE,
    params=COUNT,
    trainable=COUNT,
    weights=COUNT,
    statistics=COUNT,
    macs=COUNT,
    flops=COUNT,
    activations=COUNT,
    receptive_field=PAIR,
    stride=array(NUMBER),
    padding=array(INTEGER),
    formula=STRING,
    shares=optional(STRING),
    line=optional(COUNT),
)
"""A layer; `weights` are parameters without biases, `activations` numbers an image."""

REPORT: Schema = {
    "type": "object",
    "properties": {"loss": NUMBER, "accuracy": NUMBER},
    "patternProperties": {"^top[0-9]+$": NUMBER},
    "required": ["loss", "accuracy"],
}
"""Loss, accuracy and top-k of some images."""
TRAINING: Schema = {
    "oneOf": [
        record(event={"const": "start"}, run=STRING, program=STRING),
        record(
            event={"const": "epoch"},
            epoch=COUNT,
            steps=COUNT,
            lr=NUMBER,
            loss=NUMBER,
            accuracy=NUMBER,
            val_loss=NUMBER,
            val_accuracy=NUMBER,
            seconds=NUMBER,
            improved=FLAG,
        ),
        record(event={"const": "done"}, test=optional(REPORT), seconds=NUMBER, run=STRING),
    ]
}
"""A line of a training: `start` once, `epoch` after each epoch, `done` once at the end."""
CACHE_KEYS: dict[str, Schema] = {
    "folder": optional(STRING),
    "kernels": COUNT,
    "choices": COUNT,
    "bytes": COUNT,
    "most_bytes": COUNT,
}
CACHE = record(**CACHE_KEYS)
"""The folder of compiled kernels; sizes in bytes."""
IMPORTED = record(programs=array(STRING), repairs=array(record(line=COUNT, what=STRING)))
"""The programs that a file was read as, and what was cleaned in it."""

SCHEMAS: Mapping[str, Schema] = {
    "run": TRAINING,
    "train": TRAINING,
    "eval": record(
        split={"enum": ["test", "val", "train"]},
        data=STRING,
        images=COUNT,
        loss=NUMBER,
        accuracy=NUMBER,
        classes=array(STRING),
        confusion=optional(array(array(COUNT))),
    ),
    "predict": record(
        images=array(
            record(file=STRING, class_=STRING, scores=array(record(class_=STRING, score=NUMBER)))
        )
    ),
    "check": record(
        ok=FLAG,
        diagnostics=array(DIAGNOSTIC),
        programs=array(record(program=STRING, ok=FLAG)),
    ),
    "summary": record(
        name=STRING,
        inputs=by_name(SIZE),
        outputs=by_name(SIZE),
        totals=record(
            params=COUNT,
            trainable=COUNT,
            weights=COUNT,
            statistics=COUNT,
            macs=COUNT,
            flops=COUNT,
            activations=COUNT,
            activation_bytes=COUNT,
            training_bytes=COUNT,
        ),
        layers=array(LAYER),
    ),
    "table": record(
        name=STRING,
        rows=array(
            record(name=STRING, words=STRING, size=SIZE, memory=optional(STRING), params=STRING)
        ),
        text=STRING,
    ),
    **PICTURES,
    "import darknet": IMPORTED,
    "import keras": IMPORTED,
    "import torch": IMPORTED,
    "import slide": IMPORTED,
    "fmt": record(files=array(record(file=STRING, changed=FLAG, text=STRING))),
    "ir": record(
        name=STRING,
        passes=array(STRING),
        nodes=array(NODE),
        outputs=by_name(STRING),
        updates=by_name(STRING),
        text=STRING,
    ),
    "why": {
        **record(
            name=STRING,
            pass_=STRING,
            runs=array(
                record(
                    run=COUNT,
                    saved=COST,
                    changes=array(
                        record(
                            reason=STRING,
                            before=array(NODE),
                            after=array(NODE),
                            stands_in=array(array(STRING)),
                            saved=COST,
                        )
                    ),
                )
            ),
        ),
    },
    "plan": record(
        name=STRING,
        alignment=COUNT,
        arenas=by_name(COUNT),
        without_sharing=COUNT,
        lower_bound=COUNT,
        steps=array(
            record(
                phase={"enum": ["prepare", "run"]},
                step=COUNT,
                node=STRING,
                op=STRING,
                algorithm=optional(STRING),
                tuned=FLAG,
                reads=array(SLOT),
                writes=array(SLOT),
                bytes=COUNT,
                live=PAIR,
                sharing=optional(STRING),
            )
        ),
    ),
    "tune": record(
        name=STRING,
        shapes=array(
            record(
                nodes=array(STRING),
                op=STRING,
                shape=STRING,
                seconds=by_name(NUMBER),
                estimated=optional(STRING),
                chosen=STRING,
                refused=by_name(STRING),
            )
        ),
    ),
    "bench": record(
        name=STRING,
        batch=COUNT,
        seconds=record(best=NUMBER, median=NUMBER, rounds=COUNT),
        ceiling=optional(
            record(
                threads=COUNT,
                flops_per_second=NUMBER,
                bytes_per_second=NUMBER,
                roofline_seconds=NUMBER,
            )
        ),
        steps=array(
            record(
                node=STRING,
                op=STRING,
                algorithm=STRING,
                seconds=NUMBER,
                flops=INTEGER,
                bytes=COUNT,
                reached=optional(NUMBER),
            )
        ),
    ),
    "kernels": record(
        name=STRING,
        layer=STRING,
        emit={"enum": ["ir", "llvm", "asm", "cuda"]},
        kernels=array(record(node=STRING, op=STRING, algorithm=STRING, text=STRING)),
    ),
    "verify": record(
        ok=FLAG,
        name=STRING,
        batch=COUNT,
        seed=COUNT,
        cases=array(
            record(
                graph={"enum": ["inference", "training"]},
                backend=STRING,
                passes=STRING,
                dtype={"enum": ["f32", "f64"]},
                error=optional(NUMBER),
                bound=NUMBER,
                ok=FLAG,
                worst=STRING,
                first=optional(STRING),
            )
        ),
    ),
    "gradcheck": record(
        ok=FLAG,
        name=STRING,
        bound=NUMBER,
        worst=NUMBER,
        checked=COUNT,
        seed=COUNT,
        parameters=array(record(name=STRING, shape=array(COUNT), error=NUMBER, kinks=COUNT)),
    ),
    "ops": record(
        ops=array(
            record(
                name=STRING,
                gradient=FLAG,
                constant=FLAG,
                backends=record(reference=FLAG, cpu=FLAG, cuda=FLAG),
                doc=STRING,
            )
        ),
        seen_on=by_name(STRING),
    ),
    "zoo": record(programs=array(PROGRAM)),
    "zoo list": record(programs=array(PROGRAM)),
    "zoo show": record(name=STRING, path=STRING, text=STRING),
    "zoo path": record(name=STRING, path=STRING),
    "data list": record(
        datasets=array(
            record(
                name=STRING,
                title=STRING,
                shape=SIZE,
                classes=COUNT,
                counts=by_name(COUNT),
                licence=STRING,
                here=FLAG,
            )
        )
    ),
    "data get": record(files=array(STRING)),
    "cache info": CACHE,
    "cache clear": record(**CACHE_KEYS, freed=COUNT),
    "completion": record(shell=STRING, script=STRING),
    "doctor": record(
        ok=FLAG,
        versions={"type": "object"},
        packages=by_name(STRING),
        extras=by_name(STRING),
        machine={"type": "object"},
        backends=by_name(STRING),
        folders=by_name(STRING),
        **{"data sets": by_name(STRING)},
    ),
}
"""The document of each command."""
