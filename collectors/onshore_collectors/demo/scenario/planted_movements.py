"""Data movements that a control must object to, or cannot decide; see `data_movement` for the reasoning."""

from __future__ import annotations

from typing import Final

from onshore_collectors.demo.scenario.movements import (
    AT_HOME,
    AU,
    BUCKET_OF_AWS,
    CONTRACT,
    DONE,
    GLOBAL_BUCKET,
    NO_BASIS,
    NO_CATEGORY,
    PARTNER_ABROAD,
    PERSON,
    SECOND_SITE,
    SG,
    WEIGHTS_AT_HOME,
    moved,
)
from onshore_collectors.demo.scenario.template import (
    CERTIFIED,
    COPIES_AT_HOME,
    SATISFIED,
    TRANSFER_LAW,
    UNDETERMINED,
    VIOLATED,
    OneOf,
)
from onshore_collectors.demo.scenario.tenants import TENANTS

# What judges a copy by what the data is, wherever its home; and what does so for data whose home is the United States.
COPIES_ANYWHERE: Final = (
    *("AU-MHR77-01", "US-DSP301-01", "US-DSP302-01", "US-DSP401-01", "US-DSP401-02", "US-REACH-01"),
    *("EU-GDPR44-01", "EU-DATA32-01", "EU-DORA30-01", "SOV-11-01"),
)
COPIES_OF_THE_US: Final = (
    *("US-ITAR-01", "US-ITAR-02", "US-EAR-01", "US-DFARS-01", "US-NDAA1692-01", "US-FEDRAMP-01"),
)

