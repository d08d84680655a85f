-- A decision about a control that was withdrawn before it came into force is none: a retirement that was taken back
-- leaves hours that the control has to be put to.

-- Hours in which a control had to be put to what was sealed, to how much of it it was, and what it missed: from its own
-- first hour on, in which it may come late, but not while it is retired. What windows, sequences and absences wait for is
-- not missing before its time. Two texts of a control that stand side by side see the same events.
CREATE OR REPLACE VIEW control_hours AS
SELECT control_id, hour, looks_at, sealed, least(seen, sealed) AS seen,
    if(is_first OR is_retired, 0, sealed - least(seen, sealed)) AS missed
FROM (
    SELECT expected.control_id AS control_id, expected.hour AS hour, expected.kind AS looks_at, is_first, sealed,
        if(ifNull(run.together, 0) <= sealed, ifNull(run.together, 0), ifNull(run.most, 0)) AS seen,
        (expected.control_id, expected.hour) IN (
            SELECT each.control_id, each.hour FROM (
                SELECT toString(known.control_id) AS control_id, total.hour AS hour
                FROM (SELECT DISTINCT hour FROM control_runs_and_totals) AS total
                CROSS JOIN (SELECT DISTINCT control_id FROM control_runs) AS known
            ) AS each
            INNER JOIN (
                SELECT control_id, argMax(said, at) AS action, max(at) AS received_at,
                    toStartOfHour(parseDateTimeBestEffortOrZero(effective_at, 'UTC')) AS decided
                FROM (
                    SELECT attributes['onshore.control.id'] AS control_id, action AS said, received_at AS at,
                        attributes['onshore.control.effective_at'] AS effective_at
                    FROM message_actions_current
                    WHERE action IN ('control.activate', 'control.retire', 'control.withdraw')
                )
                GROUP BY control_id, effective_at HAVING action != 'control.withdraw'
            ) AS decision ON decision.control_id = each.control_id
            WHERE each.hour >= decision.decided
            GROUP BY each.control_id, each.hour
            HAVING argMax(decision.action, (decision.decided, decision.received_at)) = 'control.retire'
        ) AS is_retired
    FROM (
        SELECT toString(known.control_id) AS control_id, total.hour AS hour, known.kind AS kind,
            total.hour = known.first AS is_first, total.events_seen AS sealed
        FROM (SELECT hour, events_seen FROM control_runs_and_totals WHERE control_id = '' AND events_seen > 0) AS total
        CROSS JOIN (
            SELECT control_id, min(hour) AS first, toString(any(looks_at)) AS kind FROM control_runs WHERE entries > 0
            GROUP BY control_id
        ) AS known
        WHERE total.hour >= known.first
            AND (known.kind = 'event' OR total.hour < toStartOfHour(now('UTC') - INTERVAL 10 MINUTE))
    ) AS expected
    LEFT JOIN (
        SELECT toString(control_id) AS control_id, hour, sum(events_seen) AS together, max(events_seen) AS most
        FROM control_runs GROUP BY control_id, hour
    ) AS run ON run.control_id = expected.control_id AND run.hour = expected.hour
) AS hours
WHERE seen > 0 OR NOT is_retired;
