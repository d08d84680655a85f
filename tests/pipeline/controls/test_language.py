from __future__ import annotations

import pytest

from onshore_pipeline.controls.language import parse_condition
from onshore_pipeline.controls.lists import DatedList, Period
from onshore_pipeline.controls.refusals import LanguageError
from onshore_pipeline.controls.texts import CLICKHOUSE, POLARS, condition_text

ALWAYS = Period(None, None)
LISTS = {
    "eea": DatedList("eea", (("AT", ALWAYS), ("GB", Period(None, 9))), ""),
    "nobody": DatedList("nobody", (), ""),
}

# A condition, the text at which the error points, and a part of what it says.
REFUSED = [
    ("destination_country IS NULL", "IS NULL", "what is unknown stays undetermined by itself"),
    ("encrypted_at_rest IS NOT TRUE", "IS NOT TRUE", "IS is refused"),
    ("action IS DISTINCT FROM 'x'", "IS DISTINCT", "write <>"),
    ("action <=> 'x'", "action", "write ="),
    ("bytes > 1 AND coalesce(dataset, 'x') = 'x'", "coalesce", "COALESCE is refused"),
    ("CASE WHEN encrypted_at_rest THEN TRUE END", "CASE", "write AND, OR, NOT"),
    ("destination_country IN ('AU', NULL)", "NULL", "NULL is refused"),
    ("destination_country IN ()", "destination_country", "at least one literal"),
    ("action IN (SELECT 1)", "action", "not a query"),
    ("EXISTS (SELECT 1)", "1)", "queries are refused"),
    ("bytes / 2 > 3", "/ 2", "multiply the other side"),
    ("bytes % 2 = 1", "% 2", "outside LIKE patterns"),
    ("bytes::int = 3", "::int", "casts are refused"),
    ("CAST(bytes AS int) = 3", "CAST", "casts are refused"),
    ("bytes = 'x'", "bytes", "compares integer with text"),
    ("dataset = TRUE", "dataset", "compares text with boolean"),
    ("categories = home_jurisdictions", "categories", "ask array_contains"),
    ("encrypted_at_rest < encrypted_in_transit", "encrypted_at_rest", "booleans have no order"),
    ("(bytes = 1) = TRUE", "bytes = 1", "a condition cannot be compared"),
    ("1 = 1", "1 = 1", "at least one side must read a column"),
    ("'x' IN ('x')", "'x' IN", "must read a column"),
    ("bytes", "bytes", "no condition by itself"),
    ("'x'", "'x'", "compare a column with it"),
    ("bytes * input_tokens > 1", "bytes", "can leave 128 bits"),
    ("bytes > 1.5", "1.5", "no fractions"),
    ("bytes > 99999999999999999999", "9999", "larger than"),
    ("-bytes < 3", "bytes", "write 0 - column"),
    ("dataset + 1 > 2", "dataset", "integers only"),
    ("action LIKE 'a\\b'", "'a\\b'", "cannot hold a backslash"),
    ("action LIKE 'x' ESCAPE '!'", "ESCAPE", "patterns have no escapes"),
    ("action ILIKE 'x'", "ILIKE", "lower(column)"),
    ("action ~ 'x'", "~", "write LIKE or starts_with"),
    ("action LIKE lower('x')", "lower", "text literals only"),
    ("action BETWEEN SYMMETRIC 'b' AND 'a'", "SYMMETRIC", "the smaller bound first"),
    ("starts_with(action, actor_id)", "actor_id", "text literals only"),
    ("length(bytes) > 3", "length", "needs a text"),
    ("array_contains('x', categories)", "array_contains", "a column that is a list"),
    ("array_contains(categories, bytes)", "bytes", "needs a text"),
    ("sum(bytes) > 1", "sum", "the columns of one event"),
    ("now() > occurred_at", "now", "not part of the control language"),
    ("foo(bytes) = 1", "foo", "the function foo"),
    ("occurred_at > TIMESTAMP 'soon'", "'soon'", "not a time"),
    ("destination_address = 'x'", "destination_address", "compare its host"),
    ("attributes = 'x'", "attributes", "cannot be read"),
    ("outcome = 'success'", "outcome", "list them under outcomes"),
    ("array_contains(contradictions, 'x')", "contradictions", "contradicted('destination')"),
    ("contradicted('dest')", "contradicted", "'destination'"),
    ("e.action = 'x'", "e.action", "write the column's name alone"),
    ("destination_countri = 'AU'", "destination_countri", "did you mean destination_country?"),
    ("ACTION = 'x'", "ACTION", "did you mean action?"),
    ("bytes > 1 AND destination_country IN @eaa", "@eaa", "did you mean eea?"),
    ("@eea = action", "@eea", "behind IN or NOT IN only"),
    ("destination_country = 'au'", "'au'", "write 'AU'"),
    ("array_contains(home_jurisdictions, 'Japan')", "'Japan'", "alpha-2"),
    ("'Japan' = ALL (home_jurisdictions)", "'Japan'", "alpha-2"),
    ("action <> ALL (categories)", "action", "NOT array_contains(list, text)"),
    ("ALL (categories) = action", "", "text = ALL (list)"),
    ("action = ALL (categories, categories)", "action", "text = ALL (list)"),
    ("action = ALL (dataset)", "action", "a list of texts"),
    ("action = ALL ('x')", "action", "a list of texts"),
    ("action = ALL (SELECT 1)", "action", "text = ALL (list)"),
    ("bytes = ALL (categories)", "bytes", "needs a text"),
    ("action IN (ALL (categories))", "ALL", "text literals"),
    ("key_country_basis = 'infered'", "'infered'", "did you mean inferred?"),
    ("domain IN ('data_movment')", "'data_movment'", "did you mean data_movement?"),
    ("action = 'a' b", "action", "nothing behind it"),
    ("action = 'a'; DROP TABLE x", "; DROP", "nothing behind it"),
    ("action = 'x", "action", "not closed"),
    ("action = 'x' AND", "AND", "cannot be read as an SQL condition"),
    ("  ", "  ", "the condition is empty"),
    ("(" * 400 + "encrypted_at_rest" + ")" * 400, "(((", "nested too deeply"),
    ("bytes = 1" + " OR bytes = 1" * 1_000, "", "longer than"),
]


