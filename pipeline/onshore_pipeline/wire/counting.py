"""How much lies in a message, told before it is decoded: the memory that decoding takes grows with its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from onshore_pipeline.wire.descriptor import parts_class

if TYPE_CHECKING:
    from onshore_pipeline.wire.fast import Signal

MAX_PARTS: Final = 2**17
_SMALLEST_PART_BYTES: Final = 2  # a tag and a length of 0, which decoding turns into hundreds of bytes


def count_parts(signal: Signal, value: bytes) -> dict[str, int]:
    """What an encoded request holds: 'resources', 'scopes', and 'records' or 'metrics' and 'data points'.

    Counting ends with the first kind of which there are more than `MAX_PARTS`. Raises `DecodeError`.
    """
    request: Any = parts_class("metrics" if signal == "metrics" else "records").FromString(value)
    counts = {"resources": len(request.resources)}
    if counts["resources"] > MAX_PARTS:
        return counts
    counts["scopes"] = sum(len(resource.scopes) for resource in request.resources)
    if counts["scopes"] > MAX_PARTS:
        return counts
    lists = [scope.records for resource in request.resources for scope in resource.scopes]
    counts["metrics" if signal == "metrics" else "records"] = sum(map(len, lists))
    if signal == "metrics" and counts["metrics"] <= MAX_PARTS:
        # a metric has points of one kind; one that claims several is refused only after all were decoded
        counts["data points"] = sum(
            len(points.data_points) for metrics in lists for metric in metrics for _, points in metric.ListFields()
        )
    return counts


def crowded(signal: Signal, value: bytes) -> str | None:
    """Why an encoded request has too many parts to be decoded, or None; also None for what is no request."""
    if len(value) <= _SMALLEST_PART_BYTES * MAX_PARTS:
        return None
    try:
        counts = count_parts(signal, value)
    except DecodeError:
        return None
    for what, count in counts.items():
        if count > MAX_PARTS:
            return f"{count} {what} in one message, {MAX_PARTS} are allowed: send smaller batches"
    return None
