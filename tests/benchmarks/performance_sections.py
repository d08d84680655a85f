"""The sections of docs/performance.md, one a benchmark: what it printed, as tables, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from performance import Done

_NAMES = {"same_result": "per-record, same result", "afternoon": "per-record, the afternoon's"}


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


def _head(done: Mapping[str, Done], name: str, title: str, text: str) -> list[str]:
    each = done.get(name)
    if each is None or not each.result:
        return []
    return [f"## {title}", f"`{each.step.command}`", text]


def ingest(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "ingest", "Ingest",
        "Messages wait in the local log; the clock runs from the worker's start until the last event is visible. All"
        " programs in turn, medians of the rounds. CPU is all processes', kernel included.",
    )  # fmt: skip
    if not head:
        return []
    told = done["ingest"].result
    theirs = [(_NAMES[name], each, told["ratios"][name]) for name, each in told["baselines"].items()]
    sides = [("Onshore", told, {}), *theirs]
    processes = [
        (who, name, cpu, side["peak_memory_mib"].get(name))
        for who, side, _ in sides
        for name, cpu in side["cpu_us_an_event_by_process"].items()
    ]
    rounds = [
        (_NAMES.get(name, "Onshore"), number, each["events"], each["seconds"], each["events_a_second"])
        for name, all_ in told["rounds"].items()
        for number, each in enumerate(all_, 1)
    ]
    return [
        *head,
        f"{told['bytes_an_event']} bytes and {told['attributes_an_event']} attributes an event.",
        table(
            ("", "Events/s", "µs of CPU an event", "Ratio of events/s", "Ratio of CPU"),
            [
                (
                    who,
                    side["events_a_second"],
                    sum(side["cpu_us_an_event_by_process"].values()),
                    ratio.get("wall"),
                    ratio.get("cpu"),
                )
                for who, side, ratio in sides
            ],
        ),
        table(("", "Process", "µs of CPU an event", "Peak memory, MiB"), processes),
        "By stage, measured apart in one process with nothing beside it:",
        table(("Stage", "µs of CPU an event"), told["cpu_us_an_event_by_stage"].items()),
        "Each round:",
        table(("", "Round", "Events", "Seconds", "Events/s"), rounds),
    ]


def stages(done: Mapping[str, Done]) -> list[str]:
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
    header = ("", "CPU µs", "afternoon's", "ratio", "wall µs", "afternoon's", "ratio")
    text = (
        "Each stage beside the afternoon's program's same step, on the same messages in one process, in turn. Decode"
        " is also normalising; seal is six commitments, a leaf and trees against one hash; insert is every fact table"
        " at full width, the store's CPU included, against 22 columns."
    )
    return ["## Stages", text, table(header, rows)]


def kafka(done: Mapping[str, Done]) -> list[str]:
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


def workers(done: Mapping[str, Done]) -> list[str]:
    measured = [each for name, each in done.items() if name.startswith("workers-") and each.result]
    if not measured:
        return []
    one = next((each.result["events_a_second"] for each in measured if each.result["workers"] == 1), None)
    rows = [
        (
            f"`{each.step.command}`", each.result["workers"], each.result["events_a_second"],
            round(each.result["events_a_second"] / one, 2) if one else None,
            ", ".join(f"{name} {cpu:g}" for name, cpu in each.result["cpu_us_an_event_by_process"].items()),
        )
        for each in measured
    ]  # fmt: skip
    text = (
        "Workers that get so much of a core each, as if each had a small machine of its own, on the partitions of one"
        " topic; store, sequencer and broker take what they need of the same cores. By process shows how evenly the"
        " messages fell to them."
    )
    header = ("", "Workers", "Events/s", "to one worker", "µs of CPU an event by process")
    return ["## Several workers", text, table(header, rows)]


def rotel(done: Mapping[str, Done]) -> list[str]:
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


def query(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "query", "Dashboard",
        "All questions of a page, one after the other, asked by the dashboard's own functions as its read-only user;"
        " nothing is remembered between them. Wall time at the client. A few events went the real way, the engine"
        " copied their rows over three months. The afternoon's program's table answers by going through its rows."
        " `onshore bench query --events 50000000` measures the budget's own size, which is too long for this page.",
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
        f"{told['events']:,} events, {told['on_disk_mib']:,} MiB; store peak {told['peak_memory_mib']['store']:,}.",
        table(("Page", "p50 ms", "p95 ms", "afternoon's p50 ms", "ratio"), rows),
        table(("Question", "p50 ms", "p95 ms"), questions),
    ]


def end_to_end(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "end-to-end", "Sent → visible",
        "`onshore up`, idle; OpenTelemetry's SDK and OTLP/HTTP exporter send one event at a time. Seconds from the call"
        " until the read-only user sees the event among the committed ones, and until its finding stands in the list.",
    )  # fmt: skip
    if not head:
        return []
    told = done["end-to-end"].result
    rows = [(name, *figures.values()) for name, figures in told["seconds_until_visible"].items()]
    if told.get("baseline"):
        theirs = told["baseline"]["seconds_until_visible"]
        rows += [(f"{name}, the afternoon's program", *figures.values()) for name, figures in theirs.items()]
    return [
        *head,
        table(("Visible as", "p50 s", "p95 s", "largest s"), rows),
        table(("Process", "Peak memory, MiB"), told["peak_memory_mib"].items()),
    ]


def growth(done: Mapping[str, Done]) -> list[str]:
    measured = [each for name, each in done.items() if name.startswith("growth ") and each.result]
    if not measured:
        return []
    text = (
        "How cost and memory grow (`onshore bench growth` does all of it in one command). Each row is a run of ingest"
        " on a data directory of its own. Controls: ten of those that ship, the others retired; all that ship; then"
        " variants of them for other countries, too."
        " Tenants: messages of 20 records, so that there are enough. Addresses: drawn evenly from so many, and counted"
        " in what was sent. Backlog: what waits when the worker starts."
    )
    header = (
        "Command", "", "Events", "Bytes an event", "Events/s", "µs of CPU an event", "by process", "of it judging",
        "Relative cost",
        "Worker peak, MiB", "Store peak, MiB",
    )  # fmt: skip
    rows = [
        (
            f"`{each.step.command}`", _size(row), row["events"], row["bytes_an_event"],
            row["events_a_second"], row["cpu_us_an_event"],
            ", ".join(f"{name} {cpu:g}" for name, cpu in row["cpu_us_an_event_by_process"].items()),
            row["judge_us_an_event"], row["cost_relative_to_first"],
            row["worker_peak_mib"], row["store_peak_mib"],
        )
        for each in measured
        for row in each.result["rows"]
    ]  # fmt: skip
    return ["## Growth", text, table(header, rows)]


def _size(row: Mapping[str, Any]) -> str:
    """What there is of an axis; of addresses also how many were sent, which are fewer where events are."""
    text = f"{row['value']:,} {row['axis']}"
    return f"{text}, {row['distinct_addresses']:,} of them sent" if row["axis"] == "addresses" else text


def evidence(done: Mapping[str, Done]) -> list[str]:
    rows = []
    for name, parts in (("bundle", ("export", "verify", "verify_py")), ("audit", ("",))):
        told = done[name].result if name in done else {}
        for part in parts if told else ():
            each = told[part] if part else told
            rows.append(
                (
                    f"`{done[name].step.command}`", part.replace("_", "."), told["events"], each["seconds"],
                    each["events_a_second"], each["cpu_us_an_event"], each["peak_memory_mib"],
                )
            )  # fmt: skip
    if not rows:
        return []
    text = (
        "Each command as a person runs it, its start included: `export` writes a bundle of all that was sent, `verify`"
        " and `verify.py` check it, `audit` makes every line, leaf and root again from the store. They begin"
        " when the store rests, and nothing that follows from the events is still made beside them."
    )
    header = ("", "Part", "Events", "Seconds", "Events/s", "µs of CPU an event", "Peak memory, MiB")
    return ["## Evidence", text, table(header, rows)]


def windows(done: Mapping[str, Done]) -> list[str]:
    head = _head(
        done, "windows", "Controls over windows",
        "The job that judges windows, sequences and absences: first every key, then a tenth as many new events again;"
        " then new events in windows that hold ten times as much as before.",
    )  # fmt: skip
    if not head:
        return []
    told = done["windows"].result
    live, content = told["live_keys"], told["content"]
    rows = [
        (f"{live['keys']:,} keys, the first run", live["first"]["events"], live["first"]["cpu_us_an_event"]),
        ("the same keys, new events", live["later"]["events"], live["later"]["cpu_us_an_event"]),
        *((f"windows that hold {row['held']:,}", row["new_events"], row["cpu_us_an_event"]) for row in content["rows"]),
    ]
    peaks = [(when, *of.values()) for when, of in live["peak_memory_mib"].items()]
    return [
        *head,
        table(("", "Events judged", "µs of CPU an event"), rows),
        f"Ten times the content costs {content['cost_relative_to_first']} times as much for each new event.",
        table(("Peak memory, MiB", *live["peak_memory_mib"]["first"]), peaks),
    ]
