-- ABANDON_INTENT
UPDATE order_intents
SET abandoned_at = $3
WHERE account_id = $1 AND order_id = $2 AND opened_at IS NULL AND abandoned_at IS NULL;

-- ABOUT_THE_SERVER
SELECT
pg_is_in_recovery(),
current_setting('transaction_read_only') = 'on',
to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL;

-- ADD_QUOTA_COUNTS
WITH counted AS (
SELECT account_id, action, calls_per_second, admitted, asked,
statement_timestamp() + make_interval(
secs => admitted::float8 / calls_per_second - over) AS full_at
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
$6::float8[]) AS counted (account_id, action, calls_per_second, admitted, asked, over),
(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
ORDER BY account_id, action
), added AS (
INSERT INTO quota_counts (
account_id, action, calls_per_second, admitted, asked, full_at)
SELECT account_id, action, calls_per_second, admitted, asked, full_at
FROM counted
ON CONFLICT (account_id, action) DO UPDATE
SET calls_per_second = excluded.calls_per_second,
admitted = quota_counts.admitted + excluded.admitted,
asked = quota_counts.asked + excluded.asked,
full_at = least(
greatest(
quota_counts.full_at + make_interval(
secs => excluded.admitted::float8 / excluded.calls_per_second),
excluded.full_at),
excluded.full_at + make_interval(mins => 1))
RETURNING account_id, action, asked, full_at
)
SELECT account_id, action, asked,
extract(epoch FROM full_at - statement_timestamp())::float8 AS ahead_seconds
FROM added;

-- APPLIED
SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version;

-- BEGIN_GENERATION
WITH lanes AS (
SELECT lane, last_position
FROM event_lanes, (
SELECT
set_config('lock_timeout', '2s', true),
set_config(
'synchronous_commit',
replace(current_setting('synchronous_commit'), 'off', 'local'),
true)
) AS settings   ORDER BY lane
FOR UPDATE OF event_lanes
), newest AS (
SELECT number, generation_id, origin
FROM event_generations
ORDER BY number DESC
LIMIT 1
), here AS (
SELECT concat_ws(
' ',
extract(epoch FROM pg_postmaster_start_time()),
left(pg_walfile_name(pg_current_wal_lsn()), 8),
'event_generations'::regclass::oid,
(SELECT oid FROM pg_database WHERE datname = current_database())) AS origin
), begun AS (
SELECT coalesce(newest.number, 0) + 1 AS number, here.origin
FROM here
LEFT JOIN newest ON true
WHERE $3 OR newest.origin IS DISTINCT FROM here.origin
), forgotten AS (
DELETE FROM event_generations
WHERE number <= (SELECT number - $4 FROM begun)
)
INSERT INTO event_generations (number, generation_id, origin, kept_positions, began_at)
SELECT
number,
$1,
origin,
(SELECT array_agg(CASE WHEN $3 THEN 0 ELSE last_position END ORDER BY lane) FROM lanes),
$2
FROM begun
ON CONFLICT (number) DO NOTHING
RETURNING generation_id, (SELECT generation_id FROM newest) AS earlier_id;

