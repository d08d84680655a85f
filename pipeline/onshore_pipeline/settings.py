"""Settings, read once at the edge into a frozen value: flags > environment (ONSHORE_...) > onshore.toml > defaults."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "ONSHORE_"
_FILE: Final = "onshore.toml"
_UNSUPPORTED: Final = ("clickhouse_cluster",)
# Read by the test suite, and by hidden options of the parts that it kills.
_NOT_OURS: Final = frozenset({"ONSHORE_REQUIRE_ALL", "ONSHORE_FAILPOINT"})


class Settings(BaseSettings):
    """Every setting, with unit and bound.

    Attributes:
        data_dir: where `onshore up` keeps everything; other commands find the stack through it.
        kafka_bootstrap_servers: `host:port,host:port`; empty means the local log.
        kafka_group: consumer group of the workers.
        kafka_session_timeout_s: a worker that is silent for so long loses its partitions, seconds.
        kafka_max_poll_interval_s: a worker that does not poll for so long loses its partitions, seconds.
        kafka_partitions: of event topics that are made because they are missing; as many workers can share the work.
        kafka_raw_formats: source formats whose topics `raw.FORMAT` are read: a message there is one record as it is.
        kafka_topic_tenants: topic → tenant, for topics that others may write.
        kafka_trusted_topics: topics that only our receiver may write, so that their tenant header counts.
        clickhouse_url: the store; empty means the one that `onshore up` started.
        context_dir: registries of this deployment, on top of the reference data that ships.
        controls_dir: controls of this deployment, on top of the packs that ship.
        clickhouse_cluster: not supported yet, and refused by what would serve with it.
        signing_key_file: the keys that sign heads (`onshore keys init`); empty means the one in the data directory.
        signing_key_passphrase_file: what they are encrypted with.
        witness_keys_file: verifier keys of those who cosign heads (`onshore checkpoints import`), one a line.
        timestamp_authority: http(s) address of an RFC 3161 authority that stamps the head of every bundle; empty: none.
        timestamp_roots_file: the certificates (PEM) that its answer must lead to.
        salt_key_file: 32 or more secret bytes that salt keys are derived from; shared by all workers of a deployment.
        geoip_dir: folder of IPFire location files (`geoip`, `geoip6`), used when it exists.
        mmdb_file: a country database of yours in MaxMind's format.
        retention_every_minutes: how often what `retention.yaml` says is due is deleted; without that file nothing is.
        local_log_kept_hours: how long the local log keeps messages after they were committed, for `onshore restore`
            and `onshore rejudge` ...
        local_log_kept_mib: ... and at most so much of them in each partition, in MiB ...
        local_log_kept_messages: ... and at most so many.
        max_batch_messages: messages in one attempt.
        max_batch_mib: bytes of messages in one attempt, in MiB; one larger message still goes through.
        max_waiting_mib: bytes that may wait in the local log for the worker, in MiB; beyond that the receiver puts
            senders off. 0 = a fifth of the disk space that is free at the start, 8 GiB at most.
        max_in_flight_mib: bytes of requests that the receiver holds in memory together, in MiB, as unpacked; no request
            may be larger than half of it.
        max_dead_letter_share: the worker stops before more of the newest records than this share, 0 to 1, go there.
        max_dead_letters_per_minute: the worker stops when more messages a minute than this would have dead letters.
        dead_letter_floor: while fewer of the newest messages than this had dead letters, the share stops nobody.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=_FILE, extra="forbid", frozen=True)

    data_dir: Path = Field(default_factory=lambda: Path(".onshore"))
    kafka_bootstrap_servers: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    kafka_sasl_username: str = ""
    kafka_sasl_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    kafka_group: str = "onshore"
    kafka_session_timeout_s: float = Field(default=45.0, ge=6.0, le=300.0)
    kafka_max_poll_interval_s: float = Field(default=300.0, ge=6.0, le=3600.0)
    kafka_partitions: int = Field(default=4, ge=1, le=1000)
    kafka_raw_formats: frozenset[Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]] = frozenset()
    kafka_topic_tenants: dict[str, str] = Field(default_factory=dict)
    kafka_trusted_topics: frozenset[str] = frozenset()
    clickhouse_url: str = ""
    clickhouse_user: str = "onshore"
    clickhouse_password_file: Path | None = None
    clickhouse_ca_file: Path | None = None
    clickhouse_cluster: str = ""
    context_dir: Path | None = None
    controls_dir: Path | None = None
    signing_key_file: Path | None = None
    signing_key_passphrase_file: Path | None = None
    witness_keys_file: Path | None = None
    timestamp_authority: str = ""
    timestamp_roots_file: Path | None = None
    salt_key_file: Path | None = None
    geoip_dir: Path = Field(default_factory=lambda: Path("/usr/share/tor"))
    mmdb_file: Path | None = None
    retention_every_minutes: float = Field(default=60.0, ge=1.0, le=1440.0)
    local_log_kept_hours: float = Field(default=168.0, ge=0.0, le=87_600.0)
    local_log_kept_mib: int = Field(default=1024, ge=0, le=1 << 24)
    local_log_kept_messages: int = Field(default=1_000_000, ge=0, le=1 << 39)
    max_batch_messages: int = Field(default=4_000, ge=1, le=100_000)
    max_batch_mib: int = Field(default=16, ge=1, le=1024)
    max_waiting_mib: int = Field(default=0, ge=0, le=1 << 30)
    max_in_flight_mib: int = Field(default=192, ge=1, le=65_536)
    max_dead_letter_share: float = Field(default=0.05, ge=0.0, le=1.0)
    max_dead_letters_per_minute: int = Field(default=1_000, ge=0)
    dead_letter_floor: int = Field(default=50, ge=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file; nothing else is read."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; `flags` that are None count as not given.

    Raises:
        SettingsError: a setting is unknown or malformed; it is named.
    """
    known = set(Settings.model_fields)
    for name in os.environ:
        if name.startswith(PREFIX) and name not in _NOT_OURS and name.removeprefix(PREFIX).lower() not in known:
            raise SettingsError(name, "no such setting" + _suggestion(name.removeprefix(PREFIX).lower(), known))
    try:
        return Settings(**{name: value for name, value in (flags or {}).items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        hint = _suggestion(name, known) if first["type"] == "extra_forbidden" else ""
        why = "no such setting" if first["type"] == "extra_forbidden" else str(first["msg"])
        raise SettingsError(name, why + hint) from None
    except SourceError as error:
        named = next((name for name in known if f'"{name}"' in str(error)), "in the environment")
        raise SettingsError(named, f"is not JSON, which it must be: {error.__cause__ or error}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(_FILE, f"the file cannot be read: {error}") from None


def refuse_unsupported(settings: Settings) -> None:
    """Stop what would serve or change the store as if a setting were followed that nothing follows.

    Raises:
        SettingsError: such a setting is set; it is named.
    """
    for name in _UNSUPPORTED:
        if getattr(settings, name):
            raise SettingsError(name, "is not supported yet; leave it out")


def _suggestion(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def read_secret(path: Path, name: str) -> bytes:
    """The bytes of a secret file without its last line break; the error names the setting, never the secret."""
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise SettingsError(name, f"{path}: {error.strerror}") from None
    return secret.rstrip(b"\r\n")
