"""docs/performance.md, made from what the benchmarks printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import performance_sections as sections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from performance import Done

Results = dict[str, dict[str, Any]]
NOT_MEASURED = "not measured"


def page(done: Mapping[str, Done], *, took_s: float, small: bool) -> str:
    """The whole page; nothing that was run is left out."""
    results = {name: each.result for name, each in done.items() if each.result}
    parts = [
        "# Performance",
        (
            "Written by `make bench`; do not edit. Real processes on one machine, the traffic of the budget (OTLP logs,"
            " 12 attributes an event). Two per-record programs in plain Python stand beside it. The one with the *same"
            " result* (`tests/benchmarks/same_result.py`) writes, an event at a time, every row that an attempt of ours"
            " has, equal in every column, seal and log entry, as a test shows in two stores; it leaves exactly-once"
            " out. The *afternoon's* (`tests/benchmarks/baseline.py`) does much less: a quarter of the columns, one"
            " hash an event, no commitments or trees, no claims weighed, no owners. Both are one process on one thread;"
            " Onshore's worker has several. So the ratio of CPU is about work, the ratio of events/s also about cores."
        ),
        "**A short run with a few events, to see that all of it works: no figure here means anything.**"
        if small
        else "",
        _machine(results, took_s),
        _failures(done),
        "## Budget",
        _budget(results),
        *sections.ingest(done),
        *sections.stages(done),
        *sections.kafka(done),
        *sections.workers(done),
        *sections.rotel(done),
        *sections.query(done),
        *sections.end_to_end(done),
        *sections.evidence(done),
        *sections.windows(done),
        *sections.growth(done),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(results: Results, took_s: float) -> str:
    about = next((each["machine"] for each in results.values()), None)
    if about is None:
        return "Nothing could be measured."
    loads = [each["machine"]["load_before"] for each in results.values()]
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    rows = (
        ("Date", about["date"]),
        ("Commit", about["commit"]),
        ("Processor", f"{about['processor']}, {about['cores']} cores"),
        ("Memory", f"{about['memory_gib']} GiB"),
        ("System", about["system"]),
        ("Python", about["python"]),
        ("Libraries", libraries),
        ("Load when each benchmark began", f"{min(loads):.2f} to {max(loads):.2f}"),
        ("Took", f"{took_s / 60:.0f} minutes"),
    )
    return sections.table(("Measured on", ""), rows)


def _failures(done: Mapping[str, Done]) -> str:
    failed = [(each.step.command, each.why_not) for each in done.values() if each.why_not]
    return "## Could not be measured\n\n" + sections.table(("Command", "Why"), failed) if failed else ""


def _budget(results: Results) -> str:
    rows = [_budget_row(*line, results) for line in _BUDGET]
    return sections.table(("What", "Floor", "Aim", "Measured", "Met"), rows)


def _budget_row(
    what: str,
    floor: str,
    aim: str,
    measure: Callable[[Results], tuple[str, bool, bool]],
    results: Results,
) -> tuple[str, str, str, str, str]:
    try:
        measured, meets_floor, meets_aim = measure(results)
    except (KeyError, StopIteration, TypeError):
        return what, floor, aim, NOT_MEASURED, ""
    met = "aim" if meets_aim else "floor" if meets_floor else "**no**"
    return what, floor, aim, measured, met if floor else ""


def _rate(results: Results) -> tuple[str, bool, bool]:
    rate = results["ingest"]["events_a_second"]
    return f"{rate:,} events/s", rate >= 60_000, rate >= 100_000


def _ratio(results: Results) -> tuple[str, bool, bool]:
    ratio = results["ingest"]["ratio"]
    return f"{ratio['wall']} times (CPU: {ratio['cpu']})", ratio["wall"] >= 8, ratio["wall"] >= 15


def _afternoon(results: Results) -> tuple[str, bool, bool]:
    ratio = results["ingest"]["ratios"]["afternoon"]
    return f"{ratio['wall']} times (CPU: {ratio['cpu']})", True, False


def _sealing(results: Results) -> tuple[str, bool, bool]:
    share = results["ingest"]["sealing_share_of_cpu"]
    return f"{share:.0%}", share <= 0.45, share <= 0.30


def _signing(results: Results) -> tuple[str, bool, bool]:
    share = results["ingest"]["signing_share_of_cpu"]
    return f"{share:.2%}", share < 0.01, False


def _backtest(results: Results) -> tuple[str, bool, bool]:
    told, events = results["backtest"]["one text"]["wall_s"], results["backtest"]["events"]
    at_50m = told * 50_000_000 / events
    return f"{at_50m:.1f} s at the rate of {told:g} s over {events:,} events", at_50m <= 30, False


def _worker(results: Results) -> tuple[str, bool, bool]:
    peaks = [row["worker_peak_mib"] for row in results["growth backlog"]["rows"]]
    peaks.append(results["ingest"]["peak_memory_mib"]["worker"])
    return f"{max(peaks):,} MiB", max(peaks) <= 1024, max(peaks) <= 512


def _idle(results: Results) -> tuple[str, bool, bool]:
    mib = results["end-to-end"]["idle_memory_mib"]
    return f"{mib:,} MiB", mib <= 1536, mib <= 800


def _view(results: Results) -> tuple[str, bool, bool]:
    told = results["query"]
    slowest = max(told["pages_ms"], key=lambda name: told["pages_ms"][name]["p95"])
    p95 = told["pages_ms"][slowest]["p95"]
    return f"{p95:g} ms ({slowest}, over {told['events']:,} events)", p95 <= 300, p95 <= 100


def _visible(results: Results) -> tuple[str, bool, bool]:
    p95 = results["end-to-end"]["seconds_until_visible"]["finding"]["p95"]
    return f"{p95:g} s (p95, as a finding)", p95 <= 5, p95 <= 2


def _axis(axis: str, over: int, under: int, limit: float) -> Callable[[Results], tuple[str, bool, bool]]:
    def measure(results: Results) -> tuple[str, bool, bool]:
        costs = {row["value"]: row["cpu_us_an_event"] for row in results[f"growth {axis}"]["rows"]}
        ratio = costs[over] / costs[under]
        return f"{ratio:.2f} times", ratio <= limit, False

    return measure


def _pace(name: str, part: str, floor: float, aim: float) -> Callable[[Results], tuple[str, bool, bool]]:
    """The rate, against the least and the aim in events a second."""

    def measure(results: Results) -> tuple[str, bool, bool]:
        told = results[name][part] if part else results[name]
        rate, events = told["events_a_second"], results[name]["events"]
        return f"{rate:,} events/s, over {events:,} events", rate >= floor, rate >= aim

    return measure


def _locating(results: Results) -> tuple[str, bool, bool]:
    mixed = results["locate"]["mixed_addresses"]
    cost = mixed["cpu_us_an_event"]
    measured = f"{cost['new']} µs, {mixed['addresses']:,} addresses never met before (met: {cost['again']} µs)"
    return measured, cost["new"] <= 0.5, False


def _judging(results: Results) -> tuple[str, bool, bool]:
    cost = results["judge"]["cpu_us_an_event"]
    return f"{cost} µs", cost <= 0.5, False


def _windows(results: Results) -> tuple[str, bool, bool]:
    live = results["windows"]["live_keys"]
    peak = max(each["job"] for each in live["peak_memory_mib"].values())
    return f"{peak:,} MiB with {live['keys']:,} keys", peak <= 1024, False


_MILLION = 1_000_000
_BUDGET = (
    ("broker → queryable, located, judged, sealed, full width", "60k events/s", "100k events/s", _rate),
    ("the same against a per-record program with the same result, in one run", "8 times", "15 times", _ratio),
    ("against the afternoon's, which does much less", "", "", _afternoon),
    ("share of ingest CPU spent on sealing", "45 %", "30 %", _sealing),
    ("share of ingest CPU spent on signing heads", "1 %", "", _signing),
    ("locating a batch with 20k addresses, CPU an event", "0.5 µs", "", _locating),
    ("judging by all controls, CPU an event", "0.5 µs", "", _judging),
    ("worker peak memory, any backlog", "1 GiB", "512 MiB", _worker),
    ("idle `onshore up`, all processes", "1.5 GiB", "800 MiB", _idle),
    ("dashboard view over 50M events, p95", "300 ms", "100 ms", _view),
    ("event sent → visible, idle stack", "5 s", "2 s", _visible),
    ("500 controls against 100, CPU an event", "4 times", "", _axis("controls", 500, 100, 4)),
    ("10k tenants against 1, CPU an event", "1.3 times", "", _axis("tenants", 10_000, 1, 1.3)),
    ("export, a million events", "60 s", "20 s", _pace("bundle", "export", _MILLION / 60, _MILLION / 20)),
    ("`onshore verify`, a million events", "15 s", "5 s", _pace("bundle", "verify", _MILLION / 15, _MILLION / 5)),
    ("`verify.py`, standard library only", "40k events/s", "70k events/s", _pace("bundle", "verify_py", 4e4, 7e4)),
    ("`onshore audit`", "200k events/s", "", _pace("audit", "", 2e5, 1e99)),
    ("backtest of one control over 50M events", "30 s", "", _backtest),
    ("state of windows, 1M live keys", "1 GiB", "", _windows),
)