VIOLATIONS: Final = (
    moved(
        "data.copy",
        "objects copied to a bucket at home of a company of the United States",
        4,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, BUCKET_OF_AWS),
    ),
    moved(
        "data.export",
        "export abroad with no basis",
        5,
        {TRANSFER_LAW: VIOLATED, "US-REACH-01": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, PARTNER_ABROAD, NO_BASIS),
    ),
    moved(
        "backup.write",
        "backup of health records in Singapore, under a contract",
        3,
        {
            TRANSFER_LAW: SATISFIED,
            "AU-MHR77-01": VIOLATED,
            "US-REACH-01": VIOLATED,
            "SOV-10-01": VIOLATED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, CONTRACT, {"cloud.provider": "aws", "cloud.region": "ap-southeast-1"}),
        data="health_record",
        tenants=AU,
    ),
    moved(
        "data.read",
        "bulk data of U.S. persons read in Hong Kong",
        3,
        {TRANSFER_LAW: SATISFIED, "US-DSP401-01": VIOLATED, "US-DSP401-02": UNDETERMINED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, CONTRACT, {"onshore.actor.country": "HK", "onshore.destination.country": "HKG"}),
        data="us_bulk",
        tenants=SG,
    ),
    moved(
        "model.weights.export",
        "weights to a bucket in the United States",
        2,
        {"SOV-02-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, PERSON, {"server.address": "{tenant}-models.s3.us-east-1.amazonaws.com"}),
        data="machine",
    ),
    moved(
        # The store calls it an object; the name says what it is
        "data.read",
        "weights in a bucket at home read from abroad",
        2,
        {"SOV-02-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, WEIGHTS_AT_HOME, {"onshore.actor.id": "svc-mirror", "onshore.source.country": "{abroad}"}),
        data="machine",
    ),
    moved(
        "index.build",
        "index built in Oregon, under a contract",
        3,
        {TRANSFER_LAW: SATISFIED, "SOV-03-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, CONTRACT, {"cloud.provider": "aws", "cloud.region": "us-west-2", "onshore.object.type": "index"}),
    ),
    moved(
        "telemetry.export",
        "crash dump to a vendor in the United States",
        4,
        {"SOV-06-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, {"server.address": "crash.vendor.example", "onshore.destination.country": "US"}),
        data="machine",
    ),
    moved(
        "backup.write",
        "backup in Frankfurt, under a contract",
        3,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": VIOLATED, "SOV-10-01": VIOLATED, "SOV-16-01": SATISFIED},
        *(DONE, CONTRACT, {"cloud.provider": "aws", "cloud.region": "eu-central-1"}),
    ),
    moved(
        "data.replicate",
        "replica at the second site, by way of another country",
        2,
        {
            TRANSFER_LAW: SATISFIED,
            "US-REACH-01": SATISFIED,
            "SOV-10-01": SATISFIED,
            "SOV-13-01": VIOLATED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, SECOND_SITE, {"onshore.transit.countries": ("{home}", "{abroad}")}),
    ),
    moved(
        "data.export",
        "export under a contract to a host that nobody can place",
        3,
        {TRANSFER_LAW: SATISFIED, "US-REACH-01": UNDETERMINED, "SOV-16-01": VIOLATED},
        *(DONE, PERSON, CONTRACT, {"server.address": "upload.broker.example"}),
    ),
    moved(
        "data.copy",
        "copy whose region and declared country disagree",
        2,
        {TRANSFER_LAW: UNDETERMINED, CERTIFIED: UNDETERMINED, "US-REACH-01": VIOLATED, "SOV-16-01": UNDETERMINED},
        *(DONE, {"cloud.provider": "aws", "cloud.region": "us-east-1", "onshore.destination.country": "{home}"}),
        disputed=True,
    ),
)

OPEN_QUESTIONS: Final = (
    moved(
        "data.export",
        "export abroad, and nobody knows whether there is a basis",
        2,
        {
            TRANSFER_LAW: UNDETERMINED,
            CERTIFIED: UNDETERMINED,
            "US-REACH-01": UNDETERMINED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, PERSON, {"server.address": "sftp.partner.example", "onshore.destination.country": "US"}),
    ),
    moved(
        "data.export",
        "export without a basis to a bucket that nobody can place",
        2,
        {TRANSFER_LAW: UNDETERMINED, "US-REACH-01": VIOLATED, "SOV-16-01": VIOLATED},
        *(DONE, PERSON, NO_BASIS, GLOBAL_BUCKET),
    ),
    moved(
        "data.copy",
        "copy of a data set that has a home and no categories",
        2,
        {COPIES_AT_HOME: UNDETERMINED, **dict.fromkeys(COPIES_ANYWHERE, UNDETERMINED), "SOV-16-01": SATISFIED},
        *(DONE, AT_HOME, {"onshore.data.home": ("{home}",)}),
        data="unregistered",
    ),
    moved(
        # Whose law applies is open, too
        "data.copy",
        "copy of a data set that nobody registered",
        2,
        {
            **dict.fromkeys((*COPIES_ANYWHERE, *COPIES_OF_THE_US), UNDETERMINED),
            **{control: UNDETERMINED for tenant in TENANTS for control in tenant.laws[COPIES_AT_HOME]},
            "SG-PDPR12-01": UNDETERMINED,
            "SOV-16-01": SATISFIED,
        },
        *(DONE, AT_HOME, {"onshore.destination.country": "DE"}),
        data="unregistered",
    ),
    moved(
        "data.replicate",
        "replica of health records in a bucket that nobody can place",
        2,
        {
            TRANSFER_LAW: UNDETERMINED,
            "AU-MHR77-01": UNDETERMINED,
            "US-REACH-01": VIOLATED,
            "SOV-10-01": UNDETERMINED,
            "SOV-16-01": VIOLATED,
        },
        *(DONE, GLOBAL_BUCKET),
        data="health_record",
        tenants=AU,
    ),
    moved(
        "data.read",
        "bulk data of U.S. persons read by somebody whom nobody can place",
        2,
        {TRANSFER_LAW: SATISFIED, "US-DSP401-01": UNDETERMINED, "US-DSP401-02": SATISFIED, "SOV-16-01": SATISFIED},
        *(DONE, AT_HOME, {"user.id": OneOf("people")}),
        data="us_bulk",
        tenants=SG,
    ),
    moved(
        "index.build",
        "index of a corpus without a home",
        2,
        {"SOV-03-01": UNDETERMINED, "SOV-16-01": SATISFIED},
        *(DONE, AT_HOME, {"onshore.object.type": "index"}, NO_CATEGORY),
        data="unregistered",
    ),
    moved(
        "telemetry.export",
        "statistics to a content network",
        2,
        {"SOV-06-01": UNDETERMINED, "SOV-16-01": VIOLATED},
        *(DONE, {"server.address": "d1a2b3c4.cloudfront.net"}),
        data="machine",
    ),
    moved(
        "data.replicate",
        "replica of machine data in a bucket that nobody can place",
        2,
        {"SOV-10-01": UNDETERMINED, "SOV-13-01": UNDETERMINED, "SOV-16-01": VIOLATED},
        *(DONE, GLOBAL_BUCKET, {"onshore.transit.countries": ("{home}", "{abroad}")}),
        data="machine",
    ),
    moved(
        "data.copy",
        "copy whose outcome the source cannot tell",
        2,
        {TRANSFER_LAW: UNDETERMINED, "US-REACH-01": UNDETERMINED, "SOV-16-01": UNDETERMINED},
        AT_HOME,
    ),
)

PLANTED_MOVEMENTS: Final = (*VIOLATIONS, *OPEN_QUESTIONS)
