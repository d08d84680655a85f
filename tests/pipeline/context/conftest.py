"""Registries written for one test, and a tiny MaxMind DB writer."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Value = dict[str, "Value"] | str | int | bool


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write registries into a context directory: write(**{"hosts.csv": text}) returns the directory."""

    def write_files(**files: str) -> Path:
        directory = tmp_path / "context"
        directory.mkdir(exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
        return directory

    return write_files


@pytest.fixture
def write_mmdb(tmp_path: Path) -> Callable[[str, dict[str, Value]], Path]:
    """Write a MaxMind DB with one record a network."""

    def write_file(name: str, records: dict[str, Value]) -> Path:
        path = tmp_path / name
        path.write_bytes(mmdb_bytes(records))
        return path

    return write_file


def mmdb_bytes(records: dict[str, Value]) -> bytes:
    data = b""
    offsets = {}
    for network, record in records.items():
        offsets[network] = len(data)
        data += _encode(record)
    nodes: list[list[int | str | None]] = [[None, None]]
    for network in records:
        parsed = ipaddress.ip_network(network)
        base = 96 if parsed.version == 4 else 0
        bits = f"{int(parsed.network_address):0{128 - base}b}".rjust(128, "0")[: base + parsed.prefixlen]
        at = 0
        for bit in map(int, bits[:-1]):
            child = nodes[at][bit]
            if not isinstance(child, int):
                nodes.append([None, None])
                child = nodes[at][bit] = len(nodes) - 1
            at = child
        nodes[at][int(bits[-1])] = network
    tree = b""
    for node in nodes:
        for child in node:
            value = len(nodes) if child is None else child
            tree += (value if isinstance(value, int) else len(nodes) + 16 + offsets[value]).to_bytes(3, "big")
    metadata = b"\xab\xcd\xefMaxMind.com" + _metadata(len(nodes))
    return tree + bytes(16) + data + metadata


def _metadata(node_count: int) -> bytes:
    fields = [
        (b"node_count", _number(6, node_count)),
        (b"record_size", _number(5, 24)),
        (b"ip_version", _number(5, 6)),
        (b"database_type", _encode("Test-Country")),
        (b"languages", b"\x00\x04"),
        (b"binary_format_major_version", _number(5, 2)),
        (b"binary_format_minor_version", _number(5, 0)),
        (b"build_epoch", _number(9, 1_767_225_600)),
        (b"description", b"\xe0"),
    ]
    return bytes([7 << 5 | len(fields)]) + b"".join(_encode(name.decode()) + value for name, value in fields)


def _number(kind: int, value: int) -> bytes:
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return (bytes([kind << 5 | len(digits)]) if kind < 8 else bytes([len(digits), kind - 7])) + digits


def _encode(value: Value) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_encode(key) + _encode(item) for key, item in value.items())
        return bytes([7 << 5 | len(value)]) + items
    if isinstance(value, bool):
        return bytes([int(value), 7])
    if isinstance(value, int):
        return _number(6, value)
    text = value.encode()
    return bytes([2 << 5 | len(text)]) + text