-- CANCEL_CHANGE
WITH touched AS (
UPDATE instances
SET event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', greatest(instances.event_time, (
SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))) + interval '1 microsecond')),
changes = instances.changes - $24
WHERE instances.account_id = $1 AND instances.product = $22
AND instances.changes #>> ARRAY[$24, 'settled'] = 'false'
RETURNING instances.account_id, instances.product, instances.event_time,
instances.locks
), done AS (
UPDATE charge_type_changes
SET cancelled_at = $23, event_time = touched.event_time
FROM touched
WHERE charge_type_changes.account_id = $1
AND charge_type_changes.account_id = touched.account_id
AND change_id = $21
RETURNING charge_type_changes.account_id, charge_type_changes.event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- CREATE_ACCESS_KEY
WITH done AS (
INSERT INTO access_keys (
access_key_id, account_id, place, secret_sealed, policy, disabled, version, created_at,
updated_at, event_time)
SELECT $21, $1, place, $22, $23, $24, 1, $25, $25, greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', (SELECT event_time FROM accounts WHERE account_id = $1)) + interval '1 microsecond'))
FROM generate_series(1, 10) AS place
WHERE place NOT IN (SELECT place FROM access_keys WHERE account_id = $1)
AND NOT EXISTS (SELECT FROM access_keys WHERE access_key_id = $21)
ORDER BY (place + $26) % 10
LIMIT 1
ON CONFLICT (account_id, place) DO NOTHING
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- CREATE_ACCOUNT
WITH done AS (
INSERT INTO accounts (
account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
payment_method_valid, balance, orders_refused, version, created_at, updated_at, event_time)
VALUES ($1, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $30, statement_timestamp())
ON CONFLICT (account_id) DO NOTHING
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- DELETE_ACCESS_KEY
WITH done AS (
DELETE FROM access_keys
WHERE access_key_id = $21 AND version = $22 AND account_id = $1
RETURNING account_id, greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', event_time) + interval '1 microsecond')) AS event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- DISTRIBUTE
SELECT create_distributed_table($1::text::regclass, 'account_id', colocate_with => $2);

-- DUE_CHANGES
SELECT account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
cancelled_at, in_force_event_at IS NOT NULL AS settled
FROM charge_type_changes
WHERE cancelled_at IS NULL AND in_force_event_at IS NULL AND effective_time <= $1
ORDER BY effective_time
LIMIT $2;

-- DUE_INTENTS
SELECT account_id, order_id, due_at, attempts
FROM order_intents
WHERE opened_at IS NULL AND cancelled_at IS NULL AND due_at <= $1
ORDER BY due_at
LIMIT $2;

-- EXPIRE
WITH oldest AS (
SELECT position, numbered_at
FROM event_log
WHERE lane = $1 AND position > $2
ORDER BY position
LIMIT $4
), expired AS (
DELETE FROM event_log
WHERE lane = $1 AND position > $2 AND position < coalesce(
(SELECT min(position) FROM oldest WHERE numbered_at >= $3),
(SELECT max(position) + 1 FROM oldest))
RETURNING position
), raised AS (
UPDATE event_lanes
SET expired_position = greatest(expired_position, (SELECT max(position) FROM expired))
WHERE lane = $1 AND EXISTS (SELECT 1 FROM expired)
)
SELECT count(*) FROM expired;

-- FORGET_AUDIT_RECORDS
DELETE FROM audit_records
WHERE (account_id, recorded_at, audit_id) IN (
SELECT account_id, recorded_at, audit_id
FROM audit_records
WHERE recorded_at < $1
ORDER BY recorded_at, audit_id
LIMIT $2);

-- FORGET_LOCAL_ROWS
SELECT truncate_local_data_after_distributing_table($1::text::regclass);

-- FORGET_QUOTA_COUNTS
DELETE FROM quota_counts
WHERE (account_id, action) IN (
SELECT account_id, action
FROM quota_counts
WHERE full_at < $1
LIMIT $2
FOR UPDATE SKIP LOCKED);

-- FORGET_REQUEST
DELETE FROM repeatable_requests
WHERE caller = $1 AND request_id = $2 AND recorded_at = $3;

-- FORGET_REQUESTS
DELETE FROM repeatable_requests
WHERE (caller, request_id) IN (
SELECT caller, request_id
FROM repeatable_requests
WHERE recorded_at < $1
ORDER BY recorded_at
LIMIT $2);

-- FORGET_SEALING_CHECKS
DELETE FROM sealing_checks
WHERE key_id <> $1
AND NOT EXISTS (SELECT FROM access_keys WHERE substr(secret_sealed, 2, 4) = key_id);

-- FORGET_SETTLED_INTENTS
DELETE FROM order_intents
WHERE (account_id, order_id) IN (
SELECT account_id, order_id
FROM order_intents
WHERE created_at < $1 AND (opened_at IS NOT NULL OR cancelled_at IS NOT NULL)
LIMIT $2);

-- HAS_NOTIFY
SELECT EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'pg_notify');

-- IS_EMPTY
SELECT NOT EXISTS (SELECT 1 FROM used_nonces_0);

-- IS_EMPTY
SELECT NOT EXISTS (SELECT 1 FROM used_nonces_1);

-- IS_EMPTY
SELECT NOT EXISTS (SELECT 1 FROM used_nonces_2);

-- IS_EMPTY
SELECT NOT EXISTS (SELECT 1 FROM used_nonces_3);

-- LATEST_SUBMISSION
SELECT greatest(
(SELECT max(opening_time) FROM instances),
(SELECT max(submitted_at) FROM charge_type_changes));

-- LIST_ACCESS_KEYS
SELECT access_key_id, account_id, secret_sealed, policy, disabled, version, created_at,
updated_at, last_used_on
FROM access_keys WHERE account_id = $1 AND access_key_id > $2 ORDER BY access_key_id LIMIT $3;

-- LIST_ACCOUNTS
SELECT account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
payment_method_valid, balance, orders_refused, version, created_at, updated_at
FROM accounts WHERE account_id > $1 ORDER BY account_id LIMIT $2;

-- LIST_AUDIT_RECORDS
SELECT account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after
FROM audit_records
WHERE (recorded_at, audit_id) < ($1, $2)
AND recorded_at >= $3
AND ($5::text IS NULL OR principal = $5)
AND ($6::text IS NULL OR action = $6)
AND ($7::text IS NULL OR result = $7)
ORDER BY recorded_at DESC, audit_id DESC
LIMIT $4;

-- LIST_AUDIT_RECORDS_OF_ACCOUNT
SELECT account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after
FROM audit_records
WHERE account_id = $8 AND (recorded_at, audit_id) < ($1, $2)
AND recorded_at >= $3
AND ($5::text IS NULL OR principal = $5)
AND ($6::text IS NULL OR action = $6)
AND ($7::text IS NULL OR result = $7)
ORDER BY recorded_at DESC, audit_id DESC
LIMIT $4;

-- LIST_CHANGES
SELECT account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
cancelled_at, in_force_event_at IS NOT NULL AS settled
FROM charge_type_changes
WHERE account_id = $1 AND change_id > $2 ORDER BY change_id LIMIT $3;

-- LIST_CHANGES_OF_PRODUCT
SELECT account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
cancelled_at, in_force_event_at IS NOT NULL AS settled
FROM charge_type_changes
WHERE account_id = $1 AND change_id > $2 AND product = $4 ORDER BY change_id LIMIT $3;

-- LIST_INSTANCES
SELECT account_id, product
FROM instances
WHERE (account_id, product) > ($1, $2) ORDER BY account_id, product
LIMIT $3;

-- LIST_INSTANCES_OF_ACCOUNT
SELECT account_id, product
FROM instances
WHERE (account_id, product) > ($1, $2) AND account_id = $4 ORDER BY account_id, product
LIMIT $3;

-- LIST_INSTANCES_OF_BOTH
SELECT account_id, product
FROM instances
WHERE (account_id, product) > ($1, $2) AND account_id = $4 AND product = $5 ORDER BY account_id, product
LIMIT $3;

-- LIST_INSTANCES_OF_PRODUCT
SELECT account_id, product
FROM instances
WHERE account_id > $1 AND product >= $2 AND product = $4 ORDER BY account_id, product
LIMIT $3;

-- LIST_LOCKS
SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
FROM operation_locks
WHERE account_id = $1 AND lock_id > $2 ORDER BY lock_id LIMIT $3;

-- LIST_LOCKS_OF_PRODUCT
SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
FROM operation_locks
WHERE account_id = $1 AND lock_id > $2 AND product = $4 ORDER BY lock_id LIMIT $3;

-- LIST_LOCKS_OF_PRODUCT_THAT_HOLD
SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
FROM operation_locks
WHERE account_id = $1 AND lock_id > $2 AND product = $4 AND lifted_at IS NULL ORDER BY lock_id LIMIT $3;

-- LIST_LOCKS_THAT_HOLD
SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
FROM operation_locks
WHERE account_id = $1 AND lock_id > $2 AND lifted_at IS NULL ORDER BY lock_id LIMIT $3;

-- LOCK
WITH touched AS (
UPDATE instances
SET event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', greatest(instances.event_time, (
SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))) + interval '1 microsecond')),
locks = instances.locks || $26
WHERE instances.account_id = $1 AND instances.product = $21
AND NOT instances.locks ? $23
AND (SELECT count(*) FROM jsonb_object_keys(instances.locks)) < $27
RETURNING instances.account_id, instances.product, instances.event_time,
instances.locks
), done AS (
INSERT INTO operation_locks (
account_id, lock_id, product, reason, locked_by, locked_at, event_time)
SELECT account_id, $22, product, $23, $24, $25, event_time
FROM touched
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', (
SELECT $14::jsonb || jsonb_build_object('locks', ARRAY(
SELECT jsonb_object_keys(locks - $23) AS reason
ORDER BY reason))
FROM touched
), (
SELECT $15::jsonb || jsonb_build_object('locks', ARRAY(
SELECT jsonb_object_keys(locks) AS reason
ORDER BY reason))
FROM touched
)
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- LOCK_LANES
SELECT lane, last_position, (
SELECT origin
FROM event_generations
ORDER BY number DESC
LIMIT 1
) IS NOT DISTINCT FROM concat_ws(
' ',
extract(epoch FROM pg_postmaster_start_time()),
left(pg_walfile_name(pg_current_wal_lsn()), 8),
'event_generations'::regclass::oid,
(SELECT oid FROM pg_database WHERE datname = current_database())) AS is_of_generation
FROM event_lanes, (
SELECT
set_config('lock_timeout', '2s', true),
set_config(
'synchronous_commit',
replace(current_setting('synchronous_commit'), 'off', 'local'),
true)
) AS settings WHERE lane = ANY($1)
ORDER BY lane
FOR UPDATE OF event_lanes SKIP LOCKED;

