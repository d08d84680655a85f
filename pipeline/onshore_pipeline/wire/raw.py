"""Raw records on Kafka: a message is one record as its source wrote it, and the topic's name says in which format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.broker import RAW_TOPIC_PREFIX
from onshore_pipeline.wire.frames import RECORDS_SCHEMA, RESOURCES_SCHEMA
from onshore_pipeline.wire.parts import Part, message_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_EMPTY: Final = "an empty message holds no record"
_NOT_TEXT: Final = "is not UTF-8: send the record as text in UTF-8"


def format_of(topic: str) -> str | None:
    """The format of the records on a topic; None for a topic that carries no raw ones."""
    # The name decides, not a setting, so that the same message is read alike whatever settings say later.
    return topic.removeprefix(RAW_TOPIC_PREFIX) or None if topic.startswith(RAW_TOPIC_PREFIX) else None


def read(messages: Sequence[tuple[int, str, bytes]]) -> Part:
    """Records of (position in the batch, format, value): the text is the body, and one resource without attributes."""
    texts = [_text(value) for *_, value in messages]
    faults = {
        position: _EMPTY if text is not None else _NOT_TEXT
        for (position, *_), text in zip(messages, texts, strict=True)
        if not text
    }
    records = (
        pl.DataFrame(
            {
                "message": pl.Series([position for position, *_ in messages], dtype=pl.UInt32),
                "encoding_format": [source_format for _, source_format, _ in messages],
                "body": pl.Series(texts, dtype=pl.String),
            }
        )
        .filter(pl.col("body") != "")
        .select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
            "message",
            pl.lit(0, pl.UInt32).alias("record_index"),
            pl.lit("log").alias("signal"),
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("resource"),
            "encoding_format",
            "body",
        )
    )
    unset = (pl.lit(None, dtype).alias(name) for name, dtype in RECORDS_SCHEMA.items() if name not in records.columns)
    records = records.with_columns(*unset).select(RECORDS_SCHEMA.names())
    resources = records.select("resource", "message", pl.lit(None, pl.String).alias("schema_url"))
    return Part(
        records,
        resources=resources.select(RESOURCES_SCHEMA.names()),
        failures=message_failures(faults),
        counts=dict.fromkeys(records["message"].to_list(), 1),
    )


def _text(value: bytes) -> str | None:
    try:
        return value.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        return None
