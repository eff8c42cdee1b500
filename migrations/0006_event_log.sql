-- Events in the order in which followers receive them. A follower's cursor is one position per lane: positions are
-- given without a gap, after the event is committed, by whoever holds the row of the lane. That is why a follower that
-- stands at a position has seen everything up to it, however long the transaction of an event took to commit.

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
COMMENT ON COLUMN event_log.event_time IS 'Hybrid logical clock, as it stood in the outbox.';
COMMENT ON COLUMN event_log.data IS 'activation.event.v1.EventData, encoded.';
COMMENT ON COLUMN event_log.numbered_at IS 'When it was numbered: its age counts from here.';
COMMENT ON INDEX event_log_by_account IS 'Followers of one account.';
