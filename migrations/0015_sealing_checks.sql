-- What a sealing key is recognised by: a process that has another key finds out before it answers anybody.

CREATE TABLE sealing_checks (
    name  text  NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT sealing_checks_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE sealing_checks IS 'One row: the check value of the sealing key. The first process that becomes ready writes it.';
COMMENT ON COLUMN sealing_checks.value IS 'HMAC-SHA256 by the sealing key of a fixed label. It does not reveal the key.';
