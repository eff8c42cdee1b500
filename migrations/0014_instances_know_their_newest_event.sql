-- Every write to the history of an instance begins with its row, and sets event_time there: it is the time of the newest
-- event of the instance, its changes and locks, and what was decided on the instance holds while it is the same. Until
-- here it was the time of the opening's event alone.

UPDATE instances
SET event_time = greatest(
    event_time,
    (SELECT max(event_time) FROM charge_type_changes
     WHERE charge_type_changes.account_id = instances.account_id
         AND charge_type_changes.product = instances.product),
    (SELECT max(event_time) FROM operation_locks
     WHERE operation_locks.account_id = instances.account_id
         AND operation_locks.product = instances.product))
WHERE has_history;
COMMENT ON COLUMN instances.event_time IS 'Time of the newest event of the instance, its changes and locks.';
COMMENT ON COLUMN event_outbox.event_time IS 'The database''s clock in the statement that wrote it, but later than any event that this statement has seen.';
COMMENT ON COLUMN event_log.event_time IS 'As it stood in the outbox.';
COMMENT ON COLUMN accounts.event_time IS 'Time of the newest event of this row.';
COMMENT ON TABLE instances IS 'What an account has opened, as it was opened; of a row nothing changes but event_time, has_history, once, and the copies.';
