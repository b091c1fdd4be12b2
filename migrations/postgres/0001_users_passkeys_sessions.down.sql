DROP TABLE sessions;
DROP TABLE webauthn_challenges;
DROP TABLE passkeys;
DROP TABLE users;
