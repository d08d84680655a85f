"""Who is here: the store this process reads, opened once, and answers shared by everyone who looks at the same time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from onshore_dashboard.settings import SECRETS_SECTION, Settings
from onshore_pipeline.findings.standing import folders as finding_folders
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from onshore_pipeline.findings.standing import Folders

_LIVE_SECONDS: Final = 0.8
_CALM_SECONDS: Final = 4.0


def settings() -> Settings:
    """What this process was told when it started."""
    return Settings.from_secrets(st.secrets[SECRETS_SECTION])


def folders() -> Folders:
    """Where people's keys and lists of holidays lie: with the registries, else in the stack's data directory."""
    told = settings()
    data_dir = told.status_file.parent.parent if told.status_file else None
    return finding_folders(told.context_dir, data_dir)


def now() -> datetime:
    """The clock of the pages."""
    return datetime.now(UTC)


@st.cache_resource(show_spinner=False)
def _reader(store_url: str, store_user: str, _store_password: str) -> Reader:
    return Reader(store_url, store_user, _store_password)


def _ask(sql: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    told = settings()
    return _reader(told.store_url, told.store_user, told.store_password).frame(sql, parameters)


@st.cache_data(ttl=_LIVE_SECONDS, max_entries=64, show_spinner=False)
def _ask_live(sql: str, parameters: dict[str, Any]) -> pl.DataFrame:
    return _ask(sql, parameters)


@st.cache_data(ttl=_CALM_SECONDS, max_entries=256, show_spinner=False)
def _ask_calm(sql: str, parameters: dict[str, Any]) -> pl.DataFrame:
    return _ask(sql, parameters)


class Live:
    """The store for what changes by the second. However many people watch, each question is asked once in that time."""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer, at most a second old."""
        return _ask_live(sql, dict(parameters or {}))


class Calm:
    """The store for what is read rather than watched."""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer, at most four seconds old."""
        return _ask_calm(sql, dict(parameters or {}))


LIVE: Final = Live()
CALM: Final = Calm()


def worker_status() -> dict[str, Any] | None:
    """What the worker last wrote about the messages that wait for it; None when it writes nothing here."""
    file = settings().status_file
    if file is None:
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
