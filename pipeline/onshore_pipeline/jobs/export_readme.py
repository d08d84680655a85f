"""The bundle's README.txt: what is in it, what it proves and what it does not, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence.verify_standalone import NOT_PROVED, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.jobs.export_judged import ExportVerdict
    from onshore_pipeline.jobs.export_rows import Counts

_FILES: Final = """\
manifest.json         what was asked for, by whom, for whom; every file with its digest; signed by manifest.dsse.json
entries.ndjson        entries of the evidence log, byte for byte as they were sealed
events.ndjson         the events' lines, byte for byte as they were sealed; what is redactable is a commitment there
openings.ndjson       what of it is disclosed: salt and value, a line an event
verdicts.ndjson       what every control said about every message, as it was sealed
verdicts.csv          the same, added up: how many events were satisfied, violated, undetermined
findings.*            violations of the shown events, by finding
actions.ndjson        what people did about findings, waivers, holds and deletions; waivers.ndjson where waivers stand
people.ndjson         keys of those who signed waivers; holds.ndjson where legal holds stand
restatements.ndjson   windows that were judged again; deletions.ndjson what took events that are here as leaves only
coverage.csv          what should have been seen and was not
controls/             the texts of the controls that judged
context/              registers and lists in force; sets.json connects them with the digests that entries name
heads/                signed heads of the log; proofs/ connects the entries with them
dictionary.csv        what each column of the tables holds
events.parquet        the events for reading with other tools; nothing proves it, nor the next three
report.pdf            the report as a document, with a certificate for the custodian to fill in (where it was asked for)
oscal/, ocsf/         the same for tools that read OSCAL and OCSF
timestamp.tsr         what a timestamp authority says of heads/head.note (where one is configured)
verify.py             the verifier, as a convenience: take it from elsewhere, and the key, too
"""


def readme(request: Request, counts: Counts, verdicts: Sequence[ExportVerdict]) -> bytes:
    """The text, UTF-8."""
    scope = request.scope
    open_ones = [each.control for each in verdicts if each.verdict == "undetermined"]
    broken = [each.control for each in verdicts if each.verdict == "violated"]
    lines = [
        "ONSHORE EVIDENCE BUNDLE",
        "",
        f"Export {request.export_id}, made {request.at.isoformat()} by {request.person}",
        f"For {request.recipient} ({request.recipient_country}). Reason: {request.reason}",
        f"Messages from {moment(scope.since)} to {moment(scope.until)} (exclusive)"
        + (f", tenants {', '.join(scope.tenants)}" if scope.tenants else ", all tenants")
        + (f", events that violate {', '.join(scope.controls)}" if scope.controls else ""),
        f"{counts.events} events of {counts.events_sealed} that were sealed there; {counts.entries} entries of the log",
        f"Closed fields: {', '.join(sorted(request.redacted)) or 'none'}",
        f"{counts.deleted} events of these messages were deleted by retention: their leaves stand for them.",
        f"{counts.closed_events} events are withheld because their sealed line says a closed value in plain text.",
        "",
        "The export was judged as a movement of data: "
        + (f"for a person to judge: {', '.join(broken)}; " if broken else "no control forbids it; ")
        + (f"undetermined: {', '.join(open_ones)}." if open_ones else "none is undetermined."),
        "",
        "TO VERIFY, on any computer with Python 3.9 or newer and without a network:",
        "",
        "    python3 -I verify.py bundle.zip --key operator.vkey",
        "",
        "It says first whether anybody outside has witnessed the log, and how far. The steps are numbered as in",
        "docs/bundle-format.md of Onshore. Exit code 0: as it was sealed. 1: altered. 2: could not be checked.",
        "",
        "FILES",
        "",
        *_FILES.splitlines(),
        "",
        "WHAT IT PROVES",
        "",
        "That the shown entries, events, verdicts and disclosed values are those of a log whose head was signed with",
        "the operator's key, and where the verifier says so, that nothing in the range was left out.",
        "",
        "WHAT IT DOES NOT PROVE",
        "",
        *NOT_PROVED[:-1],
        "",
    ]
    return "\n".join("".join(each if each.isprintable() else " " for each in line) for line in lines).encode()
