"""What the documentation says to type can be typed: every command and every option that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from onshore_pipeline.__main__ import app
from onshore_pipeline.commands import elsewhere

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "compose").rglob("*.md"))]
WHOLE: Final = typer.main.get_command(app)
# Begins as a command does: what an export is a movement of, and the first line of what people sign.
NAMES: Final = frozenset({"onshore evidence", "onshore waiver 1"})
IN_LINE: Final = re.compile(r"`(onshore\s[^`]+)`")
IN_BLOCK: Final = re.compile(r"^ {4,}(?:\S+=\S+ )?(onshore .*)$", re.MULTILINE)


def wrong_in(typed: str) -> str:
    """What is wrong with a command as a page has it; '' if nothing is. Words in capitals stand for values."""
    text = re.split(r" #| > |  ", " ".join(typed.split("\n")))[0]
    words = re.sub(r'[\[\]"]', " ", text).split()[1:]
    node: Any = WHOLE
    while words and hasattr(node, "commands") and re.fullmatch(r"[a-z][a-z|-]*", words[0]):
        named = words.pop(0).split("|")
        missing = [each for each in named if each not in node.commands]
        if missing:
            return f"{typed}: there is no command {missing[0]}"
        if node is WHOLE and named[0] in elsewhere.HELP:  # the collectors' own, parsed there
            return ""
        node = node.commands[named[0]]
    if hasattr(node, "commands"):
        return ""
    known = {option for each in node.params for option in (*each.opts, *each.secondary_opts)} | {"--help", "--debug"}
    unknown = [each for word in words for each in re.findall(r"(?<![\w-])--[a-z][a-z-]*", word) if each not in known]
    return f"{typed}: there is no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    typed = {*IN_LINE.findall(text), *IN_BLOCK.findall(text)} - NAMES
    assert sorted(filter(None, map(wrong_in, typed))) == []


def test_a_command_or_an_option_that_is_not_there_is_noticed() -> None:
    assert wrong_in("onshore controls forget ID") == "onshore controls forget ID: there is no command forget"
    assert wrong_in("onshore findings ack|forget ID").endswith("no command forget")
    assert wrong_in("onshore audit [--from T] [--loudly]").endswith("no option --loudly")
    assert wrong_in("onshore controls list [--jurisdiction C] --json    # what is in force") == ""
    assert sum(len(IN_BLOCK.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 50
