"""More controls to measure with, the shipped ones again, each as the law of another country; and fewer: ten of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.activations import FILE_NAME, Activation, written
from onshore_pipeline.controls.load import PACKS, load_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of seven packs and all three domains; six of them judge what the benchmarks send.
TEN: Final = (
    "AU-APP8-01", "EU-GDPR44-01", "JP-APPI28-01", "MY-PDPA129-01", "SG-PDPA26-01", "SOV-01-01", "SOV-04-01",
    "SOV-09-01", "SOV-16-01", "US-DSP401-01",
)  # fmt: skip
_RETIRED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)  # before anything that the benchmarks send

# The traffic's own homes first, so that some variants judge every event.
_COUNTRIES: Final = (
    "AU JP MY SG US NZ IN ID TH VN PH KR TW HK CN GB IE FR DE NL BE LU CH AT IT ES PT DK SE NO FI PL CZ EE LV LT CA MX "
    "BR AR CL CO PE ZA KE NG EG MA AE SA QA IL TR GR"
)
_HOME: Final = re.compile(r"array_contains\(home_jurisdictions, '([A-Z]{2})'\)")
_OTHER: Final = re.compile(r"^(confidence: check|window:|sequence:|absence:)", re.MULTILINE)
_APPLIES: Final = re.compile(r"^applies:\s*(>-\s+)?", re.MULTILINE)


def write_variants(folder: Path, count: int) -> None:
    """Write `count` variants of the shipped controls into `folder`; the loader takes them as it takes any control."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, text) in enumerate(_variants()):
        if number == count:
            return
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    raise ValueError(f"there are fewer than {count} variants")


def retire_all_but_ten(folder: Path) -> None:
    """Leave `TEN` of the shipped controls in force: all others are retired, as `onshore controls retire` does it."""
    folder.mkdir(parents=True, exist_ok=True)
    controls = load_controls()
    running = [*(each.control.id for each in controls.executable), *(each.control.id for each in controls.windowed)]
    retired = sorted(set(running) - set(TEN))
    lines = [Activation(name, 0, "", _RETIRED_AT, _RETIRED_AT, "onshore bench", "ten remain") for name in retired]
    (folder / FILE_NAME).write_text(written(lines), encoding="utf-8")


def shipped() -> int:
    """How many controls ship that are judged event by event."""
    return len(_originals())


def _originals() -> list[tuple[str, str]]:
    """Name and text of each that is judged by the worker: not what has no condition, is unverified, or has a window."""
    texts = [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(PACKS.rglob("*.yaml"))]
    return [(stem, text) for stem, text in texts if _APPLIES.search(text) and not _OTHER.search(text)]


def _variants() -> Iterator[tuple[str, str]]:
    originals = _originals()
    for country in _COUNTRIES.split():
        for stem, text in originals:
            yield f"{stem}-{country}", _of_country(text.replace(f"id: {stem}", f"id: {stem}-{country}", 1), country)


def _of_country(text: str, country: str) -> str:
    """The same requirement for data that must stay in `country`."""
    home = _HOME.search(text)
    if home is None:
        own = f"array_contains(home_jurisdictions, '{country}') AND "
        return _APPLIES.sub(lambda found: f"applies: {found[1] or ''}{own}", text, count=1)
    return re.sub(rf"(?<=[\[' ]){home[1]}(?=[\]',}}\n])", country, text)
