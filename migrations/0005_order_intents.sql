-- Orders that are placed at a commerce system (ORDER_ENDPOINT). No foreign key leads to instances: an intent is there
-- before its instance, and also when there will be none. What state an intent is in follows from its instants.

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
