-- What makes a write of an operator repeatable: written in the statement of the write itself.

CREATE TABLE repeatable_requests (
    caller      text        NOT NULL,
    request_id  uuid        NOT NULL,
    fingerprint bytea       NOT NULL,
    resource    text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT repeatable_requests_pkey PRIMARY KEY (caller, request_id)
);
CREATE INDEX repeatable_requests_by_time ON repeatable_requests (recorded_at);
COMMENT ON TABLE repeatable_requests IS 'Writes that may be sent again for 24 hours. Keyed by caller: the account is not known before the look-up.';
COMMENT ON COLUMN repeatable_requests.fingerprint IS 'SHA-256 of method and request: the same id with another request is refused.';
COMMENT ON COLUMN repeatable_requests.resource IS 'What the first answer was about; the answer is made of it again, never stored.';
