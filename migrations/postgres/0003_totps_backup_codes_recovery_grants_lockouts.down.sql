-- Version 2 knows neither ceremonies of a recovery nor the sessions that they open. It would take them for something else.
DELETE FROM webauthn_challenges
WHERE recovery_grant IS NOT NULL OR session_id IN (SELECT id FROM sessions WHERE assurance = 'recovery');
DELETE FROM sessions WHERE assurance = 'recovery';

DROP INDEX webauthn_challenges_of_grant;
ALTER TABLE webauthn_challenges DROP COLUMN recovery_grant;
DROP TABLE recovery_lockouts;
DROP TABLE recovery_grants;
DROP TABLE backup_codes;
DROP TABLE backup_code_sets;
DROP TABLE totps;
