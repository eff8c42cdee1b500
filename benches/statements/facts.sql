SELECT
    a.account_id,
    a.site,
    a.intl_allowed,
    a.bid_user,
    a.real_name_verified,
    a.profile_complete,
    a.payment_method_valid,
    a.balance,
    a.orders_refused,
    a.version,
    a.created_at,
    a.updated_at,
    a.event_time,
    i.instance_id,
    i.internet_charge_type,
    i.websocket_charge_type,
    i.opening_time,
    i.order_id,
    greatest(a.event_time, i.event_time, c.event_time, l.event_time) AS newest_event_time,
    c.change_ids,
    c.change_kinds,
    c.change_charge_types,
    c.change_submissions,
    c.change_effects,
    c.change_settlements,
    l.lock_ids,
    l.lock_reasons,
    l.lock_authors,
    l.lock_times
FROM accounts a
LEFT JOIN instances i
    ON i.account_id = a.account_id AND i.account_id = ANY($1) AND i.product = $2
LEFT JOIN (
    SELECT
        account_id,
        max(event_time) AS event_time,
        array_agg(change_id ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_ids,
        array_agg(kind ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_kinds,
        array_agg(charge_type ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_charge_types,
        array_agg(submitted_at ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_submissions,
        array_agg(effective_time ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_effects,
        array_agg(in_force_event_at IS NOT NULL ORDER BY change_id)
            FILTER (WHERE cancelled_at IS NULL) AS change_settlements
    FROM charge_type_changes
    WHERE account_id = ANY($1) AND product = $2
    GROUP BY account_id
) c ON c.account_id = a.account_id
LEFT JOIN (
    SELECT
        account_id,
        max(event_time) AS event_time,
        array_agg(lock_id ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_ids,
        array_agg(reason ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_reasons,
        array_agg(locked_by ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_authors,
        array_agg(locked_at ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_times
    FROM operation_locks
    WHERE account_id = ANY($1) AND product = $2
    GROUP BY account_id
) l ON l.account_id = a.account_id
WHERE a.account_id = ANY($1)
