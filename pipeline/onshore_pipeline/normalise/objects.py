"""What kind of thing an event about data touched, and where it lies.

`object_place` is a claim: where the object lies, in the spelling of `domain.object_place`. By it the register `models`
tells weights (`locate.weights`); here its name does, where it ends as no other file's does:

    weights      .safetensors .gguf .ggml .onnx .onnx_data .tflite .llamafile .distcp .keras .nemo .pdparams .caffemodel
                 .mlmodel, packed or not. Not .bin, .pt, .pth, .ckpt, .h5, .pkl: other things are called so, too
    dataset      what a source names as a data set and calls nothing else

Only a word that says no more than that something was stored gives way to `weights`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import polars as pl

from onshore_pipeline.distinct import mapped
from onshore_pipeline.domain.object_place import ABOUT_DATA, STORED, WEIGHTS, object_place

_NAMES: Final = (
    r"(?i)\.(?:safetensors|gguf|ggml|onnx|onnx_data|tflite|llamafile|distcp|keras|nemo|pdparams|caffemodel|mlmodel)"
    r"(?:\.(?:gz|bz2|xz|zst|lz4))?$"
)
_URI: Final = "://"


def place_of(scheme: str, *names: pl.Expr) -> pl.Expr:
    """`SCHEME://NAME/NAME` of a bucket and a key; the bucket's where the key is unknown."""
    container, *inner = names
    whole = pl.concat_str(pl.lit(f"{scheme}://"), container, *(pl.lit("/") + name for name in inner), ignore_nulls=True)
    return pl.when(container.is_not_null()).then(whole)


def unquoted(names: pl.Series) -> pl.Series:
    """Names that a log writes encoded as in URLs, some of them twice, as they are."""
    encoded = names.str.contains("%", literal=True).fill_null(False)
    if not encoded.any():
        return names
    plain = mapped(
        names.set(~encoded, None),
        lambda distinct: pl.Series([unquote(unquote(name)) for name in distinct], dtype=pl.String),
    )
    return names.zip_with(~encoded, plain)


def with_kinds(columns: pl.DataFrame) -> pl.DataFrame:
    """`object_type` of events about data, filled or made `weights` as the module says; `object_place` of data sets.

    Columns action, dataset, object_type and, where a source of the batch tells it, object_place.
    """
    columns = _placed(columns)
    moves = pl.col("action").str.starts_with(ABOUT_DATA)
    # Null counts cost nothing, and most batches have no place of an object, or no kind.
    kind: pl.Expr = pl.when(moves & pl.col("dataset").is_not_null()).then(pl.lit("dataset"))
    if columns["object_type"].null_count() < columns.height:
        kind = pl.coalesce("object_type", kind)
    if "object_place" in columns.columns and columns["object_place"].null_count() < columns.height:
        general = pl.col("object_type").is_null() | pl.col("object_type").is_in(STORED)
        named = moves & general & pl.col("object_place").str.contains(_NAMES)
        kind = pl.when(named).then(pl.lit(WEIGHTS)).otherwise(kind)
    return columns.with_columns(kind.alias("object_type"))


def _placed(columns: pl.DataFrame) -> pl.DataFrame:
    """With the places of data sets that are named by one."""
    # Data sets are few: telling them apart takes half as long as looking into all.
    if not columns["dataset"].unique().str.contains(_URI, literal=True).any():
        return columns
    named = columns["dataset"].str.contains(_URI, literal=True)
    # What stands behind a path may let somebody in, and names nothing.
    plain = pl.col("dataset").str.extract("^([^?#]*)")
    uris = columns.select(pl.when(named).then(plain).alias("object_place")).to_series()
    places = mapped(uris, lambda distinct: pl.Series([object_place(each) for each in distinct], dtype=pl.String))
    known = [pl.col("object_place")] if "object_place" in columns.columns else []
    return columns.with_columns(pl.coalesce(*known, places).alias("object_place"))
