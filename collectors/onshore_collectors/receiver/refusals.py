"""Why a request is not taken, and what the sender is told in OTLP's words.

OTLP/HTTP answers errors with a google.rpc.Status in the request's own encoding; OTLP/gRPC with a status code and, where
trying again helps, a RetryInfo (opentelemetry.io/docs/specs/otlp, "Failures" and "OTLP/gRPC Throttling").
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from google.protobuf import json_format
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc import StatusCode

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from onshore_collectors.receiver.signals import Encoding

MIB: Final = 1 << 20


class Refusal(OnshoreError):
    """A request that is not taken.

    Args:
        http: the HTTP status to answer with.
        code: the gRPC status to answer with.
        why: what is wrong and how to mend it, one line.
        reason: as it is counted; by default what the HTTP status says.
        retry_after_s: when trying again may help; None when it will not.
    """

    def __init__(
        self, http: HTTPStatus, code: StatusCode, why: str, *, reason: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(why)
        self.http, self.code, self.why, self.retry_after_s = http, code, why, retry_after_s
        self.reason = reason or http.phrase.lower()

    def retry_info(self) -> bytes | None:
        """When to try again, as a serialised google.rpc.RetryInfo; None when trying again will not help."""
        return None if self.retry_after_s is None else bytes(self._retry().SerializeToString())

    def details(self) -> bytes:
        """All of it as a serialised google.rpc.Status: a protobuf body, or gRPC's `grpc-status-details-bin`."""
        return bytes(self._status().SerializeToString())

    def body(self, encoding: Encoding) -> bytes:
        """The HTTP response's body, in the request's encoding."""
        return self.details() if encoding == "otlp_proto" else json_format.MessageToJson(self._status()).encode()

    def _status(self) -> Status:
        status = Status(code=self.code.value[0], message=self.why)
        if self.retry_after_s is not None:
            status.details.add().Pack(self._retry())
        return status

    def _retry(self) -> RetryInfo:
        retry = RetryInfo()
        retry.retry_delay.FromSeconds(self.retry_after_s)
        return retry


def malformed(why: str) -> Refusal:
    """The body is not what it claims to be."""
    return Refusal(HTTPStatus.BAD_REQUEST, StatusCode.INVALID_ARGUMENT, why)


def too_large(what: str, limit_bytes: int) -> Refusal:
    """The body exceeds a limit: send smaller batches."""
    why = f"the {what} is larger than {limit_bytes / MIB:g} MiB; send smaller batches"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, StatusCode.RESOURCE_EXHAUSTED, why)


def too_large_to_store(size: int) -> Refusal:
    """What is behind us takes no message of this size, today or later: send smaller batches."""
    why = f"the request of {size / MIB:.1f} MiB is larger than a message may be here; send smaller batches"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, StatusCode.RESOURCE_EXHAUSTED, why)


def overtaken(why: str) -> Refusal:
    """A numbered request is not the next one of its stream, and not the last one again."""
    return Refusal(HTTPStatus.CONFLICT, StatusCode.ABORTED, why)


def unauthenticated(why: str) -> Refusal:
    """The sender could not be told apart from a stranger."""
    return Refusal(HTTPStatus.UNAUTHORIZED, StatusCode.UNAUTHENTICATED, why)


def busy(why: str, reason: str, retry_after_s: int) -> Refusal:
    """Too much is under way: send the same again in a moment."""
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS, StatusCode.RESOURCE_EXHAUSTED, why, reason=reason, retry_after_s=retry_after_s
    )


def unavailable(why: str, reason: str, retry_after_s: int) -> Refusal:
    """Nothing can be made durable right now: send the same again later."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, StatusCode.UNAVAILABLE, why, reason=reason, retry_after_s=retry_after_s
    )


def failed() -> Refusal:
    """Whatever it was, the body is not durable: the sender must keep it and try again."""
    return unavailable("the receiver failed; nothing was taken, send it again", "internal error", 2)
