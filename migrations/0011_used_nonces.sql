-- A used nonce is a digest of key and nonce together: less than half the bytes of a row that spells out the key's id, and
-- compared at once. Its type is uuid, which is 16 bytes and nothing else. The tables before these stay for as long as
-- programs before this migration serve; a later one drops them.

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
COMMENT ON TABLE used_nonces_0 IS 'Used nonces, a ring of four tables by the signed timestamp (slots of 900 s); the idle one is truncated.';
COMMENT ON TABLE used_nonces_1 IS 'See used_nonces_0.';
COMMENT ON TABLE used_nonces_2 IS 'See used_nonces_0.';
COMMENT ON TABLE used_nonces_3 IS 'See used_nonces_0.';
COMMENT ON COLUMN used_nonces_0.digest IS 'First 16 bytes of SHA-256 of the access key''s id, a zero byte and the nonce.';
COMMENT ON TABLE nonces_0 IS 'Of programs before used_nonces_0; unused.';
COMMENT ON TABLE nonces_1 IS 'See nonces_0.';
COMMENT ON TABLE nonces_2 IS 'See nonces_0.';
COMMENT ON TABLE nonces_3 IS 'See nonces_0.';
