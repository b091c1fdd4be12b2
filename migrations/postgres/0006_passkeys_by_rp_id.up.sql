-- Which RP ids there are passkeys of, asked at every start.
CREATE INDEX passkeys_by_rp_id ON passkeys (rp_id ASC);
