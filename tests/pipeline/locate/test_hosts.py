from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.context import Context

    Destinations = Callable[..., list[dict[str, Any]]]

SONNET = "anthropic.claude-3-5-sonnet-20241022-v2:0"


@pytest.mark.parametrize(
    ("host", "country", "entity", "control"),
    [
        ("bedrock-runtime.ap-southeast-2.amazonaws.com", "AU", "AWS", "US"),
        ("BEDROCK-RUNTIME.AP-SOUTHEAST-2.AMAZONAWS.COM.", "AU", "AWS", "US"),
        ("https://bedrock-runtime.ap-southeast-2.amazonaws.com:443/model/x", "AU", "AWS", "US"),
        ("australia-southeast1-aiplatform.googleapis.com", "AU", "Google Cloud", "US"),
        ("data.s3.ap-southeast-2.amazonaws.com", "AU", "AWS", "US"),
        ("dynamodb.ap-northeast-1.amazonaws.com", "JP", "AWS", "US"),
        ("db.abc.ap-southeast-5.rds.amazonaws.com", "MY", "AWS", "US"),
        ("us-east-1.data.s3.ap-southeast-2.amazonaws.com", "AU", "AWS", "US"),  # the bucket's name is the user's
        ("us-east-1.data.s3.amazonaws.com", None, "AWS", "US"),
        ("ec2.cn-north-1.amazonaws.com.cn", "CN", "Sinnet (AWS China)", "CN"),
        ("oss-ap-southeast-3.aliyuncs.com", "MY", "Alibaba Cloud", "CN"),
        ("dashscope-intl.aliyuncs.com", "SG", "Alibaba Cloud", "CN"),
        ("sts.nowhere-1.amazonaws.com", None, "AWS", "US"),
        ("api.openai.com", None, "OpenAI", "US"),
        ("api.deepseek.com", None, "DeepSeek", "CN"),
        ("acme.openai.azure.com", None, "Microsoft", "US"),
        ("openai.com.attacker.example", None, None, None),
        ("notamazonaws.com", None, None, None),
        ("db.internal", None, None, None),
    ],
)
def test_a_host_says_whose_it_is_and_by_its_region_where_it_is(
    shipped: Context,
    destinations: Destinations,
    host: str,
    country: str | None,
    entity: str | None,
    control: str | None,
) -> None:
    (row,) = destinations(shipped, {"host": host})
    assert (row["country"], row["country_basis"]) == (country, "inferred" if country else "unknown")
    assert (row["entity"], row["control_country"]) == (entity, control)
    assert row["entity_country"] in (None, "CN")
    assert row["contradictions"] == []


def test_the_owners_country_is_not_the_place(shipped: Context, destinations: Destinations) -> None:
    (row,) = destinations(shipped, {"host": "api.openai.com"})
    assert (row["country"], row["control_country"]) == (None, "US")


@pytest.mark.parametrize(
    "host", ["openrouter.ai", "router.huggingface.co", "acme.openai.azure.com", "x.cloudfront.net"]
)
def test_a_host_that_passes_calls_on_is_nowhere_whatever_its_address(
    with_geoip: Context, destinations: Destinations, host: str
) -> None:
    (row,) = destinations(with_geoip, {"host": host, "address": "203.2.218.1"})
    assert (row["country"], row["country_basis"]) == (None, "unknown")
    (declared,) = destinations(with_geoip, {"host": host, "address": "203.2.218.1", "declared_country": "SG"})
    assert (declared["country"], declared["country_basis"]) == ("SG", "asserted")


def test_the_endpoint_of_a_called_model_stands_for_its_host(shipped: Context, destinations: Destinations) -> None:
    endpoint = {"model_endpoint": "https://bedrock-runtime.ap-southeast-2.amazonaws.com"}
    model, data = destinations(shipped, {"domain": "model_access"} | endpoint, {"domain": "data_movement"} | endpoint)
    assert (model["country"], model["entity"]) == ("AU", "AWS")
    assert (data["country"], data["entity"]) == (None, None)


@pytest.mark.parametrize(
    ("model", "country", "candidates"),
    [
        (SONNET, "AU", []),
        (f"apac.{SONNET}", None, ["AU", "HK", "ID", "IN", "JP", "KR", "MY", "NZ", "SG", "TH", "TW"]),
        (f"arn:aws:bedrock:ap-southeast-2:1:inference-profile/us.{SONNET}", None, ["CA", "US"]),
        (f"jp.{SONNET}", "JP", []),
        (f"global.{SONNET}", None, []),
        (f"zz.{SONNET}", None, []),  # a profile we do not know yet routes somewhere, too
        ("moonshot.kimi-k2.5", "AU", []),
    ],
)
def test_a_cross_region_profile_leaves_the_region_of_the_host(
    shipped: Context, destinations: Destinations, model: str, country: str | None, candidates: list[str]
) -> None:
    (row,) = destinations(shipped, {"host": "bedrock-runtime.ap-southeast-2.amazonaws.com", "model_requested": model})
    assert (row["country"], row["country_candidates"]) == (country, candidates)
    assert row["country_basis"] == ("inferred" if country or candidates else "unknown")


def test_a_cross_region_profile_leaves_the_region_that_the_sender_names(
    shipped: Context, destinations: Destinations
) -> None:
    region = {"provider": "aws", "region": "ap-southeast-2", "model_requested": f"global.{SONNET}"}
    (row,) = destinations(shipped, region)
    assert (row["country"], row["country_basis"]) == (None, "unknown")


@pytest.mark.parametrize("source_format", ["aws.bedrock", "aws.cloudtrail"])
def test_a_cross_region_profile_runs_where_the_providers_record_says(
    shipped: Context, destinations: Destinations, source_format: str
) -> None:
    called = {"provider": "aws", "model_requested": f"apac.{SONNET}", "source_format": source_format}
    ran, unsaid = destinations(shipped, called | {"region": "ap-northeast-1"}, called)
    assert (ran["country"], ran["country_basis"]) == ("JP", "asserted")
    assert (unsaid["country"], "JP" in unsaid["country_candidates"]) == (None, True)


def test_the_users_own_hosts_come_first_and_are_asserted(
    own: Callable[..., Context], destinations: Destinations
) -> None:
    context = own(
        **{
            "hosts.csv": "host_pattern,entity,country,reroutes\n"
            "*.models.acme.example,Acme,AU,\ngateway.acme.example,Acme,,yes\nollama,Acme,NZ,\n*.amazonaws.com,Acme,SG,\n",
            "entities.csv": "name,country,control_country\nAcme,AU,JP\n",
        }
    )
    hosts = (
        "llama.eu.models.acme.example",
        "models.acme.example",
        "gateway.acme.example",
        "ollama:11434",
        "s3.amazonaws.com",
    )
    rows = destinations(context, *({"host": host} for host in hosts))
    assert [(row["country"], row["country_basis"]) for row in rows] == [
        ("AU", "asserted"), (None, "unknown"), (None, "unknown"), ("NZ", "asserted"), ("SG", "asserted"),
    ]  # fmt: skip
    assert [row["control_country"] for row in rows] == ["JP", None, "JP", "JP", "JP"]


def test_a_host_region_that_disagrees_with_the_declared_country_is_a_contradiction(
    shipped: Context, destinations: Destinations
) -> None:
    (row,) = destinations(shipped, {"host": "s3.us-east-1.amazonaws.com", "declared_country": "AU"})
    assert row["country"] is None
    assert row["contradictions"] == ["destination:declared=AU,host=us-east-1"]
