"""Which rule says how long events are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from onshore_pipeline.context.retention import Retention, read_retention
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime(2028, 2, 29, 12, tzinfo=UTC)


def rules(folder: Path, text: str) -> Retention:
    (folder / "retention.yaml").write_text(text)
    return read_retention(folder)


def kept(retention: Retention, tenant: str, domain: str, classification: str | None) -> str | None:
    rule = retention.rule_for(tenant, domain, classification, NOW)
    return rule.keep if rule is not None else None


def test_the_most_specific_row_counts(tmp_path: Path) -> None:
    retention = rules(
        tmp_path,
        "- {keep: 7y, why: law}\n- {tenant: acme, keep: 400d, why: contract}\n"
        "- {tenant: acme, classification: secret, keep: 30d, why: contract}\n",
    )
    assert kept(retention, "acme", "model_access", "secret") == "30d"
    assert kept(retention, "acme", "model_access", "public") == "400d"
    assert kept(retention, "other", "model_access", "secret") == "7y"


def test_of_equally_specific_rows_the_longest_counts(tmp_path: Path) -> None:
    retention = rules(tmp_path, "- {tenant: acme, keep: 30d, why: a}\n- {domain: model_access, keep: 90d, why: b}\n")
    assert kept(retention, "acme", "model_access", "x") == "90d"


def test_an_unknown_classification_is_kept_as_long_as_any_that_it_may_be(tmp_path: Path) -> None:
    text = (
        "- {keep: 60d, why: a}\n- {classification: secret, keep: 7y, why: b}\n- {classification: x, keep: 1d, why: c}\n"
    )
    assert kept(rules(tmp_path, text), "acme", "model_access", None) == "7y"


def test_what_no_row_names_is_kept_for_ever_and_what_may_be_it_too(tmp_path: Path) -> None:
    retention = rules(tmp_path, "- {classification: secret, keep: 30d, why: a}\n")
    assert kept(retention, "acme", "model_access", "public") is None
    assert kept(retention, "acme", "model_access", None) is None


def test_years_are_years_and_no_day_is_cut_short(tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, "- {keep: 7y, why: a}\n").rules
    assert rule.keeps_since(NOW) == datetime(2021, 2, 28, 12, tzinfo=UTC)
    assert rule.keeps_since(NOW + timedelta(days=1)) == datetime(2021, 3, 1, 12, tzinfo=UTC)


def test_no_file_keeps_everything(tmp_path: Path) -> None:
    assert read_retention(tmp_path) == read_retention(None) == Retention()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{keep: 30, why: a}", "written 400d or 7y"),
        ("{keep: 0d, why: a}", "written 400d or 7y"),
        ("{keep: 900y, why: a}", "written 400d or 7y"),
        ("{keep: 30d}", "'why' is empty"),
        ("{why: a}", "'keep' is empty"),
        ("{domain: models, keep: 30d, why: a}", "'domain' is one of"),
        ("{tennant: acme, keep: 30d, why: a}", "unknown column 'tennant'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    with pytest.raises(ContextError, match=rf"retention\.yaml:2: .*{complaint}"):
        rules(tmp_path, f"# rules\n- {row}\n")


def test_two_rows_about_the_same_events_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="line 1 speaks of the same events"):
        rules(tmp_path, "- {tenant: acme, keep: 30d, why: a}\n- {tenant: acme, keep: 60d, why: b}\n")
