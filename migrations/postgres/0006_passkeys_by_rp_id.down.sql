DROP INDEX passkeys_by_rp_id;
