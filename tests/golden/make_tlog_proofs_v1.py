"""Makes tests/golden/tlog-proofs-v1.json: a proof of one event, attacks on it, and what another implementation says.

The other one is github.com/transparency-dev (modules formats, merkle) with golang.org/x/mod, in Go: `tlog_proof_check`.
Run it once a format version, where Go and its module proxy are reachable, and keep the result for ever.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "support")]

import bundles  # noqa: E402
import exporting  # noqa: E402
from embedded_pipeline import Pipeline, running_pipeline  # noqa: E402
from onshore_pipeline.evidence.keyring import Keyring, SigningKey  # noqa: E402
from onshore_pipeline.evidence.tlog_proof import parse_tlog_proof  # noqa: E402
from onshore_pipeline.jobs.event_proof import ProvenEvent, SealedEvent, find_event, prove_event  # noqa: E402
from onshore_pipeline.jobs.export import Request  # noqa: E402
from onshore_pipeline.jobs.export_scope import Scope  # noqa: E402
from onshore_pipeline.jobs.log_proofs import newest_head  # noqa: E402

CHECKER = HERE / "tlog_proof_check"


def main() -> None:
    keyring = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
    with tempfile.TemporaryDirectory() as temporary, running_pipeline(Path(temporary) / "data") as pipeline:
        exporting.send_messages(pipeline, 1_790_000_000_000_000_000)
        exporting.sign(pipeline, keyring)
        proven = _proven(pipeline)
    good = proven.proof.decode()
    told = parse_tlog_proof(proven.proof)
    assert told.extra is not None
    origin = told.note.text.splitlines()[0]
    cases = _cases(good)
    leaf = told.extra.split(b"\n")[0]
    asked = {"key": str(bundles.verifier()), "origin": origin, "leaf": base64.b64encode(leaf).decode()}
    answers = _judged({**asked, "proofs": list(cases.values())})
    (HERE / "tlog-proofs-v1.json").write_text(
        json.dumps(
            {
                "version": 1,
                "judged_by": {"program": f"{CHECKER.name}/main.go", "go": _go("version"), "modules": _modules()},
                **asked,
                "event": proven.lines.decode(),
                "cases": [
                    {"about": about, "proof": proof, "said": said}
                    for (about, proof), said in zip(cases.items(), answers, strict=True)
                ],
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def _proven(pipeline: Pipeline) -> ProvenEvent:
    event = str(
        pipeline.one("SELECT toString(event_id) FROM events_current WHERE kafka_offset = 2 AND record_index = 1")
    )
    reader = exporting.reader_of(pipeline)
    try:
        head = newest_head(reader)
        found = find_event(reader, head, event)
        assert isinstance(found, SealedEvent)
        at = found.entry.told["timestamp"]
        request = Request(
            export_id=UUID(int=7), at=exporting.NOON, scope=Scope(at, at + 1), recipient="Office of the Commissioner",
            recipient_country="AU", person="Kim Lee", reason="Request 17", profile="full",
            redacted=frozenset(), closed_keys={},
        )  # fmt: skip
        return prove_event(
            reader, request, head, found, controls=pipeline.judgement.controls,
            salt_master=pipeline.judgement.salt_master, only_keys={},
        )  # fmt: skip
    finally:
        reader.close()


def _cases(good: str) -> dict[str, str]:
    lines = good.split("\n")
    index = next(number for number, line in enumerate(lines) if line.startswith("index "))
    end = lines.index("")

    def changed(at: int, text: str) -> str:
        return "\n".join([*lines[:at], text, *lines[at + 1 :]])

    other = base64.b64encode(bytes(32)).decode()
    signature = end + 1 + lines[end + 1 :].index("") + 1
    name, _, encoded = lines[signature].rpartition(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[9] ^= 1
    return {
        "as it was made": good,
        "another index": changed(index, f"index {int(lines[index][6:]) + 1}"),
        "another hash": changed(index + 1, other),
        "a hash less": "\n".join([*lines[: end - 1], *lines[end:]]),
        "a hash more": "\n".join([*lines[:end], other, *lines[end:]]),
        "half a hash": changed(index + 1, lines[index + 1][:20]),
        "another size": changed(end + 2, str(int(lines[end + 2]) + 1)),
        "another root": changed(end + 3, other),
        "another log's origin": changed(end + 1, lines[end + 1][:-1] + ("0" if lines[end + 1][-1] != "0" else "1")),
        "a bit of the signature": changed(signature, f"{name} {base64.b64encode(raw).decode()}"),
        "no signature": "\n".join([*lines[:signature], ""]),
        "another format": changed(0, "c2sp.org/tlog-proof@v2"),
        "no index": "\n".join([*lines[:index], *lines[index + 1 :]]),
    }


def _judged(asked: dict[str, object]) -> list[str]:
    done = subprocess.run(
        ["go", "run", "."], cwd=CHECKER, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    answers: list[str] = json.loads(done.stdout)
    return answers


def _modules() -> list[str]:
    rows = _go("list", "-m", "all").splitlines()[1:]
    return [row for row in rows if row.startswith(("github.com/transparency-dev/", "golang.org/x/mod "))]


def _go(*arguments: str) -> str:
    return subprocess.run(["go", *arguments], cwd=CHECKER, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
