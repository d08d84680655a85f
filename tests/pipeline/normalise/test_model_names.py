from __future__ import annotations

import polars as pl
import pytest

from onshore_pipeline.normalise.model_names import another_answered, is_another


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("sovereign-70b", "sovereign-70b-2026-09"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet-20240620"),
        ("apac.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        (
            "arn:aws:bedrock:ap-southeast-2:111:inference-profile/au.anthropic.claude-opus-4-6-v1:0",
            "claude-opus-4-6-v1",
        ),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-1.5-pro", "gemini-1.5-pro-002"),
        ("gemini-2.5-flash-preview", "gemini-2.5-flash-preview-09-2025"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("llama3:latest", "llama3"),
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.3-70B-Instruct"),
        # names that name no model
        ("openrouter/auto", "mistralai/mistral-7b"),
        ("model-router", "gpt-5-mini-2025-08-07"),
        ("arn:aws:bedrock:us-east-1:111:application-inference-profile/abc123", "anthropic.claude-3-haiku"),
    ],
)
def test_the_same_model_by_another_name_is_no_fallback(asked: str, answered: str) -> None:
    assert not is_another(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-mini", "gpt-4o"),
        ("gpt-4", "gpt-4-turbo-2024-04-09"),
        ("llama3:8b", "llama3:70b"),
        ("amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"),
        ("text-embedding-004", "text-embedding-005"),
        ("meta-llama/Llama-3-8B", "unsloth/Llama-3-8B"),
        ("ft:gpt-4o-2024-08-06:org::id", "gpt-4o-2024-08-06"),
        ("claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"),
        ("sakana-7b", "gpt-4o"),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
    ],
)
def test_another_model_is_a_fallback_both_ways(asked: str, answered: str) -> None:
    assert is_another(asked, answered)
    assert is_another(answered, asked)


def test_pairs_are_read_row_by_row_and_nothing_is_said_of_unknown_names() -> None:
    asked = pl.Series(["a", None, "a", "gpt-4o", None], dtype=pl.String)
    answered = pl.Series(["b", "b", None, "gpt-4o-2024-08-06", None], dtype=pl.String)
    assert another_answered(asked, answered).to_list() == [True, False, False, False, False]
