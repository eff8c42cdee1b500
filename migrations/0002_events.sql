-- Events. They are first in the outbox, and then numbered in the log. The cursor of a follower has one position for
-- each lane. Positions have no gaps. An event gets its position after it is committed, by the process that has locked
-- the row of the lane. So a follower at a position has seen every event up to it, even if the transaction of an event
-- took long to commit.

CREATE TABLE event_outbox (
    account_id bigint      NOT NULL,
    event_id   uuid        NOT NULL,
    lane       smallint    NOT NULL,
    event_time timestamptz NOT NULL,
    type       text        NOT NULL,
    data       bytea       NOT NULL,
    CONSTRAINT event_outbox_pkey PRIMARY KEY (lane, event_time, event_id, account_id)
);
COMMENT ON TABLE event_outbox IS 'Events that are not numbered yet. Each is written in the statement that made the change.';
COMMENT ON COLUMN event_outbox.lane IS 'The lane of the account: account_id modulo 16. One worker at a time numbers the events of a lane.';
COMMENT ON COLUMN event_outbox.event_time IS 'The time of the statement that wrote the event, by the clock of the database. It is later than that of any event that this statement has seen.';
COMMENT ON COLUMN event_outbox.data IS 'The encoded message activation.event.v1.EventData.';
COMMENT ON CONSTRAINT event_outbox_pkey ON event_outbox IS 'The order of numbering. The account is included because it is the distribution column.';

CREATE TABLE event_lanes (
    lane             smallint NOT NULL,
    last_position    bigint   NOT NULL,
    expired_position bigint   NOT NULL,
    CONSTRAINT event_lanes_pkey PRIMARY KEY (lane),
    CONSTRAINT event_lanes_lane_is_known CHECK (lane BETWEEN 0 AND 15),
    CONSTRAINT event_lanes_positions_are_in_order CHECK (0 <= expired_position AND expired_position <= last_position)
);
COMMENT ON TABLE event_lanes IS 'The positions of the lanes. A row is locked while events of its lane are numbered.';
COMMENT ON COLUMN event_lanes.last_position IS 'The newest position of the lane; 0 before the first event.';
COMMENT ON COLUMN event_lanes.expired_position IS 'The newest position whose event was deleted. All later events are in the log.';

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
COMMENT ON COLUMN event_log.position IS 'The position in the lane. Positions have no gaps.';
COMMENT ON COLUMN event_log.event_time IS 'The event_time of the outbox.';
COMMENT ON COLUMN event_log.data IS 'The encoded message activation.event.v1.EventData.';
COMMENT ON COLUMN event_log.numbered_at IS 'When the event was numbered. EVENT_RETENTION counts from this time.';
COMMENT ON INDEX event_log_by_account IS 'For followers of one account.';
