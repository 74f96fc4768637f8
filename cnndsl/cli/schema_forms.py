"""Forms that schemas of JSON documents are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Schema: TypeAlias = Mapping[str, object]
"""A JSON Schema."""

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}


def record(**properties: Schema) -> Schema:
    """Describe an object that has all of these keys; `_` at the end of a name is left out."""
    named = {name.removesuffix("_"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": list(named)}


def array(items: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """Describe an object with any keys."""
    return {"type": "object", "additionalProperties": values}


def optional(schema: Schema) -> Schema:
    """Describe a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


SIZE = array({"type": "integer", "minimum": 1})
"""Height, width, channels, or one number of neurons."""
