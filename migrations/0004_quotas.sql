-- How many calls each account has made of each action, over all processes.

CREATE TABLE quota_counts (
    account_id       bigint      NOT NULL,
    action           text        NOT NULL,
    calls_per_second bigint      NOT NULL,
    admitted         bigint      NOT NULL,
    asked            bigint      NOT NULL,
    full_at          timestamptz NOT NULL,
    CONSTRAINT quota_counts_pkey PRIMARY KEY (account_id, action),
    CONSTRAINT quota_counts_calls_per_second_check CHECK (calls_per_second > 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE quota_counts IS 'Calls that are limited, one row for each account and action with recent calls. Each process adds its counts once a second. A row is of no use when full_at has passed, and is deleted minutes later. Half of each page is free, so that an update needs no other page and no index entry.';
COMMENT ON COLUMN quota_counts.account_id IS 'The account, or 0 for a calling service.';
COMMENT ON COLUMN quota_counts.action IS 'The action, or service: and the name of the calling service.';
COMMENT ON COLUMN quota_counts.calls_per_second IS 'The limit when the row was last written.';
COMMENT ON COLUMN quota_counts.admitted IS 'Calls that were admitted since the row exists.';
COMMENT ON COLUMN quota_counts.asked IS 'The same and calls that were refused. Each process finds its share of all calls by it.';
COMMENT ON COLUMN quota_counts.full_at IS 'The instant until which the admitted calls use up the limit.';
