-- Version 1 does not know that a challenge is bound to a label.
DELETE FROM webauthn_challenges WHERE label_id IS NOT NULL;
ALTER TABLE webauthn_challenges DROP COLUMN label_id;
DROP TABLE labels;
DROP TABLE old_labels;
