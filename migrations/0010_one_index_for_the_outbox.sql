-- An event waits in the outbox for some milliseconds, and each opening writes one: one index instead of two. It is the
-- one by which events are numbered; the account is in it because it is the distribution column.

ALTER TABLE event_outbox DROP CONSTRAINT event_outbox_pkey;
ALTER TABLE event_outbox
    ADD CONSTRAINT event_outbox_pkey PRIMARY KEY (lane, event_time, event_id, account_id);
DROP INDEX event_outbox_by_lane;
