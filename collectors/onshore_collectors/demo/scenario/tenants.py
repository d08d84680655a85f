"""The four companies of the factory. They are invented; hosts end in `.example` and addresses are private ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.template import CERTIFIED, COPIES_AT_HOME, REMOTE_READS, TRANSFER_LAW

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as its owner registered it."""

    name: str
    classification: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One company.

    Attributes:
        id: its name as a tenant.
        home: alpha-2 code of the country where its data must stay.
        laws: the controls that judge its data, by what stands for them in expectations.
        utc_offset_h: of its office hours.
        share: of the factory's events.
        words: what stands for words in braces in templates.
        lists: what is drawn from, by name.
        datasets: by what they are in templates.
        emitters: services and machines by what they are in templates: names, and whether they run in the cloud region.
    """

    id: str
    home: str
    laws: Mapping[str, tuple[str, ...]]
    utc_offset_h: int
    share: float
    words: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    datasets: Mapping[str, tuple[Dataset, ...]]
    emitters: Mapping[str, Emitter]


@dataclass(frozen=True, slots=True)
class Emitter:
    """What sends: a service on one or more hosts."""

    service: str
    hosts: tuple[str, ...]
    in_cloud: bool = False


def _emitters(place: str) -> dict[str, Emitter]:
    """Every company runs the same kinds of services; `place` is part of its hosts' names."""
    return {
        "gateway": Emitter("model-gateway", (f"gw-1.{place}", f"gw-2.{place}")),
        "assistant": Emitter("assistant", (f"app-1.{place}", f"app-2.{place}"), in_cloud=True),
        "mover": Emitter("data-mover", (f"mover-1.{place}",), in_cloud=True),
        "lake": Emitter("data-lake", (f"lake-1.{place}", f"lake-2.{place}"), in_cloud=True),
        "backup": Emitter("backup", (f"backup-1.{place}",)),
        "indexer": Emitter("indexer", (f"index-1.{place}",)),
        "registry": Emitter("model-registry", (f"registry-1.{place}",)),
        "collector": Emitter("otel-collector", (f"otel-1.{place}",)),
        "bastion": Emitter("bastion", (f"bastion-1.{place}",)),
        "vault": Emitter("key-vault", (f"hsm-1.{place}", f"hsm-2.{place}")),
        "network": Emitter("flow-exporter", (f"edge-1.{place}",)),
        "host": Emitter("host-agent", tuple(f"node-{number:02}.{place}" for number in range(1, 9))),
        "gpu": Emitter("host-agent", tuple(f"gpu-{number:02}.{place}" for number in range(1, 13))),
    }


def _models(name: str) -> tuple[str, ...]:
    return (f"{name}-70b-instruct", f"{name}-8b-instruct")


_MACHINE_DATA: Final = (Dataset("model-registry", "internal", ("none",)),)

WATTLEBAY: Final = Tenant(
    id="wattlebay-health",
    home="AU",
    laws={
        TRANSFER_LAW: ("AU-APP8-01",),
        REMOTE_READS: ("AU-APP8-03",),
        COPIES_AT_HOME: (
            *("AU-APP8-01", "AU-SOCI6D-01", "AU-HCF-01", "AU-PSPF-FOCI-01", "AU-ISM1572-01", "AU-ISMEYES-01"),
            *("AU-ISMEYES-02", "AU-CPS230-01", "AU-DTC-01", "AU-SACSF21-01"),
        ),
    },
    utc_offset_h=10,
    share=0.30,
    words={
        "tenant": "wattlebay-health",
        "home": "AU",
        "domain": "wattlebay-health.example",
        "region": "ap-southeast-2",
        "site": "syd-1",
        "second_site": "mel-1",
        "operator": "Telstra",
        "abroad": "US",
        "vendor_country": "IN",
    },
    lists={
        "people": ("amelia.ward", "jack.nguyen", "olivia.papas", "noah.singh", "ruby.hughes", "leo.marino"),
        "operators": ("ops.harper", "ops.koroma", "ops.walsh"),
        "vendors": ("vendor.rao", "vendor.mehta"),
        "models": _models("lyrebird"),
        "keys": ("hsm-syd/patients/7", "hsm-syd/imaging/2"),
    },
    datasets={
        "personal": (
            Dataset("patient-notes", "protected", ("personal", "health")),
            Dataset("appointments", "protected", ("personal",)),
            Dataset("imaging", "protected", ("personal", "health")),
        ),
        "health_record": (Dataset("my-health-record", "protected", ("my_health_record", "personal", "health")),),
        "machine": _MACHINE_DATA,
        "unregistered": (Dataset("scratch-export", "", ()),),
    },
    emitters=_emitters("syd1.wattlebay-health.example"),
)

