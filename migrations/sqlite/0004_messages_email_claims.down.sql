DROP TABLE messages;
ALTER TABLE users DROP COLUMN claim_expires_at;
ALTER TABLE users DROP COLUMN claim_failures;
ALTER TABLE users DROP COLUMN claim_code;
ALTER TABLE users DROP COLUMN claimed_email;
