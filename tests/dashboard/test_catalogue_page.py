"""The dashboard's page of controls says what their files say, control by control."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from control_words import FILES, Written, plain, read
from dashboard_stack import running_store
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.rule_texts import keep_controls
from page_words import open_page, words_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By id, the words of each control's entry, without markup but for the ends of elements."""
    with running_store(tmp_path_factory.mktemp("catalogue")) as store:
        admin = store.admin()
        keep_controls(admin, load_controls())
        admin.close()
        words = words_of(open_page(store.url, store.credentials, "controls"))
    found = re.findall(r"<details.*?<b>(.*?)</b>(.*?)</details>", words, re.DOTALL)
    return {unescape(name): body for name, body in found}


def said(entry: str, name: str) -> list[str]:
    """Everything that stands beside a name."""
    values = re.findall(rf"<dt>{re.escape(name)}</dt><dd>(.*?)</dd>", entry, re.DOTALL)
    return [plain(unescape(re.sub(r"<[^>]*>", "", value))) for value in values]


def codes(entry: str) -> list[str]:
    return [plain(unescape(each)) for each in re.findall(r"<code>(.*?)</code>", entry, re.DOTALL)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_says_what_the_file_says(entries: dict[str, str], path: Path) -> None:
    control: Written = read(path)
    entry = entries[control.id]
    assert said(entry, "Rests on") == [control.citation]
    assert said(entry, "Needs") == ([control.needs] if control.needs else [])
    assert sorted(codes(entry)) == sorted(control.conditions)
    shown = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", entry, re.DOTALL)
    pairs = [(plain(unescape(name)), plain(unescape(value))) for name, value in shown]
    assert [pair for pair in pairs if pair in control.examples] == list(control.examples)
    assert said(entry, "How sure")[0].startswith(f"{control.confidence}, ")


def test_every_control_that_ships_has_one_entry(entries: dict[str, str]) -> None:
    assert sorted(entries) == sorted(read(path).id for path in FILES)
