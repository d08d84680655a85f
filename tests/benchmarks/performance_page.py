"""docs/performance.md, made from what the benchmarks printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from performance import Done

Results = dict[str, dict[str, Any]]
NOT_MEASURED = "not measured"


def page(done: Mapping[str, Done], *, took_s: float, small: bool) -> str:
    """The whole page; nothing that was run is left out."""
    results = {name: each.result for name, each in done.items() if each.result}
    sections = [
        "# Performance",
        (
            "Written by `make bench`; do not edit. Real processes on one machine, the traffic of the budget (OTLP logs,"
            " 12 attributes an event). The per-record program it is compared with is `tests/benchmarks/baseline.py`."
        ),
        "**A short run with a few events, to see that all of it works: no figure here means anything.**"
        if small
        else "",
        _machine(results, took_s),
        _failures(done),
        "## Budget",
        _budget(results),
        *_ingest(done),
        *_stages(done),
        *_kafka(done),
        *_rotel(done),
        *_query(done),
        *_end_to_end(done),
        *_growth(done),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return "" if value is None else str(value)


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
    return table(("Measured on", ""), rows)


def _failures(done: Mapping[str, Done]) -> str:
    failed = [(each.step.command, each.why_not) for each in done.values() if each.why_not]
    return "## Could not be measured\n\n" + table(("Command", "Why"), failed) if failed else ""


def _budget(results: Results) -> str:
    rows = [_budget_row(*line, results) for line in _BUDGET]
    rows += [
        (what, floor, aim, NOT_MEASURED, "the command does not exist yet")
        for what, floor, aim in (
            ("export and verify 1M events", "60 s, 15 s", "20 s, 5 s"),
            ("`verify.py`, standard library only", "40k events/s", "70k events/s"),
        )
    ]
    return table(("What", "Floor", "Aim", "Measured", "Met"), rows)


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
    return what, floor, aim, measured, "aim" if meets_aim else "floor" if meets_floor else "**no**"


def _rate(results: Results) -> tuple[str, bool, bool]:
    rate = results["ingest"]["events_a_second"]
    return f"{rate:,} events/s", rate >= 60_000, rate >= 100_000


def _ratio(results: Results) -> tuple[str, bool, bool]:
    ratio = results["ingest"]["ratio"]
    return f"{ratio['wall']} times (CPU: {ratio['cpu']})", ratio["wall"] >= 8, ratio["wall"] >= 15


def _sealing(results: Results) -> tuple[str, bool, bool]:
    share = results["ingest"]["sealing_share_of_cpu"]
    return f"{share:.0%}", share <= 0.45, share <= 0.30


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


_BUDGET = (
    ("broker → queryable, located, judged, sealed, full width", "60k events/s", "100k events/s", _rate),
    ("the same against the per-record program, in one run", "8 times", "15 times", _ratio),
    ("share of ingest CPU spent on sealing", "45 %", "30 %", _sealing),
    ("worker peak memory, any backlog", "1 GiB", "512 MiB", _worker),
    ("idle `onshore up`, all processes", "1.5 GiB", "800 MiB", _idle),
    ("dashboard view over 50M events, p95", "300 ms", "100 ms", _view),
    ("event sent → visible, idle stack", "5 s", "2 s", _visible),
    ("500 controls against 100, CPU an event", "4 times", "", _axis("controls", 500, 100, 4)),
    ("10k tenants against 1, CPU an event", "1.3 times", "", _axis("tenants", 10_000, 1, 1.3)),
)


def _head(done: Mapping[str, Done], name: str, title: str, text: str) -> list[str]:
    each = done.get(name)
    if each is None or not each.result:
        return []
    return [f"## {title}", f"`{each.step.command}`", text]


def _ingest(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "ingest", "Ingest",
        "Messages wait in the local log; the clock runs from the worker's start until the last event is visible. Both"
        " programs in turn, medians of the rounds. CPU is all processes', kernel included.",
    )  # fmt: skip
    if not head:
        return []
    told = done["ingest"].result
    sides = [("Onshore", told), *([("per-record program", told["baseline"])] if told["baseline"] else [])]
    processes = [
        (who, name, cpu, side["peak_memory_mib"].get(name))
        for who, side in sides
        for name, cpu in side["cpu_us_an_event_by_process"].items()
    ]
    rounds = [
        (who, number, each["events"], each["seconds"], each["events_a_second"])
        for who, all_ in told["rounds"].items()
        for number, each in enumerate(all_, 1)
    ]
    return [
        *head,
        f"{told['bytes_an_event']} bytes and {told['attributes_an_event']} attributes an event.",
        table(("", "Events/s"), [(who, side["events_a_second"]) for who, side in sides]),
        table(("", "Process", "µs of CPU an event", "Peak memory, MiB"), processes),
        "By stage, measured apart in one process with nothing beside it:",
        table(("Stage", "µs of CPU an event"), told["cpu_us_an_event_by_stage"].items()),
        "Each round:",
        table(("", "Round", "Events", "Seconds", "Events/s"), rounds),
    ]


def _stages(done: Mapping[str, Done]) -> list[str]:
    names = [name for name in ("decode", "locate", "judge", "seal", "insert") if name in done and done[name].result]
    if not names:
        return []
    rows = []
    for name in names:
        told = done[name].result
        theirs, ratio = told["baseline"] or {}, told["ratio"] or {}
        rows.append(
            (
                f"`{done[name].step.command}`", told["cpu_us_an_event"], theirs.get("cpu_us_an_event"),
                ratio.get("cpu"), told["wall_us_an_event"], theirs.get("wall_us_an_event"), ratio.get("wall"),
            )
        )  # fmt: skip
    header = ("", "CPU µs", "per-record", "ratio", "wall µs", "per-record", "ratio")
    text = (
        "Each stage beside the per-record program's same step, on the same messages in one process, in turn. Decode"
        " is also normalising; seal is six commitments, a leaf and trees against one hash; insert is every fact table"
        " at full width, the store's CPU included, against 22 columns."
    )
    return ["## Stages", text, table(header, rows)]


def _kafka(done: Mapping[str, Done]) -> list[str]:
    rows = [
        (
            f"`{each.step.command}`", each.result["workers"], each.result["events_a_second"],
            each.result["cpu_us_an_event"], each.result["peak_memory_mib"]["worker"],
        )
        for name, each in done.items()
        if name.startswith("kafka-") and each.result
    ]  # fmt: skip
    if not rows:
        return []
    text = (
        "The same from Apache Kafka (one broker, KRaft, transactions) on the same machine; the broker's CPU competes,"
        " and is not in the figure. Set `ONSHORE_KAFKA_BOOTSTRAP_SERVERS` to a Kafka with nothing in it."
    )
    header = ("", "Workers", "Events/s", "µs of CPU an event", "A worker's peak, MiB")
    return ["## Apache Kafka", text, table(header, rows)]


def _rotel(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "rotel", "Rotel as a peer",
        "The same messages over OTLP/HTTP into Rotel (Rust), whose ClickHouse exporter writes into the same embedded"
        " store. It does not read from a broker or commit there, know where anything is, judge, seal, write violations,"
        " counts or a log, or promise each event once; it acknowledges before rows are stored, and writes 15 columns.",
    )  # fmt: skip
    if not head:
        return []
    told, ours = done["rotel"].result, done["ingest"].result if "ingest" in done else {}
    rows = [("Rotel", told["events_a_second"], told["cpu_us_an_event"])]
    if ours:
        rows.append(("Onshore (ingest above)", ours["events_a_second"], ours["cpu_us_an_event"]))
    by_process = table(("Process", "µs of CPU an event"), told["cpu_us_an_event_by_process"].items())
    return [*head, table(("", "Events/s", "µs of CPU an event"), rows), by_process]


def _query(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "query", "Dashboard",
        "All questions of a page, one after the other, asked by the dashboard's own functions as its read-only user;"
        " nothing is remembered between them. Wall time at the client. A few events went the real way, the engine"
        " copied their rows over three months. The per-record program's table answers by going through its rows.",
    )  # fmt: skip
    if not head:
        return []
    told = done["query"].result
    theirs, ratio = told["baseline"] or {}, told["ratio"] or {}
    rows = [
        (page_, figures["p50"], figures["p95"], theirs.get(page_, {}).get("p50"), ratio.get(page_))
        for page_, figures in told["pages_ms"].items()
    ]
    questions = [(name, figures["p50"], figures["p95"]) for name, figures in told["questions_ms"].items()]
    return [
        *head,
        f"{told['events']:,} events; peak memory of the store {told['peak_memory_mib']['store']:,} MiB.",
        table(("Page", "p50 ms", "p95 ms", "per-record p50 ms", "ratio"), rows),
        table(("Question", "p50 ms", "p95 ms"), questions),
    ]


def _end_to_end(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "end-to-end", "Sent → visible",
        "`onshore up`, idle; OpenTelemetry's SDK and OTLP/HTTP exporter send one event at a time. Seconds from the call"
        " until the read-only user sees the event among the committed ones, and until its finding stands in the list.",
    )  # fmt: skip
    if not head:
        return []
    told = done["end-to-end"].result
    rows = [(name, *figures.values()) for name, figures in told["seconds_until_visible"].items()]
    return [
        *head,
        table(("Visible as", "p50 s", "p95 s", "largest s"), rows),
        table(("Process", "Peak memory, MiB"), told["peak_memory_mib"].items()),
    ]


def _growth(done: Mapping[str, Done]) -> list[str]:
    measured = [each for name, each in done.items() if name.startswith("growth ") and each.result]
    if not measured:
        return []
    text = (
        "How cost and memory grow (`onshore bench growth` does all of it in one command). Each row is a run of ingest"
        " on a data directory of its own. Controls: those that ship, then variants of them for other countries."
        " Tenants: messages of 20 records, so that there are enough. Backlog: what waits when the worker starts."
    )
    header = (
        "Command", "", "Events", "Bytes an event", "Events/s", "µs of CPU an event", "of it judging", "Relative cost",
        "Worker peak, MiB", "Store peak, MiB",
    )  # fmt: skip
    rows = [
        (
            f"`{each.step.command}`", f"{row['value']:,} {row['axis']}", row["events"], row["bytes_an_event"],
            row["events_a_second"], row["cpu_us_an_event"], row["judge_us_an_event"], row["cost_relative_to_first"],
            row["worker_peak_mib"], row["store_peak_mib"],
        )
        for each in measured
        for row in each.result["rows"]
    ]  # fmt: skip
    return ["## Growth", text, table(header, rows)]
