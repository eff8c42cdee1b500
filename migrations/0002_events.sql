-- Events: first in the outbox, then numbered in the log. A follower's cursor is one position for each lane. Positions have
-- no gaps; they are given after the event is committed, by the holder of the row of the lane. So a follower at a position
-- has seen every event up to it, however long the transaction of an event took to commit.

CREATE TABLE event_outbox (
    account_id bigint      NOT NULL,
    event_id   uuid        NOT NULL,
    lane       smallint    NOT NULL,
    event_time timestamptz NOT NULL,
    type       text        NOT NULL,
    data       bytea       NOT NULL,
    CONSTRAINT event_outbox_pkey PRIMARY KEY (lane, event_time, event_id, account_id)
);
COMMENT ON TABLE event_outbox IS 'Events, each written in the statement that made the change, until they are numbered.';
COMMENT ON COLUMN event_outbox.lane IS 'Events of one lane are numbered by one worker at a time; account_id modulo 16.';
COMMENT ON COLUMN event_outbox.event_time IS 'The clock of the database in the statement that wrote it, but later than any event that this statement has seen.';
COMMENT ON COLUMN event_outbox.data IS 'activation.event.v1.EventData, encoded.';
COMMENT ON CONSTRAINT event_outbox_pkey ON event_outbox IS 'The order of numbering. The account is in it because it is the distribution column.';

CREATE TABLE event_lanes (
    lane             smallint NOT NULL,
    last_position    bigint   NOT NULL,
    expired_position bigint   NOT NULL,
    CONSTRAINT event_lanes_pkey PRIMARY KEY (lane),
    CONSTRAINT event_lanes_lane_is_known CHECK (lane BETWEEN 0 AND 15),
    CONSTRAINT event_lanes_positions_are_in_order CHECK (0 <= expired_position AND expired_position <= last_position)
);
COMMENT ON TABLE event_lanes IS 'The heads of the lanes; the row is locked while events of its lane are numbered.';
COMMENT ON COLUMN event_lanes.last_position IS 'The newest position that was given; 0 before the first.';
COMMENT ON COLUMN event_lanes.expired_position IS 'The newest position that is no longer kept; every later one up to the last is.';

INSERT INTO event_lanes (lane, last_position, expired_position)
SELECT lane, 0, 0 FROM generate_series(0, 15) AS lanes (lane);

CREATE TABLE event_log (
    lane        smallint    NOT NULL,
    position    bigint      NOT NULL,
    event_id    uuid        NOT NULL,
    account_id  bigint      NOT NULL,
    type        text        NOT NULL,
    event_time  timestamptz NOT NULL,
    data        bytea       NOT NULL,
    numbered_at timestamptz NOT NULL,
    CONSTRAINT event_log_pkey PRIMARY KEY (lane, position)
);
CREATE INDEX event_log_by_account ON event_log (lane, account_id, position);
COMMENT ON TABLE event_log IS 'Numbered events, kept for EVENT_RETENTION.';
COMMENT ON COLUMN event_log.position IS 'Within the lane, without a gap.';
COMMENT ON COLUMN event_log.event_time IS 'As it was in the outbox.';
COMMENT ON COLUMN event_log.data IS 'activation.event.v1.EventData, encoded.';
COMMENT ON COLUMN event_log.numbered_at IS 'When it was numbered: its age counts from here.';
COMMENT ON INDEX event_log_by_account IS 'Followers of one account.';
