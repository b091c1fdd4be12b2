-- name: TakeTokens :many
-- The clock is read after the row lock: by the start time of a transaction that had to wait, a bucket would look emptier than
-- a bucket can be.
WITH asked AS (
    SELECT unnest(@subjects::bytea[]) AS subject, unnest(@intervals::bigint[]) AS interval_us,
        unnest(@fill_times::bigint[]) AS fill_time_us
), taken AS (
    INSERT INTO rate_buckets AS b (subject, interval_us, fill_time_us, full_at)
    SELECT a.subject, a.interval_us, a.fill_time_us, clock_timestamp() + a.interval_us * interval '1 microsecond' FROM asked AS a
    ON CONFLICT (subject) DO UPDATE
    SET interval_us = excluded.interval_us, fill_time_us = excluded.fill_time_us,
        full_at = least(greatest(b.full_at, clock_timestamp()) + excluded.interval_us * interval '1 microsecond',
            clock_timestamp() + excluded.fill_time_us * interval '1 microsecond')
    WHERE greatest(b.full_at, clock_timestamp()) + excluded.interval_us * interval '1 microsecond'
            <= clock_timestamp() + excluded.fill_time_us * interval '1 microsecond'
        -- stored under a longer limit, or by a clock that was set back
        OR b.full_at > clock_timestamp() + excluded.fill_time_us * interval '1 microsecond' + interval '1 minute'
    RETURNING b.subject, b.full_at
)
SELECT t.subject, true AS taken, (extract(epoch FROM t.full_at - clock_timestamp()) * 1000000)::bigint AS full_in FROM taken AS t
UNION ALL
SELECT b.subject, false AS taken, (extract(epoch FROM b.full_at - clock_timestamp()) * 1000000)::bigint AS full_in FROM rate_buckets AS b
WHERE b.subject = ANY(@subjects::bytea[]) AND NOT EXISTS (SELECT 1 FROM taken AS t WHERE t.subject = b.subject);

-- name: DeleteExpiredBuckets :execrows
-- PostgreSQL checks the first condition again if a concurrent call has taken a token from the bucket.
DELETE FROM rate_buckets
WHERE full_at <= clock_timestamp() AND subject IN (
    SELECT b.subject FROM rate_buckets AS b
    WHERE b.full_at <= clock_timestamp() LIMIT @up_to::bigint
);
