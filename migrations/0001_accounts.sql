-- Accounts, and what they own. Every key of an account-owned table begins with account_id, the distribution column.
-- Closed vocabularies are text with a named CHECK that lists the spellings of the wire. No column has a time or an id as
-- its default, because the service binds every time and id.

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
COMMENT ON COLUMN accounts.event_time IS 'Time of the newest event of this row.';

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
    changes               jsonb       NOT NULL DEFAULT '{}',
    locks                 jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT instances_one_per_product PRIMARY KEY (account_id, product),
    CONSTRAINT instances_belong_to_accounts FOREIGN KEY (account_id) REFERENCES accounts (account_id),
    CONSTRAINT instances_product_is_known CHECK (product IN ('cdn', 'dcdn')),
    CONSTRAINT instances_internet_charge_type_is_known CHECK (internet_charge_type IN (
        'PayByTraffic', 'PayByBandwidth', 'PayByBandwidth95', 'PayByBandwidth_monthavg', 'PayByBandwidth_month4th',
        'PayByBandwidth_monthday95avg', 'PayByBandwidth_nighthalf95')),
    CONSTRAINT instances_websocket_charge_type_is_known CHECK (
        websocket_charge_type IN ('websockettraffic', 'websocketbps'))
);
CREATE INDEX instances_by_product ON instances (product, account_id);
COMMENT ON TABLE instances IS 'What an account has opened, as it was opened. Of a row only event_time, changes and locks change.';
COMMENT ON COLUMN instances.internet_charge_type IS 'The charge type of the opening; what holds now follows from it and the changes.';
COMMENT ON COLUMN instances.websocket_charge_type IS 'NULL for CDN and for openings older than WebSocket charging.';
COMMENT ON COLUMN instances.event_time IS 'Time of the newest event of the instance, its changes and locks.';
COMMENT ON COLUMN instances.changes IS 'Its changes that are not cancelled, by change_id: a copy of charge_type_changes, written in the same statement.';
COMMENT ON COLUMN instances.locks IS 'Its locks that hold, by reason: a copy of operation_locks, written in the same statement.';
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
    CONSTRAINT charge_type_changes_belong_to_instances FOREIGN KEY (account_id, product)
        REFERENCES instances (account_id, product),
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
    CONSTRAINT operation_locks_belong_to_instances FOREIGN KEY (account_id, product)
        REFERENCES instances (account_id, product),
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

-- Orders that are placed at a commerce system (ORDER_ENDPOINT). An intent has no foreign key to instances: it is written
-- before its instance, and also where there will be none. Its instants say in which state it is.
CREATE TABLE order_intents (
    account_id            bigint      NOT NULL,
    order_id              uuid        NOT NULL,
    product               text        NOT NULL,
    internet_charge_type  text        NOT NULL,
    websocket_charge_type text,
    created_at            timestamptz NOT NULL,
    due_at                timestamptz NOT NULL,
    attempts              integer     NOT NULL,
    opened_at             timestamptz,
    abandoned_at          timestamptz,
    cancelled_at          timestamptz,
    CONSTRAINT order_intents_pkey PRIMARY KEY (account_id, order_id),
    CONSTRAINT order_intents_product_is_known CHECK (product IN ('cdn', 'dcdn')),
    CONSTRAINT order_intents_opened_or_abandoned CHECK (opened_at IS NULL OR abandoned_at IS NULL),
    CONSTRAINT order_intents_abandoned_before_cancelled CHECK (cancelled_at IS NULL OR abandoned_at IS NOT NULL)
);
CREATE INDEX order_intents_due ON order_intents (due_at) WHERE opened_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX order_intents_settled ON order_intents (created_at) WHERE opened_at IS NOT NULL OR cancelled_at IS NOT NULL;
COMMENT ON TABLE order_intents IS 'What is being ordered at a commerce system: written before the order is placed, settled when it is opened or cancelled.';
COMMENT ON COLUMN order_intents.created_at IS 'When the opening was asked for.';
COMMENT ON COLUMN order_intents.due_at IS 'From when a reconciler takes the intent in hand; moved on by each one that does, so that it has it alone until then.';
COMMENT ON COLUMN order_intents.attempts IS 'How often a reconciler has taken it in hand.';
COMMENT ON COLUMN order_intents.opened_at IS 'When the instance was opened with this order, in the same statement: settled.';
COMMENT ON COLUMN order_intents.abandoned_at IS 'When the opening was given up: none can be written with this order any more, and the order may be cancelled.';
COMMENT ON COLUMN order_intents.cancelled_at IS 'When it was known that the commerce system has no such order (any more): settled.';
