ALTER TABLE operation_locks ADD CONSTRAINT operation_locks_belong_to_instances
    FOREIGN KEY (account_id, product) REFERENCES instances (account_id, product);
