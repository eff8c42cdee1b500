-- Generations of the event log. A generation is a span in which the log only grew. A restored database, or a promoted
-- standby that lacks the newest events, gives their positions to other events. So a new generation begins with the first
-- event that is numbered by a server that was started, promoted or restored, and a cursor names its generation.

CREATE TABLE event_generations (
    number         bigint      NOT NULL,
    generation_id  uuid        NOT NULL,
    origin         text        NOT NULL,
    kept_positions bigint[]    NOT NULL,
    began_at       timestamptz NOT NULL,
    CONSTRAINT event_generations_pkey PRIMARY KEY (number),
    CONSTRAINT event_generations_keep_a_position_of_each_lane CHECK (cardinality(kept_positions) = 16)
);
COMMENT ON TABLE event_generations IS 'The newest generations of the event log. The log has the generation with the highest number.';
COMMENT ON COLUMN event_generations.generation_id IS 'What cursors name. It is random, because two copies of a database may both begin a generation with the same number.';
COMMENT ON COLUMN event_generations.origin IS 'The server that numbers the events of the generation: when it was started, its timeline, and the ids of the table and the database. The first row has none.';
COMMENT ON COLUMN event_generations.kept_positions IS 'The newest position of each lane when the generation began. A cursor of an earlier generation is valid if it has seen nothing later.';
