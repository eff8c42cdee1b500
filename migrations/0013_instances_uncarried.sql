-- Where the worker that copies histories finds what is left to do.

CREATE INDEX instances_uncarried ON instances (account_id, product) WHERE has_history AND carried_locks IS NULL;
COMMENT ON INDEX instances_uncarried IS 'Rows with a history that they do not carry (yet).';
