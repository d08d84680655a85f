"""Data movement on an ordinary day: reads, copies, replicas, backups, exports, indexes, telemetry and weights.

How the expectations follow from the controls' texts:

* SOV-16-01 judges every movement that succeeded: violated where the destination is unknown.
* SOV-24-01 judges everything that succeeded: violated where two claims about a place disagree (template.py).
* The tenant's transfer law judges personal data: satisfied at home, or where a basis is on record (then it matters to
  no law where the data went); violated abroad with basis 'none'; undetermined where either is open.
* AU-MHR77-01 judges My Health Record data, US-DSP401-01 bulk data of U.S. persons; where the categories are not known,
  neither can tell whether it applies.
* US-REACH-01 judges copies, replicas, backups and exports of personal data by the country that controls the owner of
  the destination, AU-APP8-03 reads of Australian personal data by where the reader sits.
* SOV-10-01 judges backups and replicas, SOV-03-01 index builds, SOV-06-01 telemetry, SOV-02-01 weights, by destination;
  of weights that are read from a store of objects also by who asked. SOV-13-01 judges what stays in one country where
  somebody says which countries the path crosses.
* What was denied, failed or deleted moved nothing. An outcome that is not known leaves every control that would apply
  undetermined.
"""

from __future__ import annotations

from typing import Final

from onshore_collectors.demo.scenario.movements import (
    AT_HOME,
    AU,
    BUCKET_AT_HOME,
    CONTRACT,
    DONE,
    JP,
    NO_BASIS,
    PARTNER_ABROAD,
    PERSON,
    SECOND_SITE,
    SG,
    moved,
)
from onshore_collectors.demo.scenario.template import REMOTE_READS, SATISFIED, TRANSFER_LAW

EVERYDAY_MOVEMENTS: Final = (
    moved(
        "data.read",
        "rows read at home",
        12,
        {TRANSFER_LAW: SATISFIED, REMOTE_READS: SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, AT_HOME),
    ),
    moved(
        "data.copy",
        "objects copied to a bucket at home",
        4,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, BUCKET_AT_HOME),
    ),
    moved(
        "data.replicate",
        "replica at the second site",
        3,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": SATISFIED, "SOV-10-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, SECOND_SITE),
    ),
    moved(
        "data.replicate",
        "replica at the second site, on a line that does not leave the country",
        1,
        {
            TRANSFER_LAW: SATISFIED,
            "US-REACH-01": SATISFIED,
            "SOV-10-01": SATISFIED,
            "SOV-13-01": SATISFIED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, SECOND_SITE, {"onshore.transit.countries": ("{home}",)}),
    ),
    moved(
        "backup.write",
        "backup at the second site",
        2,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": SATISFIED, "SOV-10-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, SECOND_SITE, {"onshore.encrypted.at_rest": True}),
    ),
    moved(
        "data.replicate",
        "health records replicated within Australia",
        1,
        {
            TRANSFER_LAW: SATISFIED,
            "AU-MHR77-01": SATISFIED,
            "US-REACH-01": SATISFIED,
            "SOV-10-01": SATISFIED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, SECOND_SITE),
        data="health_record",
        tenants=AU,
    ),
    moved(
        "data.read",
        "bulk data of U.S. persons read in Singapore",
        1,
        {TRANSFER_LAW: SATISFIED, "US-DSP401-01": SATISFIED, "US-DSP401-02": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, AT_HOME),
        data="us_bulk",
        tenants=SG,
    ),
    moved(
        "index.build",
        "index built at home",
        1,
        {TRANSFER_LAW: SATISFIED, "SOV-03-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, AT_HOME, {"onshore.object.type": "index"}),
    ),
    moved(
        "data.export",
        "export abroad under a contract",
        1,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, PARTNER_ABROAD, CONTRACT),
    ),
    moved(
        # The Commission has designated the United Kingdom, so no basis is needed
        "data.export",
        "export from Japan to the United Kingdom",
        0.4,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, PARTNER_ABROAD, NO_BASIS, {"onshore.destination.country": "GBR"}),
        tenants=JP,
    ),
    moved(
        "data.export",
        "export abroad that was denied",
        0.3,
        {},
        PERSON,
        PARTNER_ABROAD,
        NO_BASIS,
        {"onshore.outcome": "denied"},
    ),
    moved("backup.write", "backup that failed", 0.2, {}, SECOND_SITE, {"onshore.outcome": "failure"}),
    moved("data.delete", "objects deleted", 0.5, {}, DONE, AT_HOME),
    moved(
        "telemetry.export",
        "telemetry to the collector at home",
        2,
        {"SOV-06-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, SECOND_SITE, {"server.address": "otel.{second_site}.{domain}"}),
        data="machine",
    ),
    moved(
        "model.weights.export",
        "weights to the second site",
        0.3,
        {"SOV-02-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, SECOND_SITE, {"onshore.object.type": "weights"}),
        data="machine",
    ),
)
