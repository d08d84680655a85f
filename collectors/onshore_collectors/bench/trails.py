"""CloudTrail files to measure with: records of about a kilobyte, told apart by the number in their ids."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NUMBER_DIGITS: Final = 8
_AT_ONCE: Final = 1000  # records that are written together
_LEVEL: Final = 1
_SCATTER: Final = 2_654_435_761  # golden ratio of 2^32: numbers in a row become texts that do not look alike

_REGIONS: Final = ("ap-southeast-2", "ap-southeast-1", "eu-central-1", "us-east-1")
_READ: Final = (
    '{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAQ3EGRKX5N7EXAMPLE:pod-%(few)d",'
    '"arn":"arn:aws:sts::%(account)d:assumed-role/training-reader/pod-%(few)d","accountId":"%(account)d",'
    '"accessKeyId":"ASIA%(key)016X","sessionContext":{"sessionIssuer":{"type":"Role",'
    '"principalId":"AROAQ3EGRKX5N7EXAMPLE","arn":"arn:aws:iam::%(account)d:role/training-reader",'
    '"accountId":"%(account)d","userName":"training-reader"},'
    '"attributes":{"creationDate":"2026-03-%(day)02dT00:00:00Z",'
    '"mfaAuthenticated":"false"}}},"eventTime":"2026-03-%(day)02dT%(hour)02d:%(minute)02d:%(second)02dZ",'
    '"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"%(region)s",'
    '"sourceIPAddress":"10.%(few)d.4.%(second)d","userAgent":"[Boto3/1.40 md/Botocore#1.40 os/linux lang/python#3.11]",'
    '"requestParameters":{"bucketName":"corpus-%(few)d","Host":"corpus-%(few)d.s3.%(region)s.amazonaws.com",'
    '"key":"shards/%(scattered)08x.tar"},"responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4",'
    '"CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader",'
    '"x-amz-id-2":"%(key)032x","bytesTransferredOut":%(scattered)d},"requestID":"%(key)016X","eventID":"%(id)s",'
    '"readOnly":true,"resources":[{"type":"AWS::S3::Object",'
    '"ARN":"arn:aws:s3:::corpus-%(few)d/shards/%(scattered)08x.tar"},'
    '{"accountId":"%(account)d","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::corpus-%(few)d"}],'
    '"eventType":"AwsApiCall",'
    '"managementEvent":false,"recipientAccountId":"%(account)d","eventCategory":"Data"}'
)
_DECRYPT: Final = (
    '{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"s3.amazonaws.com"},'
    '"eventTime":"2026-03-%(day)02dT%(hour)02d:%(minute)02d:%(second)02dZ","eventSource":"kms.amazonaws.com",'
    '"eventName":"Decrypt","awsRegion":"%(region)s","sourceIPAddress":"s3.amazonaws.com",'
    '"userAgent":"s3.amazonaws.com","requestParameters":{"encryptionAlgorithm":"SYMMETRIC_DEFAULT",'
    '"keyId":"arn:aws:kms:%(region)s:%(account)d:key/5b1f7a0c-%(few)04d-4a57-9d0e-1c3f6b0a7c11",'
    '"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::corpus-%(few)d/shards/%(scattered)08x.tar"}},'
    '"responseElements":null,"requestID":"%(key)032x","eventID":"%(id)s","readOnly":true,"resources":'
    '[{"accountId":"%(account)d","type":"AWS::KMS::Key","ARN":"arn:aws:kms:%(region)s:%(account)d:key/'
    '5b1f7a0c-%(few)04d-4a57-9d0e-1c3f6b0a7c11"}],"eventType":"AwsApiCall","managementEvent":true,'
    '"recipientAccountId":"%(account)d","sharedEventID":"%(key)032x","eventCategory":"Management"}'
)
_KINDS: Final = (_READ, _READ, _READ, _DECRYPT)


@dataclass(frozen=True, slots=True)
class Written:
    """Files that were written.

    Attributes:
        records: in all of them, numbered from 0.
        unpacked_bytes: of all of them.
        packed_bytes: of all of them, as they lie there.
    """

    records: int
    unpacked_bytes: int
    packed_bytes: int


def record(number: int) -> str:
    """The text of a record, as CloudTrail writes it: without spaces."""
    scattered = number * _SCATTER % (1 << 32)
    return _KINDS[number % len(_KINDS)] % {
        "id": f"{number:0{_NUMBER_DIGITS}x}-{scattered >> 16:04x}-4000-8000-{scattered:012x}",
        "scattered": scattered,
        "key": scattered * _SCATTER,
        "few": scattered % 40,
        "account": 111_122_223_333 + number % 3,
        "region": _REGIONS[number % len(_REGIONS)],
        "day": 1 + number // 2_000_000 % 28,
        "hour": number // 90_000 % 24,
        "minute": number // 1500 % 60,
        "second": number // 25 % 60,
    }


def number_of(event_id: str) -> int:
    """Which record has this id. Raises `ValueError` where none has."""
    return int(event_id[:_NUMBER_DIGITS], 16)


def log_file(records: Iterable[str]) -> bytes:
    """A log file with these records, unpacked."""
    return ('{"Records":[' + ",".join(records) + "]}").encode()


def write_files(folder: Path, unpacked_bytes: int, files: int) -> Written:
    """Fill a folder with packed log files of about the same size."""
    folder.mkdir()
    number = written = 0
    for name in range(files):
        with gzip.open(folder / f"{name:04d}.json.gz", "wb", compresslevel=_LEVEL) as file:
            end = unpacked_bytes * (name + 1) // files
            lead = b'{"Records":['
            while written < end:
                some = ",".join(map(record, range(number, number + _AT_ONCE))).encode()
                file.write(lead + some)
                written += len(lead) + len(some)
                number, lead = number + _AT_ONCE, b","
            file.write(b"]}")
            written += 2
    return Written(number, written, sum(path.stat().st_size for path in folder.iterdir()))


def packed_files(records: int, a_file: int) -> Sequence[bytes]:
    """Packed log files of `a_file` records each, in memory."""
    starts = range(0, records, a_file)
    return [
        gzip.compress(log_file(map(record, range(at, min(at + a_file, records)))), compresslevel=_LEVEL)
        for at in starts
    ]
