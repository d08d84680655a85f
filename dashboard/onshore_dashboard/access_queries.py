"""What the dashboard asks the store about access from outside."""

# ruff: noqa: S608 - what is put into the text are constants of ours; what comes from a page travels as parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_dashboard.queries import OF_TENANT, SINCE, Scope, Store

if TYPE_CHECKING:
    import polars as pl

MOST_ACCESSES: Final = 50


def accesses(store: Store, scope: Scope, limit: int = MOST_ACCESSES) -> pl.DataFrame:
    """The newest entries of the foreign-access ledger; sessions of unknown place or employer are left out.

    Columns: event, occurred_ns (Int64), occurred_at, tenant, action, outcome, kind, actor, employer, country (alpha-2),
    basis, target, reason, approval, approval_by, approval_expires_at; null is unknown.
    """
    sql = f"""SELECT toString(event_id) AS event, toUnixTimestamp64Nano(occurred_at) AS occurred_ns, occurred_at,
        toString(tenant) AS tenant, toString(action) AS action, toString(outcome) AS outcome,
        toString(actor_type) AS kind, toValidUTF8(actor_id) AS actor, toString(employer) AS employer,
        toString(country) AS country, toString(country_basis) AS basis, toValidUTF8(target) AS target,
        toValidUTF8(reason) AS reason, approval, toValidUTF8(approval_by) AS approval_by, approval_expires_at
    FROM foreign_access
    WHERE occurred_at >= {SINCE} AND {OF_TENANT}
        AND (abroad = 'yes' OR ifNull(actor_type, '') = 'vendor' OR startsWith(action, 'access.')
            OR (ifNull(actor_type, '') = 'operator' AND controlled_abroad = 'yes'))
    ORDER BY occurred_at DESC, event LIMIT {{limit:UInt32}}"""
    return store.frame(sql, {**scope.parameters(), "limit": limit})