-- MISSING_GRANTS
SELECT name, privilege
FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
WHERE NOT has_table_privilege(to_regclass(name), privilege)
UNION ALL
SELECT name, 'EXECUTE'
FROM unnest($3::text[]) AS needed (name)
WHERE NOT has_function_privilege(to_regprocedure(name), 'EXECUTE')
ORDER BY name, privilege;

-- MOVE
WITH taken AS (
DELETE FROM event_outbox
WHERE lane = $1 AND event_time > $5 AND event_time <= (
SELECT max(event_time)
FROM (
SELECT event_time
FROM event_outbox
WHERE lane = $1 AND event_time > $5
ORDER BY event_time, event_id
LIMIT $2
) AS oldest
)
RETURNING account_id, event_id, event_time, type, data
), numbered AS (
INSERT INTO event_log (
lane, position, event_id, account_id, type, event_time, data, numbered_at)
SELECT
$1,
$3 + row_number() OVER (ORDER BY event_time, event_id),
event_id,
account_id,
type,
event_time,
data,
$4
FROM taken
RETURNING position
), newest AS (
SELECT max(position) AS position
FROM numbered
)
UPDATE event_lanes
SET last_position = newest.position
FROM newest
WHERE lane = $1 AND newest.position IS NOT NULL
RETURNING last_position;

