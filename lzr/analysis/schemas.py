"""Schemas of the records, made from the table of fields: JSON Schema of a line, BigQuery's of a table."""

from __future__ import annotations

from typing import Any

from lzr.analysis.columns import BY_NAME, COLUMNS, ENRICHED
from lzr.records.fields import FIELDS

_BIGQUERY = {
    "VARCHAR": "STRING",
    "BLOB": "BYTES",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP_NS": "TIMESTAMP",
}
_KINDS = {"string": "string", "int": "integer", "bool": "boolean"}


def json_schema() -> dict[str, Any]:
    """Of a line of JSON as `lzr` writes it with its default fields; others may be there too.

    https://json-schema.org/draft/2020-12
    """
    properties: dict[str, Any] = {}
    for field in FIELDS:
        schema: dict[str, Any] = {"type": _KINDS[field.kind], "description": field.text}
        column = BY_NAME[field.name]
        if column.high:
            schema |= {"minimum": column.low, "maximum": column.high}
        if field.name == "Timestamp":
            schema["format"] = "date-time"
        if field.name == "data":
            schema |= {"description": f"{field.text}; {field.derived}", "pattern": "^[\\u0000-\\u00ff]*$"}
        properties[field.name] = schema
    for column in ENRICHED:
        schema = {"type": "integer" if column.high else "string", "description": column.text}
        properties[column.name] = schema | (
            {"minimum": column.low, "maximum": column.high} if column.high else {}
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of LZR",
        "type": "object",
        "properties": properties,
        "required": [field.name for field in FIELDS if field.default and not field.optional],
    }


def bigquery() -> list[dict[str, str]]:
    """Of the table that ``lzr export -o scan.parquet`` makes, for ``bq load --source_format=PARQUET``."""
    return [
        {
            "name": column.name,
            "type": "INTEGER" if column.high else _BIGQUERY[column.sql],
            "mode": "NULLABLE",
            "description": column.text,
        }
        for column in COLUMNS
    ]
