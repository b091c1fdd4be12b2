-- Version 1 knows neither programs' sessions nor ceremonies that are bound to one. It would take them for something else.
DELETE FROM webauthn_challenges WHERE session_id IS NOT NULL;
DELETE FROM sessions WHERE transport = 'bearer';

DROP TABLE signing_keys;
DROP TABLE events;
DROP INDEX webauthn_challenges_of_session;
ALTER TABLE webauthn_challenges DROP COLUMN session_id;
DROP INDEX sessions_of_user;
CREATE INDEX sessions_of_user ON sessions (user_id);
ALTER TABLE sessions DROP COLUMN rotated_at;
ALTER TABLE sessions DROP COLUMN previous_token_digest;
ALTER TABLE sessions DROP COLUMN transport;
ALTER TABLE users DROP COLUMN disabled_at;