-- NOTIFY
SELECT pg_notify($1, '');

-- ONE_BY_ONE
SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true),
set_config('client_min_messages', 'warning', true);

-- OPEN_INSTANCE
WITH account AS (
SELECT account_id, event_time
FROM accounts
WHERE account_id = $1 AND version = $16
FOR SHARE
), done AS (
INSERT INTO instances (
account_id, product, instance_id, internet_charge_type, websocket_charge_type,
opening_time, order_id, event_time)
SELECT account_id, $17, $18, $19, $20, $21, $22, greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', event_time) + interval '1 microsecond'))
FROM account
ON CONFLICT (account_id, product) DO NOTHING
RETURNING account_id, event_time
), ordered AS (
INSERT INTO orders (
account_id, order_id, product, internet_charge_type, websocket_charge_type,
ordered_at)
SELECT account_id, $22, $17, $19, $20, $23
FROM done
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- OPEN_INSTANCES
WITH asked AS (
SELECT account_id, version, product, instance_id, internet, websocket, opening_time,
order_id, ordered_at, event_id, lane, data, audit_id, principal, address, action, resource,
request_id, correlation_id, after
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
$7::timestamptz[], $8::uuid[], $9::timestamptz[], $10::uuid[], $11::smallint[],
$12::bytea[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[],
$19::text[], $20::text[], $21::jsonb[])
AS asked (account_id, version, product, instance_id, internet, websocket, opening_time,
order_id, ordered_at, event_id, lane, data, audit_id, principal, address, action,
resource, request_id, correlation_id, after)
), account AS (
SELECT account_id, version, event_time
FROM accounts
WHERE account_id = ANY($1)
FOR SHARE SKIP LOCKED
), done AS (
INSERT INTO instances (
account_id, product, instance_id, internet_charge_type, websocket_charge_type,
opening_time, order_id, event_time)
SELECT asked.account_id, product, instance_id, internet, websocket, opening_time, order_id,
greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', account.event_time) + interval '1 microsecond'))
FROM asked
JOIN account ON account.account_id = asked.account_id AND account.version = asked.version
ORDER BY asked.account_id, product
ON CONFLICT (account_id, product) DO NOTHING
RETURNING order_id, event_time
), ordered AS (
INSERT INTO orders (
account_id, order_id, product, internet_charge_type, websocket_charge_type, ordered_at)
SELECT account_id, asked.order_id, product, internet, websocket, ordered_at
FROM asked
JOIN done ON done.order_id = asked.order_id
ORDER BY account_id
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, event_id, lane, done.event_time, $13, data
FROM asked
JOIN done ON done.order_id = asked.order_id
ORDER BY account_id
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
correlation_id, result, after)
SELECT account_id, audit_id, ordered_at, principal, address, action, resource, request_id,
correlation_id, 'OK', after
FROM asked
JOIN done ON done.order_id = asked.order_id
ORDER BY account_id
)
SELECT asked.order_id, done.order_id IS NOT NULL, account.account_id IS NOT NULL
FROM asked
LEFT JOIN account ON account.account_id = asked.account_id
LEFT JOIN done ON done.order_id = asked.order_id;

