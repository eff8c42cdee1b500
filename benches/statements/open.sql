WITH account AS (
    SELECT account_id
    FROM accounts
    WHERE account_id = $1 AND version = $7
    FOR SHARE
), done AS (
    INSERT INTO instances (
        account_id, product, instance_id, internet_charge_type, websocket_charge_type,
        opening_time, order_id, event_time)
    SELECT account_id, $8, $9, $10, $11, $12, $13, $4
    FROM account
    ON CONFLICT DO NOTHING
    RETURNING account_id
), ordered AS (
    INSERT INTO orders (
        account_id, order_id, product, internet_charge_type, websocket_charge_type,
        ordered_at)
    SELECT account_id, $13, $8, $10, $11, $14
    FROM done
), noted AS (
    INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
    SELECT account_id, $2, $3, $4, $5, $6
    FROM done
)
SELECT count(*) FROM done WHERE account_id = $1
