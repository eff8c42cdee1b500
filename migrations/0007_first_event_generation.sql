-- The generation before the first event. It has no server, so the first event that is numbered begins another one.
INSERT INTO event_generations (number, generation_id, origin, kept_positions, began_at)
VALUES (0, gen_random_uuid(), '', array_fill(0::bigint, ARRAY[16]), statement_timestamp());
