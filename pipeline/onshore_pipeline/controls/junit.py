"""What the examples came to, as JUnit XML for continuous integration: a suite a control, a case an example."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.controls.examples import ExampleResult
    from onshore_pipeline.errors import ControlError


# XML 1.0, section 2.2: no other character may stand in a document, not even as a reference.
_NO_CHAR: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Suite(NamedTuple):
    """An element, and how many cases, failures and errors it holds."""

    counts: tuple[int, int, int]
    element: str


def junit_xml(results: Iterable[ExampleResult], problems: Iterable[ControlError]) -> str:
    """The report. A control that cannot be read is a suite with one error; `results` have each control's together."""
    suites = [_suite(name, list(group)) for name, group in groupby(results, lambda result: result.control.id)]
    suites += [_unreadable(problem) for problem in problems]
    tests, failures, errors = (sum(suite.counts[place] for suite in suites) for place in range(3))
    head = f'<testsuites name="onshore controls test" tests="{tests}" failures="{failures}" errors="{errors}">'
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', head, *(suite.element for suite in suites), "</testsuites>", ""]
    )


def _suite(name: str, results: list[ExampleResult]) -> _Suite:
    failed = sum(not result.passed for result in results)
    head = f'  <testsuite name={_quoted(name)} tests="{len(results)}" failures="{failed}" errors="0">'
    cases = [line for result in results for line in _case(result)]
    return _Suite((len(results), failed, 0), "\n".join([head, *cases, "  </testsuite>"]))


def _case(result: ExampleResult) -> list[str]:
    opened = f"    <testcase classname={_quoted(result.control.id)} name={_quoted(result.example.name)}"
    if result.passed:
        return [f"{opened}/>"]
    expected = _said(result.example.verdict, result.example.missing)
    message = f"expected {expected}; got {_said(result.verdict, result.missing)}"
    return [f"{opened}>", f"      <failure message={_quoted(message)}/>", "    </testcase>"]


def _said(verdict: str, missing: str | None) -> str:
    return f"{verdict}, {missing} missing" if missing else f"{verdict}"


def _unreadable(problem: ControlError) -> _Suite:
    file = _quoted(str(problem.file))
    lines = [
        f'  <testsuite name={file} tests="1" failures="0" errors="1">',
        f'    <testcase classname={file} name="can be read">',
        f"      <error message={_quoted(str(problem))}/>",
        "    </testcase>",
        "  </testsuite>",
    ]
    return _Suite((1, 0, 1), "\n".join(lines))


def _quoted(text: str) -> str:
    """An attribute's value in quotes, with the replacement character for what XML does not have."""
    return quoteattr(_NO_CHAR.sub("\ufffd", text))
