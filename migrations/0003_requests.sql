-- State of requests and replicas: used nonces, requests that may be sent again, leases, and the check values of the
-- sealing keys. The digest of a nonce has the type uuid, which has 16 bytes and is compared as one value.

CREATE TABLE used_nonces_0 (
    digest uuid NOT NULL,
    CONSTRAINT used_nonces_0_pkey PRIMARY KEY (digest)
);
CREATE TABLE used_nonces_1 (
    digest uuid NOT NULL,
    CONSTRAINT used_nonces_1_pkey PRIMARY KEY (digest)
);
CREATE TABLE used_nonces_2 (
    digest uuid NOT NULL,
    CONSTRAINT used_nonces_2_pkey PRIMARY KEY (digest)
);
CREATE TABLE used_nonces_3 (
    digest uuid NOT NULL,
    CONSTRAINT used_nonces_3_pkey PRIMARY KEY (digest)
);
COMMENT ON TABLE used_nonces_0 IS 'Used nonces, in a ring of four tables. The signed timestamp chooses the table, in slots of 900 s. The idle table is truncated.';
COMMENT ON TABLE used_nonces_1 IS 'See used_nonces_0.';
COMMENT ON TABLE used_nonces_2 IS 'See used_nonces_0.';
COMMENT ON TABLE used_nonces_3 IS 'See used_nonces_0.';
COMMENT ON COLUMN used_nonces_0.digest IS 'The first 16 bytes of the SHA-256 of the id of the access key, a zero byte and the nonce.';

CREATE TABLE repeatable_requests (
    caller      text        NOT NULL,
    request_id  uuid        NOT NULL,
    fingerprint bytea       NOT NULL,
    resource    text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT repeatable_requests_pkey PRIMARY KEY (caller, request_id)
);
CREATE INDEX repeatable_requests_by_time ON repeatable_requests (recorded_at);
COMMENT ON TABLE repeatable_requests IS 'Writes that may be sent again for 24 hours. The primary key begins with the caller, because the account is not known before the look-up.';
COMMENT ON COLUMN repeatable_requests.fingerprint IS 'The SHA-256 of the method and the request. If the same id is sent with another request, it is refused.';
COMMENT ON COLUMN repeatable_requests.resource IS 'The resource that the first answer described. The answer is made from it again and is not stored.';

CREATE TABLE leases (
    name       text        NOT NULL,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE leases IS 'Leases. A lease gives one replica a job that only one may do at a time.';

CREATE TABLE sealing_checks (
    key_id bytea NOT NULL,
    value  bytea NOT NULL,
    CONSTRAINT sealing_checks_pkey PRIMARY KEY (key_id)
);
COMMENT ON TABLE sealing_checks IS 'One row for each sealing key that has sealed something. The first process that becomes ready with the key writes it. reseal deletes the rows of keys with which no secret is sealed any more.';
COMMENT ON COLUMN sealing_checks.key_id IS 'The id of the key: the first 4 bytes of the HMAC-SHA256 of a fixed label with the key.';
COMMENT ON COLUMN sealing_checks.value IS 'The HMAC-SHA256 of another fixed label with the key. It does not reveal the key.';
