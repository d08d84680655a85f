"""Bedrock invocation logs: where a model ran is what the log says, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

FORMAT = "aws.bedrock"
CALL = {"schemaType": "ModelInvocationLog", "region": "ap-southeast-2", "operation": "Converse"}
ACCOUNT = "arn:aws:bedrock:ap-southeast-2:210987654321"


def told(batch: Batch, **changes: object) -> dict[str, Any]:
    return batch.log(body=json.dumps({**CALL, **changes}), encoding_format=FORMAT, time_ns=1).event()


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",
        "zai.glm-4.6",
        "arn:aws:bedrock:ap-southeast-2::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        f"{ACCOUNT}:provisioned-model/a1b2c3d4",
        f"{ACCOUNT}:imported-model/a1b2c3d4",
    ],
)
def test_a_model_of_the_region_runs_there(batch: Batch, model: str) -> None:
    assert told(batch, modelId=model)["destination_region"] == "ap-southeast-2"


@pytest.mark.parametrize(
    "model",
    [
        "apac.anthropic.claude-sonnet-4-20250514-v1:0",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us-gov.anthropic.claude-3-haiku-20240307-v1:0",
        f"{ACCOUNT}:inference-profile/apac.anthropic.claude-sonnet-4-20250514-v1:0",
        f"{ACCOUNT}:application-inference-profile/a1b2c3d4",
        f"{ACCOUNT}:default-prompt-router/anthropic.claude:1",
        f"{ACCOUNT}:prompt-router/a1b2c3d4",
        None,
    ],
)
def test_a_model_that_may_run_elsewhere_runs_where_the_log_says(batch: Batch, model: str | None) -> None:
    batch.log(body=json.dumps({**CALL, "modelId": model}), encoding_format=FORMAT, time_ns=1)
    stated = {**CALL, "modelId": model, "inferenceRegion": "ap-northeast-1"}
    batch.log(body=json.dumps(stated), encoding_format=FORMAT, time_ns=1)
    assert [event["destination_region"] for event in batch.events()] == [None, "ap-northeast-1"]


@pytest.mark.parametrize(
    ("ran_in", "action"),
    [("ap-northeast-1", "model.fallback"), ("AP-SOUTHEAST-2", "model.invoke"), (None, "model.invoke")],
)
def test_a_model_that_ran_in_another_region_fell_back(batch: Batch, ran_in: str | None, action: str) -> None:
    assert told(batch, modelId="apac.anthropic.claude-3", inferenceRegion=ran_in)["action"] == action


def test_that_a_router_chooses_is_no_fallback(batch: Batch) -> None:
    routed = {"outputBodyJson": {"trace": {"promptRouter": {"invokedModelId": "anthropic.claude-3-haiku"}}}}
    event = told(batch, modelId=f"{ACCOUNT}:default-prompt-router/anthropic.claude:1", output=routed)
    assert (event["action"], event["model_served"]) == ("model.invoke", "anthropic.claude-3-haiku")


def test_counts_may_be_texts(batch: Batch) -> None:
    event = told(batch, modelId="m.x", input={"inputTokenCount": "35"}, output={"outputTokenCount": "-4"})
    assert (event["input_tokens"], event["output_tokens"]) == (35, None)


def test_a_streams_answer_does_not_hide_its_neighbours_router(batch: Batch) -> None:
    routed = {"trace": {"promptRouter": {"invokedModelId": "m.small"}}}
    batch.log(
        body=json.dumps({**CALL, "modelId": "m.a", "output": {"outputBodyJson": [{"invokedModelId": "text"}]}}),
        encoding_format=FORMAT,
    )
    batch.log(body=json.dumps({**CALL, "modelId": "m.b", "output": {"outputBodyJson": routed}}), encoding_format=FORMAT)
    assert [event["model_served"] for event in batch.events()] == [None, "m.small"]


@pytest.mark.parametrize("body", [None, "", "{", "[]", "{}", '{"modelId":{"a":1}}', "x"])
def test_what_is_no_invocation_is_kept(batch: Batch, body: str | None) -> None:
    event = batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()
    assert (event["action"], event["outcome"]) == ("log.record", "unknown")
    assert (event["model_provider"], event["body"]) == (None, body or None)
