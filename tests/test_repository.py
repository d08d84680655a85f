"""What the repository promises about itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from onshore_pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "compose" / "compose.yaml"
THREE_BROKERS = ROOT / "compose" / "kafka" / "three-brokers.yaml"
FOR_COMPOSE_ITSELF = "ONSHORE_COMPOSE_"


def test_the_compose_files_are_valid_against_the_compose_specification() -> None:
    files = [str(COMPOSE), str(THREE_BROKERS)]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *files]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_compose_file_sets_only_settings_that_exist() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", COMPOSE.read_text()))
    ours = {name.removeprefix(PREFIX).lower() for name in named if not name.startswith(FOR_COMPOSE_ITSELF)}
    assert ours
    assert ours <= set(Settings.model_fields)


def test_the_compose_file_publishes_ports_on_loopback_only_and_has_no_way_out() -> None:
    compose = YAML(typ="safe").load(COMPOSE.read_text())
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    for network in compose["networks"].values():
        assert network["driver_opts"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"
    assert all(service["networks"] == ["inside"] for service in compose["services"].values())


def test_the_tests_run_the_kafka_that_the_compose_file_ships() -> None:
    image = YAML(typ="safe").load(COMPOSE.read_text())["services"]["kafka"]["image"]
    three = YAML(typ="safe").load(THREE_BROKERS.read_text())["services"].values()
    assert {broker["image"] for broker in three} == {image}
    pom = (ROOT / "tests" / "support" / "kafka_jars" / "pom.xml").read_text()
    (version,) = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", pom)
    assert image.removesuffix("}").endswith(f":{version}")


def test_the_collector_loses_nothing_by_its_configuration() -> None:
    config = YAML(typ="safe").load((ROOT / "compose" / "otelcol" / "config.yaml").read_text())
    kafka = config["exporters"]["kafka"]
    assert kafka["producer"]["required_acks"] == -1
    assert kafka["sending_queue"]["storage"] == "file_storage"
    assert kafka["sending_queue"]["block_on_overflow"] is True
    assert kafka["retry_on_failure"]["max_elapsed_time"] == 0
    assert "file_storage" in config["service"]["extensions"]


def test_no_module_lies_directly_in_an_outer_folder() -> None:
    assert [path for outer in ("collectors", "pipeline", "dashboard") for path in (ROOT / outer).glob("*.py")] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_digest(name: str) -> None:
    text = (ROOT / name).read_text()
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.MULTILINE)
    assert len(pinned) > 50
    entries = re.split(r"^(?=[a-z0-9][a-z0-9._-]*==)", text, flags=re.MULTILINE)[1:]
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_dependency_has_a_lower_bound_and_is_locked() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    assert [each for each in wanted if ">=" not in each] == []
    locked = set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
    names = {re.sub(r"[._]", "-", re.split(r"[\[>=]", each)[0].lower()) for each in wanted}
    assert names <= locked


def test_every_onshore_command_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"onshore ((?:[a-z-]+)(?: (?:list|validate|test|add))?)(?= |$|`)", text, re.MULTILINE))
    groups = {"up", "demo", "check-truth", "collect", "tenants add", "status", "controls list", "controls validate"}
    assert groups <= named | {name.split()[0] for name in named}
    for command in sorted(groups):
        asked = [sys.executable, "-m", "onshore_pipeline", *command.split(), "--help"]
        helped = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert helped.returncode == 0, f"{command}: {helped.stderr}"


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    files = [link.split("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [file for file in files if not (document.parent / file).is_file()] == []


def test_the_readmes_picture_is_small_enough_to_load_with_it() -> None:
    assert (ROOT / "docs" / "images" / "compliance.png").stat().st_size < 400_000


def test_the_readmes_example_is_an_otlp_request() -> None:
    text = (ROOT / "README.md").read_text()
    body = re.search(r"-d '(\{.*?\})'", text, re.DOTALL)
    assert body is not None
    records = json.loads(body[1])["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert {"onshore.domain", "onshore.data.home"} <= {attribute["key"] for attribute in records[0]["attributes"]}
