-- The foreign-access ledger, told again: whose staff reached in. Own operators at home are no access from outside; an
-- operator is listed where he, or whoever controls his employer, is not known to be at home. The employer is what the
-- event or the register of people says, else the organisation that the actor is of.

CREATE OR REPLACE VIEW foreign_access AS
SELECT
    e.tenant AS tenant, e.event_id AS event_id, e.domain AS domain, e.occurred_at AS occurred_at,
    e.source_format AS source_format, e.action AS action, e.outcome AS outcome, e.actor_type AS actor_type,
    e.actor_id AS actor_id,
    coalesce(e.actor_employer, e.actor_entity) AS employer, e.actor_control_country AS employer_control_country,
    e.controlled_abroad AS controlled_abroad, e.actor_nationality AS nationality,
    e.actor_country AS country, e.actor_country_basis AS country_basis,
    e.actor_country_candidates AS country_candidates, e.actor_address AS address, e.abroad AS abroad,
    coalesce(e.destination_id, e.destination_host, toString(e.dataset)) AS target,
    e.destination_country AS target_country, e.reason AS reason, e.approval_id AS approval_id,
    multiIf(
        e.approval_id = 'none' OR e.approval_by = 'none', 'none',
        e.action = 'access.deny', 'denied', e.action = 'access.revoke', 'revoked', e.action = 'access.expire', 'expired',
        e.action = 'access.approve', 'approved',
        d.decision = 'access.approve', 'approved', d.decision = 'access.deny', 'denied',
        d.decision = 'access.revoke', 'revoked', d.decision = 'access.expire', 'expired',
        e.approval_by IS NOT NULL, 'approved',
        'unknown'
    ) AS approval,
    coalesce(e.approval_by, d.approver) AS approval_by,
    coalesce(d.expires, e.approval_expires_at) AS approval_expires_at
FROM (
    SELECT *, ifNull(approval_id, '') AS request,
        multiIf(
            actor_country IS NULL, 'unknown',
            notEmpty(home_jurisdictions) AND NOT has(home_jurisdictions, 'none'),
            if(has(home_jurisdictions, assumeNotNull(actor_country)), 'no', 'yes'),
            destination_country IS NULL, 'unknown',
            actor_country = destination_country, 'no',
            'yes'
        ) AS abroad,
        multiIf(
            actor_control_country IS NULL, 'unknown',
            notEmpty(home_jurisdictions) AND NOT has(home_jurisdictions, 'none'),
            if(has(home_jurisdictions, assumeNotNull(actor_control_country)), 'no', 'yes'),
            destination_country IS NULL, 'unknown',
            actor_control_country = destination_country, 'no',
            'yes'
        ) AS controlled_abroad
    FROM events_current
    WHERE ifNull(actor_type, '') IN ('operator', 'vendor') OR startsWith(action, 'access.')
        OR action IN ('admin.session', 'admin.command', 'admin.impersonate')
) AS e
LEFT JOIN (
    SELECT tenant, assumeNotNull(approval_id) AS request, argMax(action, occurred_at) AS decision,
        argMaxIf(approval_by, occurred_at, action = 'access.approve') AS approver,
        argMaxIf(approval_expires_at, occurred_at, action = 'access.approve') AS expires
    FROM events_current
    WHERE action IN ('access.approve', 'access.deny', 'access.revoke', 'access.expire')
        AND approval_id IS NOT NULL AND approval_id != 'none'
    GROUP BY tenant, request
) AS d ON d.tenant = e.tenant AND d.request = e.request
WHERE ifNull(e.actor_type, '') = 'vendor' OR startsWith(e.action, 'access.') OR e.abroad != 'no'
    OR (ifNull(e.actor_type, '') = 'operator' AND e.controlled_abroad != 'no');
