-- What a Describe shows of an instance's changes and locks is read from the instance's own row, once a worker has copied
-- it there: a look into two more tables costs as much again as the row. Whoever writes a change or a lock drops the copies
-- in the same statement, so that there is none that is not true.

ALTER TABLE instances
    ADD COLUMN carried_changes json,
    ADD COLUMN carried_locks json;
COMMENT ON COLUMN instances.carried_changes IS 'The changes that were not cancelled, as they are in charge_type_changes; NULL where they are to be looked up there, or has_history is false.';
COMMENT ON COLUMN instances.carried_locks IS 'The locks that hold, as they are in operation_locks; NULL where they are to be looked up there, or has_history is false.';
COMMENT ON TABLE instances IS 'What an account has opened, as it was opened; of a row nothing changes but has_history, once, and the copies.';
