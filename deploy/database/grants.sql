-- Grants the role of `serve` exactly the privileges that it needs. The role owns nothing; `migrate` runs as another role,
-- which owns the tables. Run this file as that owner after each migration: psql -f grants.sql. roles.sql creates the role.

GRANT USAGE ON SCHEMA public TO cdn_activation;
GRANT SELECT ON _sqlx_migrations TO cdn_activation;
GRANT SELECT, INSERT, UPDATE, DELETE ON access_keys TO cdn_activation;
GRANT SELECT, INSERT, UPDATE ON accounts TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON audit_records TO cdn_activation;
GRANT SELECT, INSERT, UPDATE ON charge_type_changes TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON event_generations TO cdn_activation;
GRANT SELECT, UPDATE ON event_lanes TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON event_log TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON event_outbox TO cdn_activation;
GRANT SELECT, INSERT, UPDATE ON instances TO cdn_activation;
GRANT SELECT, INSERT, UPDATE ON leases TO cdn_activation;
GRANT SELECT, INSERT, UPDATE ON operation_locks TO cdn_activation;
GRANT SELECT, INSERT, UPDATE, DELETE ON order_intents TO cdn_activation;
GRANT SELECT, INSERT ON orders TO cdn_activation;
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_counts TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON repeatable_requests TO cdn_activation;
GRANT SELECT, INSERT, DELETE ON sealing_checks TO cdn_activation;
GRANT SELECT, INSERT, TRUNCATE ON used_nonces_0 TO cdn_activation;
GRANT SELECT, INSERT, TRUNCATE ON used_nonces_1 TO cdn_activation;
GRANT SELECT, INSERT, TRUNCATE ON used_nonces_2 TO cdn_activation;
GRANT SELECT, INSERT, TRUNCATE ON used_nonces_3 TO cdn_activation;
