"""What the parts of Onshore import, imported once; see `chaos_nursery`."""

from __future__ import annotations

from onshore_pipeline.memory import leave_out_pandas

leave_out_pandas()

import onshore_collectors.receiver.__main__  # noqa: E402, F401
import onshore_pipeline.__main__  # noqa: E402
import onshore_pipeline.assembly  # noqa: E402
import onshore_pipeline.dead_letter_history  # noqa: E402
import onshore_pipeline.jobs.keep  # noqa: E402
import onshore_pipeline.kafka_broker  # noqa: E402
import onshore_pipeline.kafka_producer  # noqa: E402
import onshore_pipeline.sequencer  # noqa: E402
import onshore_pipeline.worker  # noqa: E402, F401
from onshore_pipeline.controls.load import load_controls  # noqa: E402
from onshore_pipeline.evidence.self_check import check_compiled  # noqa: E402
from onshore_pipeline.wire.strict import well_formed  # noqa: E402

check_compiled()
well_formed("logs", b"")
load_controls()
