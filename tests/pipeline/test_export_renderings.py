"""Renderings in bundles: read by others' programs, closed where the bundle is, the same bytes for the same request."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pypdfium2
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

import bundles
import exporting
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.verify import verify_bundle
from onshore_pipeline.jobs.export_renderings import DOCUMENT, OCSF, OSCAL, STAMP
from onshore_pipeline.jobs.export_tables import table
from onshore_pipeline.reports.ocsf import OCSF_VERSION
from onshore_pipeline.reports.timestamps import ask_for_timestamp, verify_timestamp
from stamping_authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
NOW_NS = 1_790_000_000_000_000_000


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("renderings") / "data") as pipeline:
        exporting.send_messages(pipeline, NOW_NS)
        exporting.sign(pipeline, KEYRING)
        yield pipeline


@pytest.fixture(scope="module")
def bundle(sealed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    exporting.export_to(sealed, path, KEYRING)
    return path


def text(document: bytes) -> str:
    read = pypdfium2.PdfDocument(document)
    try:
        return "".join(page.get_textpage().get_text_range() for page in read)
    finally:
        read.close()


def test_verifiers_list_them_as_what_nothing_proves(bundle: Path) -> None:
    found = standalone.verify(str(bundle), standalone.parse_keys(bundles.KEYS))
    assert verify_bundle(bundle, bundles.KEYS) == found
    (line,) = [each for each in found["not_proved"] if "renderings" in each]
    for name in (OSCAL, OCSF, DOCUMENT, "events.parquet"):
        assert name in line


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trestle_reads_the_assessment_results(bundle: Path, tmp_path: Path) -> None:
    from trestle.oscal.assessment_results import AssessmentResults

    (tmp_path / "a.json").write_bytes(bundles.files_of(bundle)[OSCAL])
    read: Any = AssessmentResults.oscal_read(tmp_path / "a.json")
    assert read is not None
    assert any(each.target.target_id.startswith("AU-") for each in read.results[0].findings)


def test_every_finding_is_valid_by_the_published_schema(bundle: Path) -> None:
    schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(OCSF_VERSION))
    names = {2003: "compliance_finding", 2006: "data_security_finding"}
    lines = [json.loads(line) for line in bundles.files_of(bundle)[OCSF].splitlines()]
    assert len(lines) == len(bundles.files_of(bundle)[standalone.FINDINGS].splitlines()) > 0
    for said in lines:
        jsonschema.Draft202012Validator(schemas.get_class_schema(names[said["class_uid"]])).validate(said)


def test_the_dictionary_names_every_column_of_every_table(bundle: Path) -> None:
    files = bundles.files_of(bundle)
    rows = list(csv.DictReader(io.StringIO(files["dictionary.csv"].decode())))
    for name in ("findings.csv", "verdicts.csv", "coverage.csv"):
        header = next(csv.reader(io.StringIO(files[name].decode())))
        assert [row["column"] for row in rows if row["file"] == name] == header


def test_no_text_of_a_table_is_a_formula() -> None:
    said = ("=HYPERLINK(1)", "+1", "-1", "@a", "\tx", "a=1", -1, None)
    (row,) = csv.reader(io.StringIO(table(("a",) * len(said), [said]).decode().partition("\n")[2], newline=""))
    assert row == ["'=HYPERLINK(1)", "'+1", "'-1", "'@a", "'\tx", "a=1", "-1", ""]


def test_parquet_has_no_integers_of_128_bits(bundle: Path) -> None:
    schema = pq.read_schema(io.BytesIO(bundles.files_of(bundle)["events.parquet"]))
    for field in schema:
        assert not pa.types.is_decimal(field.type), field
        assert not pa.types.is_fixed_size_binary(field.type), field


def test_the_document_says_who_asked_why_what_was_found_and_what_it_rests_on(bundle: Path) -> None:
    files = bundles.files_of(bundle)
    said = " ".join(text(files[DOCUMENT]).split())
    for words in ("Request 17", "Office of the Commissioner (AU)", "NOT WITNESSED", "Certificate of the custodian"):
        assert words in said
    listed = {each["name"]: each["sha256"] for each in json.loads(files[standalone.MANIFEST])["files"]}
    assert listed[standalone.EVENTS] in said.replace(" ", "")
    assert b"<pdfaid:part>2</pdfaid:part>" in files[DOCUMENT]


def test_the_same_request_gives_the_same_bytes(sealed: Pipeline, bundle: Path, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING)
    assert (tmp_path / "b.zip").read_bytes() == bundle.read_bytes()


def test_a_bundle_can_be_made_without_the_document(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, with_document=False)
    assert DOCUMENT not in bundles.files_of(tmp_path / "b.zip")


@pytest.mark.parametrize("profile", ["pseudonymous", "minimal"])
def test_no_rendering_says_what_is_closed(sealed: Pipeline, tmp_path: Path, profile: str) -> None:
    """The grep over the container does not see into a document's and Parquet's packed text."""
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, profile=profile)
    files = bundles.files_of(tmp_path / "b.zip")
    table = json.dumps(pq.read_table(io.BytesIO(files["events.parquet"])).to_pylist(), default=str)
    said = {**{name: files[name].decode() for name in (OSCAL, OCSF)}, "table": table, DOCUMENT: text(files[DOCUMENT])}
    for name, content in said.items():
        for value in (*exporting.NAMES, exporting.ADDRESS, "alice.sample", "bob.sample"):
            assert value not in content, name


def test_an_open_bundle_says_in_its_renderings_who_it_was(bundle: Path) -> None:
    """So that the test above can fail."""
    files = bundles.files_of(bundle)
    said: Any = pq.read_table(io.BytesIO(files["events.parquet"])).to_pylist()
    assert exporting.NAMES[0] in json.dumps(said, default=str)
    assert exporting.NAMES[0] in files[OCSF].decode()
    assert "alice.sample" in text(files[DOCUMENT])


def test_an_authority_stamps_the_head_and_none_is_claimed_where_there_is_none(
    sealed: Pipeline, bundle: Path, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    authority = Authority(tmp_path)
    try:
        exporting.export_to(
            sealed, tmp_path / "b.zip", KEYRING,
            stamp=lambda note: ask_for_timestamp(note, authority.address, authority.roots).response,
        )  # fmt: skip
        roots = authority.roots
    finally:
        authority.close()
    files = bundles.files_of(tmp_path / "b.zip")
    verify_timestamp(files[STAMP], files[standalone.HEAD], roots)
    assert STAMP in str(standalone.verify(str(tmp_path / "b.zip"), standalone.parse_keys(bundles.KEYS))["not_proved"])
    assert STAMP not in bundles.files_of(bundle)
