"""Whether the model that answered is the one that was asked for.

Two names mean the same model when they are equal after this, in any case:

    a route before the name      `openai/`, `models/`, `arn:…:inference-profile/`: left out where only one name has it;
                                 `meta-llama/X` and `other/X` stay different
    a vendor of Bedrock's names  `anthropic.`, with or without the profile's region before it (`apac.anthropic.`)
    a version at the end         dates (-2024-08-06, -20240806, @20240806, -2026-09, -0613, -2411, -preview-05-20), a
                                 date's revision (-20241022-v2), Bedrock's :0, latest, a digest; so a pinned version
                                 that is answered by another version of its model is no fallback: both names stay on
                                 record
    -001, -0                     only where one of the two names has it: text-embedding-004 and -005 are two models

Everything else is another model: a size (`llama3:8b` and `llama3:70b`), a -mini, a -preview, a fine-tune and its base.

Nothing is said where the name that was asked for names no model: Azure's deployments, application inference profiles,
routers that choose (`auto`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import mapped

if TYPE_CHECKING:
    from collections.abc import Iterable

# Providers whose request names a deployment, which its owner may call anything.
DEPLOYMENTS: Final = ("azure.ai.openai", "azure.ai.inference", "az.ai.openai", "az.ai.inference", "azure", "azure_ai")
_CHOOSING: Final = ("auto", "default", "model-router", "router")
_OPAQUE: Final = ":application-inference-profile/"
_VENDOR: Final = re.compile(
    r"^(?:(?:us-gov|us|eu|apac|au|jp|ca|sa|global)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen"
    r"|stability|twelvelabs|writer|zai)\."
)
_VERSION: Final = re.compile(
    r"(?:@sha256:[0-9a-f]{64}"
    r"|[-@]20\d{2}-?\d{2}-?\d{2}(?:-v\d+)?"
    r"|[-@]20\d{2}-(?:0[1-9]|1[0-2])"
    r"|(?<=-preview)-\d{2}-\d{2}(?:\d{2})?|(?<=-exp)-\d{2}-\d{2}(?:\d{2})?"
    r"|-\d{4}|(?<=v\d):\d+|[-:@]latest|@default)$"
)
_REVISION: Final = re.compile(r"-(?:\d{3}|0)$")
_BETWEEN: Final = "\x1f"


def another_answered(asked: pl.Series, answered: pl.Series) -> pl.Series:
    """Whether another model answered than was asked for, by pair: Boolean, false where one is null."""
    differ = (asked != answered).fill_null(False)
    if not differ.any():
        return differ
    pairs = pl.select(pl.when(differ).then(pl.concat_str(asked, answered, separator=_BETWEEN))).to_series()
    return mapped(pairs, lambda distinct: pl.Series(_each(distinct.to_list()), dtype=pl.Boolean)).fill_null(False)


def is_another(asked: str, answered: str) -> bool:
    """Whether the two names mean different models, as the module says."""
    if _OPAQUE in asked or asked.rpartition("/")[2].lower() in _CHOOSING:
        return False
    one, other = (name.strip().lower() for name in (asked, answered))
    if "/" not in one or "/" not in other or one.startswith("arn:") or other.startswith("arn:"):
        one, other = one.rpartition("/")[2], other.rpartition("/")[2]
    one, other = _plain(one), _plain(other)
    return one != other and _REVISION.sub("", one) != other and one != _REVISION.sub("", other)


def _each(pairs: Iterable[str]) -> list[bool]:
    return [is_another(asked, answered) for asked, _, answered in (pair.partition(_BETWEEN) for pair in pairs)]


def _plain(name: str) -> str:
    """The name without vendor and versions."""
    left = _VENDOR.sub("", name)
    while (shorter := _VERSION.sub("", left)) != left and shorter:
        left = shorter
    return left
