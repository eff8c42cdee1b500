-- The tables of the service. Every key of an account-owned table begins with account_id, the distribution column;
-- closed vocabularies are text with a named CHECK that lists the wire spellings; no column has a time or id default,
-- because every time and id is bound by the service. Foreign keys follow, one a file.

CREATE TABLE accounts (
    account_id           bigint      NOT NULL,
    site                 text        NOT NULL,
    intl_allowed         boolean     NOT NULL,
    bid_user             boolean     NOT NULL,
    real_name_verified   boolean     NOT NULL,
    profile_complete     boolean     NOT NULL,
    payment_method_valid boolean     NOT NULL,
    balance              bigint      NOT NULL,
    orders_refused       boolean     NOT NULL,
    version              bigint      NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    event_time           timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT accounts_id_is_positive CHECK (account_id > 0),
    CONSTRAINT accounts_site_is_known CHECK (site IN ('domestic', 'intl'))
);
COMMENT ON TABLE accounts IS 'Customers, with one column for each rule of the opening table.';
COMMENT ON COLUMN accounts.site IS 'Site the account belongs to.';
COMMENT ON COLUMN accounts.intl_allowed IS 'An account of the international site may open all the same.';
COMMENT ON COLUMN accounts.bid_user IS 'May not open by itself.';
COMMENT ON COLUMN accounts.real_name_verified IS 'Real-name authentication has been passed.';
COMMENT ON COLUMN accounts.profile_complete IS 'The user profile is complete.';
COMMENT ON COLUMN accounts.payment_method_valid IS 'There is a valid payment method.';
COMMENT ON COLUMN accounts.balance IS 'Minor units of the currency.';
COMMENT ON COLUMN accounts.orders_refused IS 'The commerce system takes no orders of this account.';
COMMENT ON COLUMN accounts.version IS 'Rises with every change; guards a decision made on facts read before.';
COMMENT ON COLUMN accounts.event_time IS 'Time of the newest event of this row (hybrid logical clock).';

CREATE TABLE access_keys (
    access_key_id text        NOT NULL,
    account_id    bigint      NOT NULL,
    secret_sealed bytea       NOT NULL,
    policy        text        NOT NULL,
    disabled      boolean     NOT NULL,
    version       bigint      NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    event_time    timestamptz NOT NULL,
    CONSTRAINT access_keys_pkey PRIMARY KEY (access_key_id)
);
CREATE INDEX access_keys_by_account ON access_keys (account_id, access_key_id);
COMMENT ON TABLE access_keys IS 'Key pairs that sign requests. Keyed by id: a request names nothing else.';
COMMENT ON COLUMN access_keys.secret_sealed IS 'The secret, AES-256-GCM with the key id as associated data.';
COMMENT ON COLUMN access_keys.policy IS 'JSON policy document: what the key may do.';
COMMENT ON COLUMN access_keys.version IS 'Rises with every change.';

CREATE TABLE instances (
    account_id            bigint      NOT NULL,
    product               text        NOT NULL,
    instance_id           text        NOT NULL,
    internet_charge_type  text        NOT NULL,
    websocket_charge_type text,
    opening_time          timestamptz NOT NULL,
    order_id              uuid        NOT NULL,
    event_time            timestamptz NOT NULL,
    CONSTRAINT instances_one_per_product PRIMARY KEY (account_id, product),
    CONSTRAINT instances_id_is_unique UNIQUE (account_id, instance_id),
    CONSTRAINT instances_product_is_known CHECK (product IN ('cdn', 'dcdn')),
    CONSTRAINT instances_internet_charge_type_is_known CHECK (internet_charge_type IN (
        'PayByTraffic', 'PayByBandwidth', 'PayByBandwidth95', 'PayByBandwidth_monthavg', 'PayByBandwidth_month4th',
        'PayByBandwidth_monthday95avg', 'PayByBandwidth_nighthalf95')),
    CONSTRAINT instances_websocket_charge_type_is_known CHECK (
        websocket_charge_type IN ('websockettraffic', 'websocketbps'))
);
CREATE INDEX instances_by_product ON instances (product, account_id);
COMMENT ON TABLE instances IS 'What an account has opened, as it was opened; a row never changes.';
COMMENT ON COLUMN instances.internet_charge_type IS 'The charge type of the opening; what holds now follows from it and the changes.';
COMMENT ON COLUMN instances.websocket_charge_type IS 'NULL for CDN and for openings older than WebSocket charging.';
COMMENT ON COLUMN instances.order_id IS 'The order of the opening: tells whose opening this is when an outcome was unknown.';

CREATE TABLE orders (
    account_id            bigint      NOT NULL,
    order_id              uuid        NOT NULL,
    product               text        NOT NULL,
    internet_charge_type  text        NOT NULL,
    websocket_charge_type text,
    ordered_at            timestamptz NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (account_id, order_id),
    CONSTRAINT orders_product_is_known CHECK (product IN ('cdn', 'dcdn'))
);
COMMENT ON TABLE orders IS 'Orders for openings, written in the statement that opens.';