-- OPEN_INSTANCE_OF_INTENT
WITH account AS (
SELECT account_id, event_time
FROM accounts
WHERE account_id = $1 AND version = $16
FOR SHARE
), intent AS (
SELECT account_id
FROM order_intents
WHERE account_id = $1
AND order_id = $22
AND opened_at IS NULL
AND abandoned_at IS NULL
AND EXISTS (SELECT 1 FROM account)
FOR UPDATE
), done AS (
INSERT INTO instances (
account_id, product, instance_id, internet_charge_type, websocket_charge_type,
opening_time, order_id, event_time)
SELECT account_id, $17, $18, $19, $20, $21, $22, greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', event_time) + interval '1 microsecond'))
FROM account
WHERE EXISTS (SELECT 1 FROM intent)
ON CONFLICT (account_id, product) DO NOTHING
RETURNING account_id, event_time
), ordered AS (
INSERT INTO orders (
account_id, order_id, product, internet_charge_type, websocket_charge_type,
ordered_at)
SELECT account_id, $22, $17, $19, $20, $23
FROM done
), settled AS (
UPDATE order_intents
SET opened_at = $23
FROM done
WHERE order_intents.account_id = $1
AND order_intents.account_id = done.account_id
AND order_intents.order_id = $22
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- OPEN_INTENTS
SELECT count(*) AS rows, min(created_at) AS oldest
FROM (
SELECT created_at
FROM order_intents
WHERE opened_at IS NULL AND cancelled_at IS NULL
LIMIT $1
) AS open;

-- PLAN_FOR_CITUS
SET plan_cache_mode = auto;

-- READ_ACCESS_KEYS
SELECT access_key_id, account_id, secret_sealed, policy, disabled, version, created_at,
updated_at, last_used_on
FROM access_keys WHERE access_key_id = ANY($1);

-- READ_ACCOUNT
SELECT account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
payment_method_valid, balance, orders_refused, version, created_at, updated_at
FROM accounts WHERE account_id = $1;

-- READ_CHANGE
SELECT account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
cancelled_at, in_force_event_at IS NOT NULL AS settled
FROM charge_type_changes
WHERE account_id = $1 AND change_id = $2;

-- READ_FACTS
SELECT
accounts.account_id,
accounts.site,
accounts.intl_allowed,
accounts.bid_user,
accounts.real_name_verified,
accounts.profile_complete,
accounts.payment_method_valid,
accounts.balance,
accounts.orders_refused,
accounts.version,
accounts.created_at,
accounts.updated_at,
instances.instance_id,
instances.internet_charge_type,
instances.websocket_charge_type,
instances.opening_time,
instances.order_id,
instances.event_time,
instances.locks,
instances.changes
FROM accounts
LEFT JOIN instances
ON instances.account_id = accounts.account_id
AND instances.account_id = ANY($1)
AND instances.product = $2
WHERE accounts.account_id = ANY($1);

-- READ_GENERATIONS
SELECT generation_id, kept_positions
FROM event_generations
ORDER BY number DESC;

-- READ_INSTANCES
SELECT
instances.account_id,
instances.instance_id,
instances.internet_charge_type,
instances.websocket_charge_type,
instances.opening_time,
instances.order_id,
instances.event_time,
instances.locks,
instances.changes
FROM instances
WHERE instances.account_id = ANY($1) AND instances.product = $2;

-- READ_INSTANCE_DURING
SELECT
instances.account_id,
instances.instance_id,
instances.internet_charge_type,
instances.websocket_charge_type,
instances.opening_time,
instances.order_id,
instances.event_time,
instances.locks,
(
SELECT coalesce(jsonb_object_agg(change_id, jsonb_build_object(
'kind', kind,
'charge_type', charge_type,
'submitted_at', submitted_at,
'effective_time', effective_time,
'settled', in_force_event_at IS NOT NULL)), '{}')
FROM (
SELECT change_id, kind, charge_type, submitted_at, effective_time,
in_force_event_at, lead(effective_time) OVER (
PARTITION BY kind ORDER BY effective_time, submitted_at) AS until
FROM charge_type_changes
WHERE account_id = $1 AND product = $2 AND cancelled_at IS NULL
) AS dated
WHERE effective_time < $4 AND (until IS NULL OR until > $3)
) AS changes
FROM instances
WHERE instances.account_id = $1 AND instances.product = $2;

-- READ_LANES
SELECT lane, last_position, expired_position, (SELECT generation_id FROM event_generations ORDER BY number DESC LIMIT 1)
AS generation_id FROM event_lanes
ORDER BY lane;

-- READ_LOCK
SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
FROM operation_locks
WHERE account_id = $1 AND lock_id = $2;

-- READ_PAGE
SELECT
l.last_position,
l.expired_position, (SELECT generation_id FROM event_generations ORDER BY number DESC LIMIT 1)
AS generation_id,
e.position,
e.event_id,
e.account_id,
e.type,
e.event_time,
e.data
FROM event_lanes l
LEFT JOIN (
SELECT lane, position, event_id, account_id, type, event_time, data
FROM event_log
WHERE lane = $1 AND position > $2    ORDER BY position
LIMIT $3
) e ON e.lane = l.lane
WHERE l.lane = $1
ORDER BY e.position;

-- READ_PAGE_OF_ACCOUNT
SELECT
l.last_position,
l.expired_position, (SELECT generation_id FROM event_generations ORDER BY number DESC LIMIT 1)
AS generation_id,
e.position,
e.event_id,
e.account_id,
e.type,
e.event_time,
e.data
FROM event_lanes l
LEFT JOIN (
SELECT lane, position, event_id, account_id, type, event_time, data
FROM event_log
WHERE lane = $1 AND position > $2 AND account_id = $4    ORDER BY position
LIMIT $3
) e ON e.lane = l.lane
WHERE l.lane = $1
ORDER BY e.position;

-- READ_REQUEST
SELECT caller, request_id, fingerprint, resource, recorded_at
FROM repeatable_requests
WHERE caller = $1 AND request_id = $2;

-- READ_SEALING_CHECKS
SELECT key_id, value FROM sealing_checks ORDER BY key_id;

-- READ_SECRETS_OF_OTHER_KEYS
SELECT access_key_id, account_id, secret_sealed
FROM access_keys
WHERE access_key_id > $1 AND substr(secret_sealed, 2, 4) <> $2
ORDER BY access_key_id
LIMIT $3;

-- RECORD_CALLS
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
correlation_id, result, after)
SELECT account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
correlation_id, result, after
FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
$7::text[], $8::text[], $9::text[], $10::text[], $11::jsonb[])
AS called (account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, after)
ON CONFLICT (account_id, recorded_at, audit_id) DO NOTHING;

