"""`onshore keys`: the deployment's signing keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The keys that sign heads: make, replace, show", add_completion=False)

PassphraseOption = Annotated[
    str | None, typer.Option("--passphrase-file", help="File of the passphrase that encrypts the key")
]


@app.command("init")
def init(
    data_dir: DataDirOption = None,
    name: Annotated[str | None, typer.Option(help="The deployment's name; default random")] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the deployment's first key; a name is for ever, since every head stands under it."""
    from onshore_pipeline.signing_key import key_path, make_keyring

    settings = load_settings({"data_dir": data_dir, "signing_key_passphrase_file": passphrase_file})
    keyring = make_keyring(settings, name)
    _say(keyring, str(key_path(settings)), as_json=as_json)


@app.command("rotate")
def rotate(
    data_dir: DataDirOption = None,
    overlap_days: Annotated[float, typer.Option(min=0.0, max=3650.0, help="So long the old key signs, too")] = 30.0,
    passphrase_file: PassphraseOption = None,
    who: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does this; it is recorded")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is recorded")] = "",
    as_json: JsonOption = False,
) -> None:
    """Put a new key in front; the old one signs beside it for a while. A sequencer that runs takes it by itself.

    With --as it is recorded first, as an action (`signing_key.rotate`); where that cannot be done, no key is replaced.
    A key that is recorded and could not be written signs nothing.
    """
    from onshore_pipeline.signing_key import key_path, read_keyring, write_keyring

    settings = load_settings({"data_dir": data_dir, "signing_key_passphrase_file": passphrase_file})
    keyring = read_keyring(settings).rotated(datetime.now(UTC), timedelta(days=overlap_days))
    if who:
        _record(settings, keyring, who, reason)
    write_keyring(settings, keyring)
    _say(keyring, str(key_path(settings)), as_json=as_json)
    if not who:
        typer.echo("it is not recorded, since --as names nobody", err=True)


@app.command("show")
def show(data_dir: DataDirOption = None, passphrase_file: PassphraseOption = None, as_json: JsonOption = False) -> None:
    """Print the verifier keys, those of retired keys too, as they go into `--key FILE`; nothing secret."""
    from onshore_pipeline.evidence.keyring import public_text
    from onshore_pipeline.evidence.signed_note import parse_verifier_keys
    from onshore_pipeline.signing_key import key_path, public_path, read_keyring

    settings = load_settings({"data_dir": data_dir, "signing_key_passphrase_file": passphrase_file})
    public = public_path(key_path(settings))
    text = public.read_text() if public.exists() else public_text(read_keyring(settings), "")
    if not as_json:
        typer.echo(text, nl=False)
        return
    rows = [
        {"name": key.name, "key_id": key.key_id.hex(), "type": key.type.name.lower(), "verifier_key": str(key)}
        for key in parse_verifier_keys(text)
    ]
    typer.echo(json.dumps(rows))


def _record(settings: Settings, keyring: Keyring, who: str, reason: str) -> None:
    """By the ids that heads are signed under: the new key's, and of each that ends until when it signs."""
    from onshore_pipeline.actions import Action
    from onshore_pipeline.assembly import DEFAULT_TENANT
    from onshore_pipeline.commands.acting import record
    from onshore_pipeline.evidence.signed_note import KeyType

    new, *ending = ((key.verifier(KeyType.NOTE).key_id.hex(), key.retires) for key in keyring.keys)
    until = ", ".join(
        f"{key_id} until {retires.isoformat(timespec='seconds')}" for key_id, retires in ending if retires is not None
    )
    told = {"onshore.signing_key.id": new[0], "onshore.signing_key.name": keyring.name}
    told |= {"onshore.signing_key.ending": until} if until else {}
    record(settings, Action("signing_key.rotate", DEFAULT_TENANT, who, reason, told))


def _say(keyring: Keyring, path: str, *, as_json: bool) -> None:
    newest = keyring.keys[0]
    row = {"name": keyring.name, "file": path, "keys": len(keyring.keys)}
    if as_json:
        typer.echo(json.dumps(row | {"verifier_keys": [str(key) for key in keyring.verifier_keys()]}))
        return
    typer.echo(f"{path}: {keyring.name} signs with a key of {newest.created.isoformat(timespec='seconds')}")
    for key in keyring.keys[1:]:
        if key.retires is not None:
            typer.echo(f"the key of {key.created:%Y-%m-%d} signs beside it until {key.retires:%Y-%m-%d %H:%M} UTC")
    typer.echo("give regulators and witnesses what `onshore keys show` prints, and keep a copy of the file safe")