CREATE TABLE charge_type_changes (
    account_id        bigint      NOT NULL,
    change_id         uuid        NOT NULL,
    product           text        NOT NULL,
    kind              text        NOT NULL,
    charge_type       text        NOT NULL,
    submitted_at      timestamptz NOT NULL,
    effective_time    timestamptz NOT NULL,
    cancelled_at      timestamptz,
    in_force_event_at timestamptz,
    event_time        timestamptz NOT NULL,
    CONSTRAINT charge_type_changes_pkey PRIMARY KEY (account_id, change_id),
    CONSTRAINT charge_type_changes_product_is_known CHECK (product IN ('cdn', 'dcdn')),
    CONSTRAINT charge_type_changes_charge_type_is_known CHECK (
        (kind = 'internet' AND charge_type IN (
            'PayByTraffic', 'PayByBandwidth', 'PayByBandwidth95', 'PayByBandwidth_monthavg', 'PayByBandwidth_month4th',
            'PayByBandwidth_monthday95avg', 'PayByBandwidth_nighthalf95'))
        OR (kind = 'websocket' AND charge_type IN ('websockettraffic', 'websocketbps')))
);
CREATE UNIQUE INDEX charge_type_changes_one_pending ON charge_type_changes (account_id, product, kind)
    WHERE cancelled_at IS NULL AND in_force_event_at IS NULL;
CREATE INDEX charge_type_changes_due ON charge_type_changes (effective_time)
    WHERE cancelled_at IS NULL AND in_force_event_at IS NULL;
CREATE INDEX charge_type_changes_by_product ON charge_type_changes (account_id, product, change_id);
COMMENT ON TABLE charge_type_changes IS 'Decisions that another charge type holds from an instant on.';
COMMENT ON COLUMN charge_type_changes.kind IS 'What is charged: internet or websocket traffic.';
COMMENT ON COLUMN charge_type_changes.effective_time IS 'From when it holds, inclusive.';
COMMENT ON COLUMN charge_type_changes.cancelled_at IS 'When it was cancelled; it is then as if it had never been submitted.';
COMMENT ON COLUMN charge_type_changes.in_force_event_at IS 'When its in-force event was written; it says nothing of whether it holds.';
COMMENT ON INDEX charge_type_changes_one_pending IS 'At most one unsettled change per instance and kind of charge.';

CREATE TABLE operation_locks (
    account_id bigint      NOT NULL,
    lock_id    uuid        NOT NULL,
    product    text        NOT NULL,
    reason     text        NOT NULL,
    locked_by  text        NOT NULL,
    locked_at  timestamptz NOT NULL,
    lifted_at  timestamptz,
    event_time timestamptz NOT NULL,
    CONSTRAINT operation_locks_pkey PRIMARY KEY (account_id, lock_id),
    CONSTRAINT operation_locks_product_is_known CHECK (product IN ('cdn', 'dcdn')),
    CONSTRAINT operation_locks_reason_is_a_token CHECK (reason ~ '^[a-z][a-z0-9_-]{0,63}$')
);
CREATE UNIQUE INDEX operation_locks_one_per_reason ON operation_locks (account_id, product, reason)
    WHERE lifted_at IS NULL;
CREATE INDEX operation_locks_by_product ON operation_locks (account_id, product, lock_id);
CREATE INDEX operation_locks_that_hold ON operation_locks (account_id, lock_id) WHERE lifted_at IS NULL;
CREATE INDEX operation_locks_that_hold_by_product ON operation_locks (account_id, product, lock_id)
    WHERE lifted_at IS NULL;
COMMENT ON TABLE operation_locks IS 'Holds on the operations of an instance; several may hold at once.';
COMMENT ON COLUMN operation_locks.lifted_at IS 'NULL while it holds.';

CREATE TABLE event_outbox (
    account_id bigint      NOT NULL,
    event_id   uuid        NOT NULL,
    lane       smallint    NOT NULL,
    event_time timestamptz NOT NULL,
    type       text        NOT NULL,
    data       bytea       NOT NULL,
    CONSTRAINT event_outbox_pkey PRIMARY KEY (account_id, event_id)
);
CREATE INDEX event_outbox_by_lane ON event_outbox (lane, event_time, event_id);
COMMENT ON TABLE event_outbox IS 'Events, each written in the statement that made the change, until they are numbered.';
COMMENT ON COLUMN event_outbox.lane IS 'Events of one lane are numbered by one worker at a time; account_id modulo 16.';
COMMENT ON COLUMN event_outbox.event_time IS 'Hybrid logical clock: of two events of an account the one that saw the other is later.';
COMMENT ON COLUMN event_outbox.data IS 'activation.event.v1.EventData, encoded.';

CREATE TABLE nonces_0 (
    access_key_id text  NOT NULL,
    nonce_digest  bytea NOT NULL,
    CONSTRAINT nonces_0_pkey PRIMARY KEY (access_key_id, nonce_digest)
);
CREATE TABLE nonces_1 (
    access_key_id text  NOT NULL,
    nonce_digest  bytea NOT NULL,
    CONSTRAINT nonces_1_pkey PRIMARY KEY (access_key_id, nonce_digest)
);
CREATE TABLE nonces_2 (
    access_key_id text  NOT NULL,
    nonce_digest  bytea NOT NULL,
    CONSTRAINT nonces_2_pkey PRIMARY KEY (access_key_id, nonce_digest)
);
CREATE TABLE nonces_3 (
    access_key_id text  NOT NULL,
    nonce_digest  bytea NOT NULL,
    CONSTRAINT nonces_3_pkey PRIMARY KEY (access_key_id, nonce_digest)
);
COMMENT ON TABLE nonces_0 IS 'Used nonces, a ring of four tables by the signed timestamp (slots of 900 s); the idle one is truncated.';
COMMENT ON TABLE nonces_1 IS 'See nonces_0.';
COMMENT ON TABLE nonces_2 IS 'See nonces_0.';
COMMENT ON TABLE nonces_3 IS 'See nonces_0.';
COMMENT ON COLUMN nonces_0.nonce_digest IS 'First 16 bytes of SHA-256 of the nonce: any nonce fits an index row.';

CREATE TABLE leases (
    name       text        NOT NULL,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE leases IS 'Which replica does a job that one at a time must do.';