-- RECORD_LAST_USES
WITH used AS (
SELECT access_key_id
FROM access_keys
WHERE access_key_id = ANY($1) AND (last_used_on IS NULL OR last_used_on < $2)
ORDER BY access_key_id
FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE access_keys
SET last_used_on = $2
FROM used
WHERE access_keys.access_key_id = used.access_key_id;

-- RECORD_REQUEST
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (caller, request_id) DO NOTHING;

-- REPLACE_SECRETS
WITH replaced AS (
SELECT access_key_id, after
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS given (id, before, after)
JOIN access_keys ON access_key_id = id AND secret_sealed = before
ORDER BY access_key_id
FOR NO KEY UPDATE OF access_keys
)
UPDATE access_keys
SET secret_sealed = replaced.after
FROM replaced
WHERE access_keys.access_key_id = replaced.access_key_id;

-- SCHEDULE_CHANGE
WITH account AS (
SELECT account_id
FROM accounts
WHERE account_id = $1 AND version = $21
FOR SHARE
), touched AS (
UPDATE instances
SET event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', greatest(instances.event_time, (
SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))) + interval '1 microsecond')),
changes = instances.changes || $29
FROM account
WHERE instances.account_id = $1 AND instances.product = $24
AND instances.account_id = account.account_id
AND instances.event_time = $22
RETURNING instances.account_id, instances.product, instances.event_time,
instances.locks
), done AS (
INSERT INTO charge_type_changes (
account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
event_time)
SELECT account_id, $23, product, $25, $26, $27, $28, event_time
FROM touched
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- SESSION
SELECT current_setting('statement_timeout') AS statement_timeout,
current_setting('enable_seqscan') AS enable_seqscan,
pg_is_in_recovery() AS is_standby,
current_setting('transaction_read_only') AS read_only,
current_setting('server_encoding') AS encoding,
current_user::text AS role;

-- SETTLE_CANCELLED_INTENT
UPDATE order_intents
SET cancelled_at = $3
WHERE account_id = $1 AND order_id = $2 AND abandoned_at IS NOT NULL AND cancelled_at IS NULL;

-- SETTLE_CHANGE
WITH touched AS (
UPDATE instances
SET event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', greatest(instances.event_time, (
SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))) + interval '1 microsecond')),
changes = jsonb_set(instances.changes, ARRAY[$8, 'settled'], 'true') - ARRAY(
SELECT key
FROM jsonb_each(instances.changes)
WHERE value ->> 'kind' = $9 AND value ->> 'settled' = 'true'
ORDER BY value ->> 'effective_time' DESC
OFFSET 1)
WHERE instances.account_id = $1 AND instances.product = $7
AND instances.changes #>> ARRAY[$8, 'settled'] = 'false'
RETURNING instances.account_id, instances.product, instances.event_time,
instances.locks
), done AS (
UPDATE charge_type_changes
SET in_force_event_at = touched.event_time, event_time = touched.event_time
FROM touched
WHERE charge_type_changes.account_id = $1
AND charge_type_changes.account_id = touched.account_id
AND change_id = $6
RETURNING charge_type_changes.account_id, charge_type_changes.event_time
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- SET_DISABLED
WITH done AS (
UPDATE access_keys
SET disabled = $23, version = version + 1, updated_at = $24, event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', event_time) + interval '1 microsecond'))
WHERE access_key_id = $21 AND version = $22 AND account_id = $1
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- TAKE_DUE_INTENT
UPDATE order_intents
SET abandoned_at = coalesce(abandoned_at, $3), due_at = $4, attempts = attempts + 1
WHERE account_id = $1 AND order_id = $2 AND due_at = $5
AND opened_at IS NULL AND cancelled_at IS NULL;

-- TAKE_LEASE
INSERT INTO leases (name, holder, expires_at)
VALUES ($1, $2, $4)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE leases.expires_at <= $3 OR leases.holder = excluded.holder;

-- TRUNCATE
TRUNCATE used_nonces_0;

-- TRUNCATE
TRUNCATE used_nonces_1;

-- TRUNCATE
TRUNCATE used_nonces_2;

-- TRUNCATE
TRUNCATE used_nonces_3;

-- UNDISTRIBUTED
SELECT name
FROM unnest($1::text[]) WITH ORDINALITY AS owned (name, place)
WHERE NOT EXISTS (
SELECT 1
FROM pg_dist_partition
WHERE logicalrelid = to_regclass(name) AND partmethod = 'h')
ORDER BY place;

-- UNFINISHED_INDEXES
SELECT relname::text
FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
WHERE NOT indisvalid AND relname = ANY($1) AND relnamespace = current_schema()::regnamespace;

-- UNLOCK
WITH touched AS (
UPDATE instances
SET event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', greatest(instances.event_time, (
SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))) + interval '1 microsecond')),
locks = instances.locks - $24
WHERE instances.account_id = $1 AND instances.product = $21
AND instances.locks #>> ARRAY[$24, 'lock_id'] = $25
RETURNING instances.account_id, instances.product, instances.event_time,
instances.locks
), done AS (
UPDATE operation_locks
SET lifted_at = $23, event_time = touched.event_time
FROM touched
WHERE operation_locks.account_id = $1
AND operation_locks.account_id = touched.account_id
AND lock_id = $22
RETURNING operation_locks.account_id, operation_locks.event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', (
SELECT $14::jsonb || jsonb_build_object('locks', ARRAY(
SELECT jsonb_object_keys(locks || jsonb_build_object($24, $22)) AS reason
ORDER BY reason))
FROM touched
), (
SELECT $15::jsonb || jsonb_build_object('locks', ARRAY(
SELECT jsonb_object_keys(locks) AS reason
ORDER BY reason))
FROM touched
)
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- UPDATE_ACCOUNT
WITH done AS (
UPDATE accounts
SET site = $21,
intl_allowed = $22,
bid_user = $23,
real_name_verified = $24,
profile_complete = $25,
payment_method_valid = $26,
balance = $27,
orders_refused = $28,
version = $29 + 1,
updated_at = $30,
event_time = greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', event_time) + interval '1 microsecond'))
WHERE account_id = $1 AND version = $29
RETURNING account_id, event_time
), audited AS (
INSERT INTO audit_records (
account_id, audit_id, recorded_at, principal, address, action, resource,
request_id, correlation_id, result, before, after)
SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', $14, $15
FROM done
), remembered AS (
INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
SELECT $16, $17, $18, $19, $20
FROM done
WHERE $17::uuid IS NOT NULL
), noted AS (
INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
SELECT account_id, $2, $3, event_time, $4, $5
FROM done
)
SELECT count(*) FROM done WHERE account_id = $1;