KAWASEMI: Final = Tenant(
    id="kawasemi-life",
    home="JP",
    laws={
        TRANSFER_LAW: ("JP-APPI28-01",),
        COPIES_AT_HOME: ("JP-APPI28-01", "JP-APPIENV-01", "JP-FEFA25-01"),
    },
    utc_offset_h=9,
    share=0.28,
    words={
        "tenant": "kawasemi-life",
        "home": "JP",
        "domain": "kawasemi-life.example",
        "region": "ap-northeast-1",
        "site": "tyo-1",
        "second_site": "osa-1",
        "operator": "Sakura",
        "abroad": "US",
        "vendor_country": "US",
    },
    lists={
        "people": ("aiko.tanaka", "haruto.sato", "yui.kobayashi", "ren.ito", "sakura.mori", "daichi.ono"),
        "operators": ("ops.fujita", "ops.hayashi", "ops.endo"),
        "vendors": ("vendor.miller", "vendor.brooks"),
        "models": _models("hibari"),
        "keys": ("hsm-tyo/policies/4", "hsm-tyo/claims/11"),
    },
    datasets={
        "personal": (
            Dataset("policy-holders", "confidential", ("personal",)),
            Dataset("claims", "confidential", ("personal", "health")),
        ),
        "machine": _MACHINE_DATA,
        "unregistered": (Dataset("tmp-claims-join", "", ()),),
    },
    emitters=_emitters("tyo1.kawasemi-life.example"),
)

SERI_RIMBA: Final = Tenant(
    id="seri-rimba-bank",
    home="MY",
    laws={
        TRANSFER_LAW: ("MY-PDPA129-01",),
        COPIES_AT_HOME: ("MY-PDPA129-01", "MY-RMIT-01", "MY-NCCP-01", "MY-NCCP-02"),
    },
    utc_offset_h=8,
    share=0.20,
    words={
        "tenant": "seri-rimba-bank",
        "home": "MY",
        "domain": "seri-rimba-bank.example",
        "region": "ap-southeast-5",
        "site": "kul-1",
        "second_site": "jhb-1",
        "operator": "TM",
        "abroad": "SG",
        "vendor_country": "SG",
    },
    lists={
        "people": ("nur.aisyah", "farid.hassan", "mei.ling", "kavitha.raj", "amir.zulkifli", "chong.wei"),
        "operators": ("ops.ismail", "ops.tan", "ops.kumar"),
        "vendors": ("vendor.goh", "vendor.teo"),
        "models": _models("hornbill"),
        "keys": ("hsm-kul/accounts/3", "hsm-kul/cards/9"),
    },
    datasets={
        "personal": (
            Dataset("account-holders", "secret", ("personal", "financial")),
            Dataset("card-transactions", "secret", ("personal", "financial")),
        ),
        "machine": _MACHINE_DATA,
        "unregistered": (Dataset("fraud-sandbox", "", ()),),
    },
    emitters=_emitters("kul1.seri-rimba-bank.example"),
)

STRAITSVIEW: Final = Tenant(
    id="straitsview-genomics",
    home="SG",
    laws={
        TRANSFER_LAW: ("SG-PDPA26-01",),
        CERTIFIED: ("SG-PDPR12-01",),
        COPIES_AT_HOME: ("SG-PDPA26-01", "SG-MAS658-01", "SG-IM8DP1-01", "SG-BA47-01"),
    },
    utc_offset_h=8,
    share=0.22,
    words={
        "tenant": "straitsview-genomics",
        "home": "SG",
        "domain": "straitsview-genomics.example",
        "region": "ap-southeast-1",
        "site": "sin-1",
        "second_site": "sin-2",
        "operator": "Singtel",
        "abroad": "ID",
        "vendor_country": "IN",
    },
    lists={
        "people": ("wei.jie", "priya.nair", "siti.rahman", "daniel.ong", "hui.min", "arjun.pillai"),
        "operators": ("ops.lim", "ops.chua", "ops.menon"),
        "vendors": ("vendor.iyer", "vendor.das"),
        "models": _models("sunbird"),
        "keys": ("hsm-sin/genomes/5", "hsm-sin/trials/1"),
    },
    datasets={
        "personal": (
            Dataset("study-participants", "restricted", ("personal", "health")),
            Dataset("sample-register", "restricted", ("personal", "genetic")),
        ),
        "us_bulk": (Dataset("us-trial-genomes", "restricted", ("us_bulk_sensitive", "personal", "genetic")),),
        "machine": _MACHINE_DATA,
        "unregistered": (Dataset("variant-scratch", "", ()),),
    },
    emitters=_emitters("sin1.straitsview-genomics.example"),
)

TENANTS: Final = (WATTLEBAY, KAWASEMI, SERI_RIMBA, STRAITSVIEW)
