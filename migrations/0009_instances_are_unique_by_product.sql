-- An account has one instance of a product at most, and the ids of its two are never alike: CDN's is the account's
-- number, DCDN's begins with FP-. What cannot be violated need not be held by an index that each opening writes to.

ALTER TABLE instances DROP CONSTRAINT instances_id_is_unique;
