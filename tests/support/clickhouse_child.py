"""ClickHouse's own engine in a process of its own: a process can open chDB once, and other tests may want to."""

from __future__ import annotations

import json
import sys
from typing import Any

import clickhouse_connect
import pyarrow as pa


def _serve() -> None:
    """Obey one request a line: create and fill a table, or select one column; answer with a line of JSON."""
    client = clickhouse_connect.get_client(interface="chdb")
    answers = sys.stdout
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "create" in request:
                client.command(request["create"])
                with pa.memory_map(request["rows"]) as file:
                    client.insert_arrow(request["table"], pa.ipc.open_file(file).read_all())
                answer: dict[str, Any] = {"result": None}
            else:
                answer = {"result": [list(row) for row in client.query(request["select"]).result_rows]}
        except Exception as error:  # noqa: BLE001 - the other side raises it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
