"""One control at a time: data of the kind it is about, moved once as it demands, once against it, once with a gap.

Every entry names the control, what is done with which data, and for each verdict what the event says besides; `beside`
is what other controls demand of the same event, by their texts. Categories are chosen so that few others are concerned.
"""

from __future__ import annotations

from typing import Final

from onshore_collectors.demo.scenario.movements import AU, JP, MY, NOWHERE, SG
from onshore_collectors.demo.scenario.template import SATISFIED, UNDETERMINED, VIOLATED, Expected
from onshore_collectors.demo.scenario.trios import (
    BASIS,
    FRENCH,
    NO_BASIS,
    NONE,
    OWN,
    PLACE_UNKNOWN,
    TICKET,
    Attributes,
    abroad,
    aws,
    by,
    national,
    to,
    trio,
    unapproved,
)

_GOVERNMENT: Final = ("AU", "au_government", AU)
_OFFICIAL: Final[Attributes] = {"onshore.data.classification": "OFFICIAL"}
_PROTECTED: Final[Attributes] = {"onshore.data.classification": "PROTECTED"}
_SYDNEY: Final = aws("ap-southeast-2")
_AUSTRALIA: Final = (
    *abroad("AU-SOCI6D-01", "soci_operational", "AU", AU, "US"),
    *unapproved("AU-CPS230-01", "apra_critical", "AU", AU, "IN"),
    *unapproved("AU-DTC-01", "dsgl", "AU", AU, "IL"),
    *unapproved("AU-SACSF21-01", "sa_government", "AU", AU, "NZ", _PROTECTED),
    *trio(
        "AU-HCF-01",
        "data.copy",
        _GOVERNMENT,
        (_PROTECTED, TICKET, _SYDNEY),
        (_PROTECTED, TICKET, to("AU"), {"onshore.destination.entity": "Hetzner"}),
        (_PROTECTED, TICKET, to("AU")),
        (
            {"AU-PSPF-FOCI-01": SATISFIED, "AU-ISM1572-01": SATISFIED},
            {"AU-PSPF-FOCI-01": SATISFIED, "AU-ISM1572-01": UNDETERMINED},
            {"AU-PSPF-FOCI-01": SATISFIED, "AU-ISM1572-01": UNDETERMINED},
        ),
    ),
    *trio(
        "AU-PSPF-FOCI-01",
        "data.copy",
        _GOVERNMENT,
        (_OFFICIAL, TICKET, _SYDNEY),
        (_OFFICIAL, NONE, _SYDNEY),
        (_OFFICIAL, _SYDNEY),
        ({"AU-ISM1572-01": SATISFIED}, {"AU-ISM1572-01": SATISFIED}, {"AU-ISM1572-01": SATISFIED}),
    ),
    *trio(
        "AU-ISM1572-01",
        "data.export",
        _GOVERNMENT,
        (_OFFICIAL, TICKET, _SYDNEY),
        (_OFFICIAL, TICKET, aws("ap-southeast-1")),
        (_OFFICIAL, TICKET, to("AU")),
        ({"AU-PSPF-FOCI-01": SATISFIED}, {"AU-PSPF-FOCI-01": SATISFIED}, {"AU-PSPF-FOCI-01": SATISFIED}),
    ),
    *trio(
        "AU-ISMEYES-01",
        "data.copy",
        ("AU", "austeo", AU),
        (national("AU"), to("AU")),
        (national("AU"), to("US")),
        (national("AU"), NOWHERE),
        (
            {"AU-ISMEYES-02": SATISFIED},
            {"AU-ISMEYES-02": SATISFIED},
            {"AU-ISMEYES-02": SATISFIED, **PLACE_UNKNOWN},
        ),
    ),
    *trio(
        "AU-ISMEYES-02",
        "data.read",
        ("AU", "austeo", AU),
        (to("AU"), national("AU")),
        (to("AU"), national("GB")),
        (to("AU"),),
        ({"AU-ISMEYES-01": SATISFIED}, {"AU-ISMEYES-01": SATISFIED}, {"AU-ISMEYES-01": SATISFIED}),
    ),
    *trio(
        "AU-APP8-03",
        "data.read",
        ("AU", "personal", AU),
        (to("AU"), NO_BASIS, by("AU")),
        (to("AU"), NO_BASIS, by("PH")),
        (to("AU"), NO_BASIS),
        ({"AU-APP8-01": SATISFIED}, {"AU-APP8-01": SATISFIED}, {"AU-APP8-01": SATISFIED}),
    ),
)

