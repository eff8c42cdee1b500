ALTER TABLE charge_type_changes ADD CONSTRAINT charge_type_changes_belong_to_instances
    FOREIGN KEY (account_id, product) REFERENCES instances (account_id, product);
