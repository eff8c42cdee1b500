-- Audit records: who did what to which account, from where, and with which result. Rows are inserted, and deleted when they
-- are older than AUDIT_RETENTION; no row is changed.

CREATE TABLE audit_records (
    account_id     bigint      NOT NULL,
    audit_id       uuid        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    principal      text        NOT NULL,
    address        text,
    action         text        NOT NULL,
    resource       text        NOT NULL,
    request_id     text        NOT NULL,
    correlation_id text,
    result         text        NOT NULL,
    before         jsonb,
    after          jsonb,
    CONSTRAINT audit_records_pkey PRIMARY KEY (account_id, recorded_at, audit_id),
    CONSTRAINT audit_records_by_time UNIQUE (recorded_at, audit_id, account_id)
);
COMMENT ON TABLE audit_records IS 'Changes and refused attempts of callers, kept for AUDIT_RETENTION. The record of a change is written in the statement of the change.';
COMMENT ON COLUMN audit_records.account_id IS 'The account that the call was about; 0 if it named none. There may be no such account.';
COMMENT ON COLUMN audit_records.recorded_at IS 'When the request arrived, by the clock of the replica that answered it.';
COMMENT ON COLUMN audit_records.principal IS 'The caller: service:NAME, key:ID, or unverified, unverified-key:ID if it was not authenticated.';
COMMENT ON COLUMN audit_records.address IS 'The address of the client.';
COMMENT ON COLUMN audit_records.action IS 'The name of the rpc.';
COMMENT ON COLUMN audit_records.resource IS 'What the call was about, for example the product and the reason of a lock. Empty if it is the account.';
COMMENT ON COLUMN audit_records.request_id IS 'The id of the request in its reply and in the log.';
COMMENT ON COLUMN audit_records.correlation_id IS 'The id of the request that the client sent.';
COMMENT ON COLUMN audit_records.result IS 'OK, or the documented code of the refusal.';
COMMENT ON COLUMN audit_records.before IS 'The state before the change. NULL for a refused attempt, and if there was nothing.';
COMMENT ON COLUMN audit_records.after IS 'The state after the change. NULL for a refused attempt, and if there is nothing.';
COMMENT ON CONSTRAINT audit_records_by_time ON audit_records IS 'The index of the lists over all accounts and of the deletion of old records. It is a constraint because a migration has one statement.';
