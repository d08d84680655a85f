"""Requests to a Kubernetes API server as actions, as data.

A subresource or resource that is listed decides; every other request is config.read or config.change, by its verb.
"""

from __future__ import annotations

from typing import Final

import polars as pl

# Requests that open a way into a workload or a node, whatever their verb: the same session is a get over WebSocket and
# a create over SPDY.
SESSIONS: Final = (
    *("pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"),
    *("pods/proxy", "services/proxy", "nodes/proxy", "virtualmachineinstances/console", "virtualmachineinstances/vnc"),
)
_READING: Final = ("get", "list", "watch", "head", "options", "proxy")
_CHANGING: Final = ("create", "update", "patch", "delete", "deletecollection", "post", "put", "connect")
_ASKING: Final = (  # a create that changes nothing: the answer is the review
    *("selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews", "localsubjectaccessreviews"),
    *("tokenreviews", "selfsubjectreviews"),
)


def action_of(verb: pl.Expr, resource: pl.Expr, impersonated: pl.Expr) -> pl.Expr:
    """The action of a request; null for a verb that is none of the API's.

    Args:
        verb: the request's verb in lower case.
        resource: `resource` or `resource/subresource` in the plural; null for a request that is for no resource.
        impersonated: whom the request was made as; null without impersonation.
    """
    reads = verb.is_in(_READING)
    plain = (
        pl.when(reads | resource.is_in(_ASKING).fill_null(False))
        .then(pl.lit("config.read"))
        .when(verb.is_in(_CHANGING))
        .then(pl.lit("config.change"))
    )
    secret = resource == "secrets"
    return (
        pl.when(resource.is_in(SESSIONS))
        .then(pl.lit("admin.session"))
        .when(secret & reads)
        .then(pl.lit("data.read"))
        .when(secret & verb.is_in(("delete", "deletecollection")))
        .then(pl.lit("data.delete"))
        .when(impersonated.is_not_null() & plain.is_not_null())
        .then(pl.lit("admin.impersonate"))
        .otherwise(plain)
    )