@pytest.mark.parametrize(("text", "at", "why"), REFUSED, ids=[text[:60] for text, _, _ in REFUSED])
def test_what_the_language_does_not_have_is_refused_where_it_stands(text: str, at: str, why: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse_condition(text, LISTS)
    assert why in caught.value.why
    assert text[caught.value.offset :].startswith(at)


TEXTS = [
    ("action = 'x'", "(action = 'x')", "(action = 'x')"),
    ("action != 'it''s'", "(action <> 'it''s')", "(action <> 'it''s')"),
    ("dataset = 'a\\b'", "(dataset = 'a\\b')", "(dataset = 'a\\\\b')"),
    ("action NOT LIKE 'a%'", "(NOT (CAST(action AS VARCHAR) LIKE 'a%'))", "(NOT (action LIKE 'a%'))"),
    ("bytes BETWEEN 1 AND 3", "((bytes >= 1) AND (bytes <= 3))", "((bytes >= 1) AND (bytes <= 3))"),
    ("bytes - -1 > 2", *(("((CAST(bytes AS HUGEINT) - CAST((-1) AS HUGEINT)) > CAST(2 AS HUGEINT))"),
     "((toInt128(bytes) - toInt128((-1))) > toInt128(2))")),
    (
        "array_contains(categories, 'x')",
        "(CASE WHEN ARRAY_LENGTH(categories) > 0 THEN ARRAY_CONTAINS(categories, 'x') END)",
        "(CASE WHEN length(categories) > 0 THEN has(categories, 'x') END)",
    ),
    (
        "array_contains(transit_countries, 'none')",
        "(CASE WHEN ARRAY_LENGTH(transit_countries) > 0 THEN ARRAY_CONTAINS(transit_countries, 'none') END)",
        "(CASE WHEN length(transit_countries) > 0 THEN has(transit_countries, 'none') END)",
    ),
    (
        "'AU' = ALL (home_jurisdictions)",
        ("(CASE WHEN ARRAY_LENGTH(home_jurisdictions) > 0 THEN ARRAY_CONTAINS(home_jurisdictions, 'AU') AND"
         " ARRAY_LENGTH(ARRAY_UNIQUE(home_jurisdictions)) = 1 END)"),
        ("(CASE WHEN length(home_jurisdictions) > 0 THEN has(home_jurisdictions, 'AU') AND"
         " length(arrayDistinct(home_jurisdictions)) = 1 END)"),
    ),
    (
        "occurred_at >= TIMESTAMP '1970-01-01T00:00:01.000001Z'",
        "(CAST(occurred_at AS BIGINT) >= 1000001000)",
        "(toUnixTimestamp64Nano(occurred_at) >= 1000001000)",
    ),
    (
        "contradicted('key')",
        "contradicted_key",
        "arrayExists(entry -> startsWith(entry, 'key:'), contradictions)",
    ),
    ("actor_country IN @nobody", "FALSE", "FALSE"),
    ("actor_country NOT IN @nobody", "(NOT FALSE)", "(NOT FALSE)"),
    (
        "actor_country IN ('DE', @eea)",
        "((actor_country IN ('DE', 'AT')) OR ((actor_country IN ('GB')) AND (CAST(occurred_at AS BIGINT) < 9)))",
        "((actor_country IN ('DE', 'AT')) OR ((actor_country IN ('GB')) AND (toUnixTimestamp64Nano(occurred_at) < 9)))",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "polars", "clickhouse"), TEXTS, ids=[text for text, _, _ in TEXTS])
def test_each_engine_gets_its_own_spelling_of_one_condition(text: str, polars: str, clickhouse: str) -> None:
    condition = parse_condition(text, LISTS)
    assert condition_text(condition, POLARS) == polars
    assert condition_text(condition, CLICKHOUSE) == clickhouse


def test_comments_in_a_condition_are_left_out() -> None:
    assert condition_text(parse_condition("action = 'x' -- why\n/* not */", {}), POLARS) == "(action = 'x')"
