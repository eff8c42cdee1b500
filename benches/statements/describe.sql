SELECT 'instance' AS row, account_id, event_time, order_id AS id, instance_id AS text_1,
    internet_charge_type AS text_2, websocket_charge_type AS text_3, opening_time AS time_1,
    NULL::timestamptz AS time_2, NULL::boolean AS is_over, NULL::boolean AS is_settled
FROM instances
WHERE account_id = ANY($1) AND product = $2
UNION ALL
SELECT 'change', account_id, event_time, change_id, kind, charge_type, NULL, submitted_at,
    effective_time, cancelled_at IS NOT NULL, in_force_event_at IS NOT NULL
FROM charge_type_changes
WHERE account_id = ANY($1) AND product = $2 AND cancelled_at IS NULL
UNION ALL
SELECT 'lock', account_id, event_time, lock_id, reason, locked_by, NULL, locked_at, NULL,
    lifted_at IS NOT NULL, NULL
FROM operation_locks
WHERE account_id = ANY($1) AND product = $2 AND lifted_at IS NULL
