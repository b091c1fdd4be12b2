-- name: TakeTokens :many
-- Whoever waits for another taker looks at the clock afterwards: by the time of their own beginning they would find a bucket
-- that is emptier than any can be.
WITH asked AS (
    SELECT unnest(sqlc.arg(subjects)::bytea[]) AS subject, unnest(sqlc.arg(paces)::bigint[]) AS pace,
        unnest(sqlc.arg(fillings)::bigint[]) AS filling
), taken AS (
    INSERT INTO rate_buckets AS b (subject, pace, filling, full_at)
    SELECT a.subject, a.pace, a.filling, clock_timestamp() + a.pace * interval '1 microsecond' FROM asked AS a
    ON CONFLICT (subject) DO UPDATE
    SET pace = excluded.pace, filling = excluded.filling,
        full_at = least(greatest(b.full_at, clock_timestamp()) + excluded.pace * interval '1 microsecond',
            clock_timestamp() + excluded.filling * interval '1 microsecond')
    WHERE greatest(b.full_at, clock_timestamp()) + excluded.pace * interval '1 microsecond'
            <= clock_timestamp() + excluded.filling * interval '1 microsecond'
        -- kept under a longer limit, or by a clock that has been put back
        OR b.full_at > clock_timestamp() + excluded.filling * interval '1 microsecond' + interval '1 minute'
    RETURNING b.subject, b.full_at
)
SELECT t.subject, true AS taken, (extract(epoch FROM t.full_at - clock_timestamp()) * 1000000)::bigint AS full_in FROM taken AS t
UNION ALL
SELECT b.subject, false AS taken, (extract(epoch FROM b.full_at - clock_timestamp()) * 1000000)::bigint AS full_in FROM rate_buckets AS b
WHERE b.subject = ANY(sqlc.arg(subjects)::bytea[]) AND NOT EXISTS (SELECT 1 FROM taken AS t WHERE t.subject = b.subject);

-- name: SweepBuckets :execrows
-- The first condition is looked at again if somebody takes from the bucket meanwhile.
DELETE FROM rate_buckets
WHERE full_at <= clock_timestamp() AND subject IN (
    SELECT b.subject FROM rate_buckets AS b
    WHERE b.full_at <= clock_timestamp() LIMIT sqlc.arg(up_to)::bigint
);