_JAPAN: Final = (
    *abroad("JP-APPIENV-01", "jp_published_handling", "JP", JP, "IE"),
    *unapproved("JP-FEFA25-01", "jp_controlled_technology", "JP", JP, "TH"),
    *trio(
        "JP-APPIENV-02",
        "data.read",
        ("JP", "jp_published_handling", JP),
        (to("JP"), by("JP")),
        (to("JP"), by("VN")),
        (to("JP"),),
    ),
)

_CONFIDENTIAL: Final[Attributes] = {"onshore.data.classification": "confidential"}
_MALAYSIA: Final = (
    *unapproved("MY-RMIT-01", "bnm_critical", "MY", MY, "SG"),
    *trio(
        "MY-NCCP-01",
        "data.copy",
        ("MY", "my_government", MY),
        (_CONFIDENTIAL, OWN, to("MY")),
        (_CONFIDENTIAL, OWN, to("SG")),
        (_CONFIDENTIAL, OWN, NOWHERE),
        ({"MY-NCCP-02": SATISFIED}, {"MY-NCCP-02": SATISFIED}, {"MY-NCCP-02": SATISFIED, **PLACE_UNKNOWN}),
    ),
    *trio(
        "MY-NCCP-02",
        "data.export",
        ("MY", "my_government", MY),
        (_CONFIDENTIAL, to("MY"), OWN),
        (_CONFIDENTIAL, aws("ap-southeast-5")),
        (_CONFIDENTIAL, to("MY")),
        ({"MY-NCCP-01": SATISFIED}, {"MY-NCCP-01": SATISFIED}, {"MY-NCCP-01": SATISFIED}),
    ),
)

_CERTIFIED: Final[Attributes] = {"onshore.transfer.basis": "cbpr", **FRENCH}
_OTHERS_OF_CERTIFIED: Final[Expected] = {"SG-PDPA26-01": SATISFIED, "US-REACH-01": SATISFIED}
_PERMITTED: Final[Attributes] = {"onshore.transfer.basis": "third_schedule"}
_SINGAPORE: Final = (
    *abroad("SG-IM8DP1-01", "sg_government", "SG", SG, "IN"),
    *trio(
        "SG-PDPR12-01",
        "data.export",
        ("SG", "personal", SG),
        (_CERTIFIED, to("PH")),
        (_CERTIFIED, to("ID")),
        (_CERTIFIED, NOWHERE),
        (_OTHERS_OF_CERTIFIED, _OTHERS_OF_CERTIFIED, {**_OTHERS_OF_CERTIFIED, **PLACE_UNKNOWN}),
    ),
    *trio(
        "SG-MAS658-01",
        "data.copy",
        ("SG", "bank_customer", SG),
        (_PERMITTED, to("SG")),
        (_PERMITTED, to("IN"), FRENCH),
        (_PERMITTED, NOWHERE),
        ({"SG-BA47-01": SATISFIED}, {"SG-BA47-01": SATISFIED}, {"SG-BA47-01": SATISFIED, **PLACE_UNKNOWN}),
    ),
    *trio(
        "SG-BA47-01",
        "data.export",
        ("SG", "bank_customer", SG),
        (to("SG"), NO_BASIS),
        (to("HK"), NO_BASIS, FRENCH),
        (to("HK"), FRENCH),
        ({"SG-MAS658-01": SATISFIED}, {"SG-MAS658-01": VIOLATED}, {"SG-MAS658-01": VIOLATED}),
    ),
)

