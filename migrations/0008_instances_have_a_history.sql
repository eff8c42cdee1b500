-- Where an instance has neither changes nor locks, which is nearly everywhere, its row says so: who describes it reads
-- one table instead of three. Whatever writes a change or a lock says it in the same statement. Rows that are there
-- already, and those of a writer that does not know the column, are taken to have a history.

ALTER TABLE instances ADD COLUMN has_history boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN instances.has_history IS 'False where there never was a change or a lock; true says that one has to look.';
COMMENT ON TABLE instances IS 'What an account has opened, as it was opened; of a row nothing changes but has_history, once.';
