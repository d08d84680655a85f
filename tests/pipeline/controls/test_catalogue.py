from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onshore_pipeline.controls.catalogue import INDEX, catalogue_pages

if TYPE_CHECKING:
    from onshore_pipeline.controls.load import ControlSet

PUBLISHED = Path(__file__).parents[3] / "docs" / "controls"


def test_the_published_catalogue_is_what_the_controls_say_today(packs: ControlSet) -> None:
    pages = catalogue_pages(packs.controls)
    published = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.glob("*.md")}
    stale = sorted(name for name in pages.keys() | published.keys() if pages.get(name) != published.get(name))
    assert stale == [], "run `onshore controls catalogue docs/controls`"


def test_every_control_is_told_with_its_condition_and_what_it_needs(packs: ControlSet) -> None:
    pages = catalogue_pages(packs.controls)
    told = "\n".join(pages.values())
    for control in packs.controls:
        assert f"\n## {control.id}\n" in told
        assert control.rationale in told
        assert control.needs in told
        assert " ".join(control.violated.split()) in told


def test_the_index_counts_each_status_apart(packs: ControlSet) -> None:
    executable = sum(control.status == "executable" for control in packs.controls)
    assert f"| All | {executable} | " in catalogue_pages(packs.controls)[INDEX]
