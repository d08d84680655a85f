"""What the dashboard asks the store about coverage."""

# ruff: noqa: S608 - what is put into the text are constants of ours; what comes from a page travels as parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from onshore_dashboard.queries import Store

MOST_ROWS: Final = 1000
# What belongs to no tenant, such as the register, stands beside every tenant's rows.
_OF_TENANT: Final = "({tenant:String} = '' OR tenant IN ({tenant:String}, ''))"
_WORST_FIRST: Final = "['silent', 'wrong', 'missed', 'waiting', 'unknown', 'seen']"


def tenants(store: Store) -> list[str]:
    """Every tenant that the newest measurement names, in order."""
    sql = "SELECT DISTINCT toString(tenant) AS tenant FROM coverage WHERE tenant != '' ORDER BY tenant"
    return store.frame(sql)["tenant"].to_list()


def coverage(store: Store, tenant: str | None) -> pl.DataFrame:
    """The newest measurement, the worst first, the newest of those first; of `MOST_ROWS` rows at most.

    Columns: measured_at, kind, state, tenant, source, collector, since, until, unit, expected (null: nothing says),
    seen, doubled, last_heard, control_id, why, owner, matters, remedy (of the control whose finding stands for it).
    """
    sql = f"""SELECT measured_at, toString(kind) AS kind, toString(state) AS state, toString(c.tenant) AS tenant,
        toValidUTF8(source) AS source, toValidUTF8(toString(collector_id)) AS collector, since, until,
        toString(unit) AS unit, expected, seen, doubled, last_heard, toString(c.control_id) AS control_id,
        toValidUTF8(why) AS why, toValidUTF8(owner) AS owner, toValidUTF8(matters) AS matters, r.remediation AS remedy
    FROM coverage AS c LEFT JOIN (
        SELECT control_id, argMax(remediation, loaded_at) AS remediation FROM controls GROUP BY control_id
    ) AS r ON c.control_id = r.control_id
    WHERE {_OF_TENANT}
    ORDER BY indexOf({_WORST_FIRST}, state), until DESC, kind, source, collector LIMIT {MOST_ROWS}"""
    return store.frame(sql, {"tenant": tenant or ""})
