"""What names of AWS say: ARNs (arn:partition:service:region:account:resource) and service names."""

from __future__ import annotations

from typing import Final

import polars as pl

_ARN: Final = r"^arn:aws[a-z-]*:[^:]*:([^:]*):([^:]*):"
_ACCOUNT: Final = r"^\d{12}$"
# A role that a person takes through IAM Identity Center has the person's name in its session.
_PERSON: Final = r"^arn:aws[a-z-]*:(iam::\d+:(user/|root$)|sts::\d+:(federated-user/|assumed-role/AWSReservedSSO_))"
_SERVICE: Final = r"[:/](aws-service-role/|AWSServiceRoleFor)|\.amazonaws\.com(\.cn)?$|^AmazonS3$|^svc:"


def region_of(arn: pl.Expr) -> pl.Expr:
    """The region in an ARN; null where it names none."""
    return _kept(arn.str.extract(_ARN, 1))


def account_of(arn: pl.Expr) -> pl.Expr:
    """The account in an ARN; null where it names none (buckets) or an AWS one ('aws')."""
    account = arn.str.extract(_ARN, 2)
    return pl.when(account.str.contains(_ACCOUNT)).then(account)


def actor_type_of(principal: pl.Expr) -> pl.Expr:
    """'user' or 'service' where a principal's name says it: an assumed role may be either."""
    return (
        pl.when(principal.str.contains(_PERSON))
        .then(pl.lit("user"))
        .when(principal.str.contains(_SERVICE))
        .then(pl.lit("service"))
    )


def _kept(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)