-- USE
INSERT INTO used_nonces_0 (digest)
SELECT digest
FROM unnest($1::uuid[]) AS used (digest),
(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- USE
INSERT INTO used_nonces_1 (digest)
SELECT digest
FROM unnest($1::uuid[]) AS used (digest),
(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- USE
INSERT INTO used_nonces_2 (digest)
SELECT digest
FROM unnest($1::uuid[]) AS used (digest),
(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- USE
INSERT INTO used_nonces_3 (digest)
SELECT digest
FROM unnest($1::uuid[]) AS used (digest),
(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- WAITING_EVENTS
SELECT count(*) AS rows, min(event_time) AS oldest
FROM (SELECT event_time FROM event_outbox LIMIT $1) AS waiting;

-- WAITING_LANES
SELECT DISTINCT lane
FROM event_outbox
WHERE lane = ANY($1) AND event_time > $2;

-- WRITE_INTENT
INSERT INTO order_intents (
account_id, order_id, product, internet_charge_type, websocket_charge_type,
created_at, due_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
ON CONFLICT (account_id, order_id) DO NOTHING;

-- WRITE_SEALING_CHECK
INSERT INTO sealing_checks (key_id, value)
VALUES ($1, $2)
ON CONFLICT (key_id) DO NOTHING;

-- src/storage/engine/connect.rs
CREATE DATABASE "{}";

-- src/storage/engine/connect.rs
SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1);

-- src/storage/events/listen.rs
SELECT 1;

-- src/storage/leases.rs
SELECT clock_timestamp();

-- src/storage/migrating.rs
SELECT current_setting('server_encoding');

-- src/storage/migrating.rs
SELECT pg_try_advisory_lock($1);