_BULK: Final = ("US", "us_bulk_sensitive", SG)
_LICENSED: Final = (by("US"), FRENCH)
_OTHERS_OF_BULK: Final[Expected] = {"US-DSP401-01": SATISFIED, "US-DSP401-02": SATISFIED}
_UNITED_STATES: Final = (
    *abroad("US-FEDRAMP-01", "us_federal", "US", SG, "CA"),
    *trio(
        "US-DSP301-01",
        "data.read",
        ("US", "us_human_omic", SG),
        (to("US"), FRENCH, by("US")),
        (to("US"), FRENCH, by("CN")),
        (to("US"), FRENCH),
        ({"US-DSP401-02": SATISFIED}, {"US-DSP401-02": SATISFIED}, {"US-DSP401-02": SATISFIED}),
    ),
    *trio(
        "US-DSP302-01",
        "data.export",
        _BULK,
        (*_LICENSED, to("CA"), BASIS),
        (*_LICENSED, to("CA"), NO_BASIS),
        (*_LICENSED, to("CA")),
        (_OTHERS_OF_BULK, _OTHERS_OF_BULK, _OTHERS_OF_BULK),
    ),
    *trio(
        "US-DSP401-02",
        "data.read",
        _BULK,
        (by("US"), to("SG"), FRENCH),
        (by("US"), to("SG"), {"onshore.destination.entity": "Alibaba Cloud"}),
        (by("US"), to("SG")),
        ({"US-DSP401-01": SATISFIED}, {"US-DSP401-01": SATISFIED}, {"US-DSP401-01": SATISFIED}),
    ),
    *trio(
        "US-ITAR-01",
        "data.copy",
        ("US", "itar", SG),
        (national("US"), NONE, to("US")),
        (national("US"), NONE, to("DE")),
        (national("US"), NONE, NOWHERE),
        ({"US-ITAR-02": SATISFIED}, {"US-ITAR-02": SATISFIED}, {"US-ITAR-02": SATISFIED, **PLACE_UNKNOWN}),
    ),
    *trio(
        "US-ITAR-02",
        "data.read",
        ("US", "itar", SG),
        (to("US"), NONE, national("US")),
        (to("US"), NONE, national("FR")),
        (to("US"), NONE),
        ({"US-ITAR-01": SATISFIED}, {"US-ITAR-01": SATISFIED}, {"US-ITAR-01": SATISFIED}),
    ),
    *trio(
        "US-EAR-01",
        "data.read",
        ("US", "ear_controlled", SG),
        (to("US"), TICKET, national("CA")),
        (to("US"), NONE, national("IR")),
        (to("US"), NONE),
    ),
    *trio(
        "US-DFARS-01",
        "data.copy",
        ("US", "us_dod", SG),
        (by("US"), NONE, to("GU")),
        (by("US"), NONE, to("IE")),
        (by("US"), NONE, NOWHERE),
        (
            {"US-NDAA1692-01": SATISFIED},
            {"US-NDAA1692-01": SATISFIED},
            {"US-NDAA1692-01": SATISFIED, **PLACE_UNKNOWN},
        ),
    ),
)

_EUROPE: Final = (
    *abroad("EU-GDPR44-01", "eu_personal", "DE", SG, "IN", NO_BASIS),
    *abroad("EU-DORA30-01", "dora_function", "IE", SG, "GB"),
    *trio(
        "EU-DATA32-01",
        "data.copy",
        ("DE", "eu_non_personal", SG),
        (to("DE"), FRENCH),
        (aws("eu-central-1"),),
        (to("DE"),),
    ),
    *abroad("SOV-11-01", "training_data", "JP", JP, "US"),
)

LAWS_OF_DATA: Final = (*_AUSTRALIA, *_JAPAN, *_MALAYSIA, *_SINGAPORE, *_UNITED_STATES, *_EUROPE)
