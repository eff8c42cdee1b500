ALTER TABLE instances ADD CONSTRAINT instances_belong_to_accounts
    FOREIGN KEY (account_id) REFERENCES accounts (account_id);
