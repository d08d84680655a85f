"""`onshore checkpoints`: signed heads of the evidence log, given to witnesses and cosigned by them."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption, cut
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

app = typer.Typer(
    help="Signed heads of the evidence log: list them, give them to witnesses, take in what witnesses say.",
    no_args_is_help=True,
    add_completion=False,
)

_NONE: Final = "no head of the evidence log was signed yet: is the sequencer running?"
_HEADS: Final = """
SELECT origin, size, hex(root) AS root, toUnixTimestamp(min(signed_at)) AS first_signed,
    toUnixTimestamp(max(signed_at)) AS last_signed
FROM checkpoints WHERE kind = 'deployment' GROUP BY origin, size, root
ORDER BY last_signed DESC, size DESC LIMIT {most:UInt64}
"""
_COSIGNED: Final = """
SELECT origin, size, witness, toUnixTimestamp(max(witnessed_at)) AS stamp FROM cosignatures
WHERE (origin, size) IN {heads:Array(Tuple(String, UInt64))} GROUP BY origin, size, witness ORDER BY witness
"""


@app.command("list")
def list_heads(
    most: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="So many, the newest first")] = 20,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """The deployment's heads, the newest first: entries, root, when signed, and who has cosigned them when."""
    with closing(_reader(load_settings({"data_dir": data_dir}))) as reader:
        heads = cut(reader.rows(_HEADS, {"most": most + 1}), most)
        asked = {"heads": [(row["origin"], row["size"]) for row in heads]}
        said = reader.rows(_COSIGNED, asked) if heads else []
    by_head: dict[tuple[str, int], list[dict[str, str]]] = {}
    for row in said:
        one = {"witness": row["witness"], "at": _moment(row["stamp"])}
        by_head.setdefault((row["origin"], int(row["size"])), []).append(one)
    told = [
        {
            "origin": row["origin"], "size": int(row["size"]), "root": row["root"].lower(),
            "first_signed": _moment(row["first_signed"]), "last_signed": _moment(row["last_signed"]),
            "witnesses": by_head.get((row["origin"], int(row["size"])), []),
        }
        for row in heads
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told))
        return
    for head in told:
        who = ", ".join(f"{each['witness']} at {each['at']}" for each in head["witnesses"]) or "not witnessed"
        typer.echo(f"{head['last_signed']}  {head['size']:>12,} entries  {head['root'][:16]}  {head['origin']}  {who}")
    if not told:
        typer.echo(_NONE)


@app.command("publish")
def publish(
    witness: Annotated[
        str | None, typer.Option(metavar="NAME", help="What this witness is sent, with a proof from what it has seen")
    ] = None,
    old: Annotated[
        int | None, typer.Option("--old", min=0, metavar="SIZE", help="The witness knows so many entries: it said so")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Into a folder a log: checkpoint, add-checkpoint.WITNESS")
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write the newest head as a signed note; for a witness, with the proof that it goes on from what it has seen.

    A request is what c2sp.org/tlog-witness calls `add-checkpoint`; its answer goes to `onshore checkpoints import`.
    """
    from onshore_pipeline.jobs.log_proofs import newest_heads
    from onshore_pipeline.signing_key import witness_keys

    settings = load_settings({"data_dir": data_dir})
    names = sorted({key.name for key in witness_keys(settings)})
    if witness is not None and names and witness not in names:
        raise OnshoreError(f"--witness {witness}: witness_keys_file has no such name; it has {', '.join(names)}")
    with closing(_reader(settings)) as reader:
        heads = newest_heads(reader)
        if not heads:
            raise OnshoreError(_NONE)
        if out is not None:
            written = _into_folder(reader, heads, out, [witness] if witness else names, old)
            typer.echo(json.dumps([str(each) for each in written]) if as_json else "\n".join(map(str, written)))
            return
        asked = witness is not None or old is not None
        text = _request(reader, heads[0], witness, old) if asked else heads[0].note.decode()
    told = {"origin": heads[0].head.origin, "size": heads[0].head.size, "request" if asked else "note": text}
    typer.echo(json.dumps(told) if as_json else text, nl=as_json)


@app.command("import")
def import_cosigned(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Read as one; - is standard input")],
    who: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who imports it; recorded")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Take in what witnesses say of a head: a note with their lines, or what one was sent and its answer behind it.

    Exit 1: a signature is forged, or the log is not the one that the witness has seen. 2: nobody can tell.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.evidence.signed_note import NoteRefused
    from onshore_pipeline.evidence.witnessing import parse_cosigned
    from onshore_pipeline.jobs.witnesses import check_cosigned, keep
    from onshore_pipeline.signing_key import own_verifier_keys, witness_keys

    if not who.strip():
        raise OnshoreError("--as is empty: it stands beside what is imported")
    settings = load_settings({"data_dir": data_dir})
    witnesses = witness_keys(settings)
    if not witnesses:
        raise OnshoreError("no witness is known: set witness_keys_file to a file of their verifier keys, one a line")
    try:
        note = parse_cosigned(b"".join(_read(each) for each in files))
    except NoteRefused as error:
        raise OnshoreError(f"{', '.join(map(str, files))}: {error}") from None
    now = datetime.now(UTC)
    with closing(assembly.store_client(settings)) as client:
        found = check_cosigned(client, note, own_verifier_keys(settings), witnesses, now)
        new = keep(client, note, found, who, now)
    if as_json:
        rows = [
            {"origin": each.head.origin, "size": each.head.size, "witness": each.witness, "at": each.at.isoformat()}
            for each in found
        ]
        typer.echo(json.dumps({"imported": new, "cosigned": rows}))
        return
    for each in found:
        typer.echo(f"witnessed up to entry {each.head.size:,} of {each.head.origin} by {each.witness} at {each.at}")
    if not new:
        typer.echo("nothing new: all of it was known")


def _into_folder(
    reader: Reader, heads: list[KnownHead], out: Path, names: list[str], old: int | None
) -> list[Path]:  # fmt: skip
    """Write a folder for each log; the files that were written."""
    written = []
    for head in heads:
        folder = out / head.log_id
        texts = {"checkpoint": head.note.decode()}
        if old is not None and not names:
            texts["add-checkpoint"] = _request(reader, head, None, old)
        texts |= {f"add-checkpoint.{quote(name, safe='')}": _request(reader, head, name, old) for name in names}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                part = folder / f"{name}.part"
                part.write_text(text)
                part.replace(folder / name)
                written.append(folder / name)
        except OSError as error:
            raise OnshoreError(f"--out {error.filename}: {error.strerror}") from None
    return written


def _request(reader: Reader, head: KnownHead, witness: str | None, old: int | None) -> str:
    from onshore_pipeline.jobs.witnesses import last_seen, request

    if old is None:
        seen = [each.size for each in last_seen(reader, head.head.origin) if _name(each.witness) == witness]
        old = max(seen, default=0)
    return request(reader, head, old)


def _name(label: str) -> str:
    return label.rpartition("+")[0]


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise OnshoreError(f"{path}: {error.strerror}") from None


def _reader(settings: Settings) -> Reader:
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    address = store_address(settings, writing=False)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


def _moment(stamp: Any) -> str:  # noqa: ANN401 - a number of the store's
    return datetime.fromtimestamp(int(stamp), UTC).isoformat()
