"""The page of an empty store: what to do so that it fills."""

from __future__ import annotations

from typing import Final

import streamlit as st

from onshore_dashboard import session
from onshore_dashboard.markup import Html, facts, paragraph, text
from onshore_dashboard.queries import anything_committed
from onshore_pipeline.errors import OnshoreError

_EXAMPLE: Final = {
    "onshore.domain": "data_movement",
    "onshore.action": "data.copy",
    "onshore.outcome": "success",
    "onshore.source.country": "AU",
    "onshore.destination.country": "US",
    "onshore.data.home": "AU",
    "onshore.data.categories": "personal",
    "onshore.transfer.basis": "none",
}
_PYTHON: Final = """from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint="{endpoint}/v1/traces")))
"""


def curl(endpoint: str) -> str:
    """A shell command that sends one OTLP log record: personal data of Australians copied abroad with no basis."""
    attributes = ",\n  ".join(
        f'{{"key": "{key}", "value": {{"stringValue": "{value}"}}}}' for key, value in _EXAMPLE.items()
    )
    return (
        f"curl {endpoint}/v1/logs -H 'Content-Type: application/json' -d '"
        '{"resourceLogs": [{"scopeLogs": [{"logRecords": [{\n'
        """ "timeUnixNano": "'$(date +%s)000000000'",\n"""
        ' "body": {"stringValue": "my first event"},\n'
        f' "attributes": [\n  {attributes}]\n'
        "}]}]}]}'"
    )


def show() -> None:
    """Say what to do, and turn into the page that was asked for when the first message is committed."""
    told = session.settings()
    st.title("Nothing has arrived yet")
    st.html(
        paragraph(
            "Onshore is running and its store is empty. This page turns into the dashboard by itself when the first "
            "message is committed, usually within three seconds of sending it.",
            "lead",
        )
    )
    st.subheader("See it with invented companies")
    st.code("onshore demo", language="bash")
    st.html(
        paragraph("Companies in Sydney, Tokyo, Kuala Lumpur and Singapore, with planted violations of every control.")
    )
    st.subheader("Send your own events")
    addresses = (("OTLP over HTTP", told.otlp_http_url), ("OTLP over gRPC", told.otlp_grpc_url))
    st.html(facts((name, Html(f"<code>{text(url)}</code>")) for name, url in addresses))
    shell, python, collect = st.tabs(
        ["One event with curl", "An instrumented application", "This machine and your logs"]
    )
    shell.code(curl(told.otlp_http_url), language="bash", wrap_lines=True)
    python.code(_PYTHON.format(endpoint=told.otlp_http_url), language="python")
    collect.code(
        "onshore collect host\nonshore collect sockets\nonshore collect cloudtrail PATH   # files, folders, .gz",
        language="bash",
    )
    _wait()


@st.fragment(run_every="2s")
def _wait() -> None:
    try:
        arrived = anything_committed(session.LIVE)
    except OnshoreError:
        arrived = True  # the whole page says what is wrong
    if arrived:
        st.rerun()
    st.html(paragraph(f"Last looked at {session.now():%H:%M:%S} UTC."))
