-- Accounts, and what they own. Every key of a table that accounts own begins with account_id, the distribution column.
-- A column with a fixed set of values is text with a named CHECK that lists the values as callers send them. No column
-- has a time or an id as its default, because the service binds every time and id.

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
COMMENT ON COLUMN accounts.site IS 'The site where the account is registered.';
COMMENT ON COLUMN accounts.intl_allowed IS 'Whether an account of the international site may open products.';
COMMENT ON COLUMN accounts.bid_user IS 'Whether the account is a bid user, which may not open products itself.';
COMMENT ON COLUMN accounts.real_name_verified IS 'Whether the account has passed real-name authentication.';
COMMENT ON COLUMN accounts.profile_complete IS 'Whether the user profile is complete.';
COMMENT ON COLUMN accounts.payment_method_valid IS 'Whether the account has a valid payment method.';
COMMENT ON COLUMN accounts.balance IS 'The balance in minor units of the currency.';
COMMENT ON COLUMN accounts.orders_refused IS 'Whether the commerce system refuses orders of this account.';
COMMENT ON COLUMN accounts.version IS 'Rises with every change. A write that was decided on an older version is refused.';
COMMENT ON COLUMN accounts.event_time IS 'The time of the newest event of this row.';

CREATE TABLE access_keys (
    access_key_id text        NOT NULL,
    account_id    bigint      NOT NULL,
    place         smallint    NOT NULL,
    secret_sealed bytea       NOT NULL,
    policy        text        NOT NULL,
    disabled      boolean     NOT NULL,
    version       bigint      NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    event_time    timestamptz NOT NULL,
    last_used_on  date,
    CONSTRAINT access_keys_pkey PRIMARY KEY (access_key_id),
    CONSTRAINT access_keys_one_per_place UNIQUE (account_id, place),
    CONSTRAINT access_keys_at_most_ten CHECK (place BETWEEN 1 AND 10)
);
CREATE INDEX access_keys_by_account ON access_keys (account_id, access_key_id);
COMMENT ON TABLE access_keys IS 'Key pairs that sign requests. The primary key is the id alone, because a request names nothing else.';
COMMENT ON COLUMN access_keys.place IS 'A number from 1 to 10 that no other key of the account has. It bounds how many keys an account has.';
COMMENT ON COLUMN access_keys.secret_sealed IS 'The secret, encrypted by AES-256-GCM: a byte for the form, the id of the sealing key, the nonce, the ciphertext. Its associated data are the purpose, the account and the id of the access key.';
COMMENT ON COLUMN access_keys.last_used_on IS 'The day on which the key was used last, in UTC. It is written at most once a day and does not change the version.';
COMMENT ON COLUMN access_keys.policy IS 'The policy document in JSON: which actions the key may call.';
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
COMMENT ON TABLE instances IS 'Products that accounts have opened. In a row, only event_time, changes and locks change.';
COMMENT ON COLUMN instances.internet_charge_type IS 'The charge type of the opening. The charge type that is in force follows from it and the changes.';
COMMENT ON COLUMN instances.websocket_charge_type IS 'The same for WebSocket. NULL for CDN, and for openings before WebSocket was charged.';
COMMENT ON COLUMN instances.event_time IS 'The time of the newest event of the instance, its changes and its locks.';
COMMENT ON COLUMN instances.changes IS 'The unsettled change and the two that were settled last, of each kind of traffic, by change_id: a copy of charge_type_changes, written in the same statement.';
COMMENT ON COLUMN instances.locks IS 'The locks that hold, at most 100, by reason: a copy of operation_locks, written in the same statement.';
COMMENT ON COLUMN instances.order_id IS 'The order of the opening. If the outcome of a write was unknown, it shows whether this request opened the instance.';

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
COMMENT ON TABLE orders IS 'Orders of openings, written in the statement that opens.';

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
COMMENT ON TABLE charge_type_changes IS 'Decisions that another charge type is in force from an instant on.';
COMMENT ON COLUMN charge_type_changes.kind IS 'The kind of traffic: internet or websocket.';
COMMENT ON COLUMN charge_type_changes.effective_time IS 'The instant from which the change is in force, inclusive.';
COMMENT ON COLUMN charge_type_changes.cancelled_at IS 'When the change was cancelled. A cancelled change has no effect.';
COMMENT ON COLUMN charge_type_changes.in_force_event_at IS 'When the in-force event was written. It does not decide whether the change is in force.';
COMMENT ON INDEX charge_type_changes_one_pending IS 'Allows at most one unsettled change for each instance and kind of traffic.';

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
COMMENT ON TABLE operation_locks IS 'Locks on the operations of an instance. Several may hold at once.';
COMMENT ON COLUMN operation_locks.lifted_at IS 'When the lock was lifted. NULL while it holds.';

-- Orders that are placed at a commerce system (ORDER_ENDPOINT). An intent has no foreign key to instances, because it
-- is written before its instance, and also if there will be no instance. Its times show in which state it is.
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
COMMENT ON TABLE order_intents IS 'Orders that are being placed at a commerce system. A row is written before the order is placed, and settled when it is opened or cancelled.';
COMMENT ON COLUMN order_intents.created_at IS 'When the opening was requested.';
COMMENT ON COLUMN order_intents.due_at IS 'The instant from which a reconciler may take the intent. A reconciler that takes it moves this instant to a later one, until which no other takes it.';
COMMENT ON COLUMN order_intents.attempts IS 'How often a reconciler has taken the intent.';
COMMENT ON COLUMN order_intents.opened_at IS 'When the instance was opened with this order, written in the same statement. The intent is then settled.';
COMMENT ON COLUMN order_intents.abandoned_at IS 'When the opening was abandoned. From then on, no instance can be opened with this order, and the order may be cancelled.';
COMMENT ON COLUMN order_intents.cancelled_at IS 'When it was known that the commerce system does not have the order, or has it no longer. The intent is then settled.';
