from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.context import Context, load
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., Path]


@pytest.fixture(scope="module")
def shipped() -> Context:
    return load(None)


def test_what_ships_loads_and_every_source_is_named_with_version_and_digest(shipped: Context) -> None:
    names = [source.name for source in shipped.sources]
    assert names == sorted(names)
    assert {"reference/cloud_regions.csv", "reference/operators.csv", "registry/iptocc"} <= set(names)
    assert all(source.version and len(source.sha256) == 64 for source in shipped.sources)


def test_the_digest_is_the_same_for_the_same_knowledge(shipped: Context) -> None:
    assert load(None).digest == shipped.digest
    assert len(shipped.digest) == 64


def test_the_digest_changes_with_any_file_and_with_the_use_of_registry_answers(shipped: Context, write: Write) -> None:
    directory = write(**{"entities.csv": "name,country\nAcme,AU\n"})
    one = load(directory).digest
    write(**{"entities.csv": "name,country\nAcme,NZ\n"})
    assert len({shipped.digest, one, load(directory).digest, load(None, uses_registry=False).digest}) == 4


def test_the_digest_does_not_depend_on_where_the_directory_is(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "entities.csv").write_text("name,country\nAcme,AU\n", encoding="utf-8")
    assert load(tmp_path / "a").digest == load(tmp_path / "b").digest


def test_an_empty_directory_adds_nothing(shipped: Context, tmp_path: Path) -> None:
    assert load(tmp_path).digest == shipped.digest


def test_files_that_are_no_registries_are_left_alone(shipped: Context, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("notes", encoding="utf-8")
    assert load(tmp_path).digest == shipped.digest


@pytest.mark.parametrize(
    ("name", "text", "line", "why"),
    [
        ("hosts.csv", "", 1, "no header line"),
        ("hosts.csv", "host_pattern,entity\nDB?,x\n", 2, "no host pattern"),
        ("hosts.csv", "host_pattern\n*.com\n", 2, "top-level domain"),
        ("hosts.csv", "host_pattern\n*\n", 2, "top-level domain"),
        ("hosts.csv", "host_pattern,reroutes\nx.example,maybe\n", 2, "must be yes or no"),
        ("facilities.csv", "facility,country\n\n# comment\nSYD1,\n", 4, "column 'country' is empty"),
        ("facilities.csv", "facility,country\nSYD1,Atlantis\n", 2, "'Atlantis' is no country"),
        ("facilities.csv", "facility,country\nSYD1,EU\n", 2, "'EU' is no country"),
        ("facilities.csv", "facility,country\nSYD1,AU\nsyd1,AU\n", 3, "another row for the same time"),
        ("facilities.csv", "facility,land\nSYD1,AU\n", 1, "unknown column 'land'"),
        ("facilities.csv", "facility\nSYD1\n", 1, "column 'country' is missing"),
        ("facilities.csv", "facility,country\nSYD1,AU,,,x\n", 2, "5 cells for 2 columns"),
        ("facilities.csv", 'facility,country\n"SYD1,AU\n', 2, "is not CSV"),
        ("addresses.csv", "network,country\n10.0.0.1/8,AU\n", 2, "host bits set"),
        ("addresses.csv", "network,country\nlocalhost,AU\n", 2, "does not appear to be"),
        ("addresses.csv", "network,country\n10.0.0.0/8,\n", 2, "neither country nor facility"),
        ("addresses.csv", "network,country,facility\n10.0.0.0/8,AU,NRT\n", 2, "not in facilities.yaml or"),
        ("operators.csv", "asn,operator,parent_country\nAS64500,Acme,AU\n", 2, "no network number"),
        ("operators.csv", f"asn,operator,parent_country\n{'9' * 5_000},Acme,AU\n", 2, "no network number"),
        ("operators.csv", "asn,operator,parent_country\n64500,AWS,AU\n", 2, "AU here"),
        ("entities.csv", "name,country\nAcme,AU\nacme,NZ\n", 3, "another row for the same time"),
        ("entities.csv", "name,effective_from\nAcme,1/2/2026\n", 2, "is no date"),
        ("entities.csv", "name,effective_from,effective_to\nAcme,2026-02-01,2026-01-01\n", 2, "lies before"),
        ("unknown.csv", "a\n", None, "no registry has this name"),
    ],
)
def test_a_registry_that_cannot_be_used_names_file_line_and_reason(
    write: Write, name: str, text: str, line: int | None, why: str
) -> None:
    directory = write(**{name: text})
    with pytest.raises(ContextError) as caught:
        load(directory)
    assert Path(caught.value.file).name == name
    assert caught.value.line == line
    assert why in caught.value.why


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "entities.csv").write_bytes(b"name,country\nCaf\xe9,FR\n")
    with pytest.raises(ContextError, match=r"entities\.csv:2: is not UTF-8"):
        load(tmp_path)


def test_a_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="ONSHORE_CONTEXT_DIR"):
        load(tmp_path / "nowhere")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "facilities.csv").write_bytes(b"\xef\xbb\xbffacility,country\r\nSYD1,aus\r\n")
    assert load(tmp_path).facilities.rows() == [("syd1", "AU", None)]


def test_a_facility_and_an_address_range_that_disagree_are_an_error(write: Write) -> None:
    directory = write(
        **{
            "facilities.csv": "facility,country\nNRT1,JP\n",
            "addresses.csv": "network,country,facility\n10.0.0.0/8,AU,nrt1\n",
        }
    )
    with pytest.raises(ContextError, match="says country AU, but facility 'nrt1' is in JP"):
        load(directory)
