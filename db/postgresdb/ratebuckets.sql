-- name: TakeTokens :many
WITH asked AS (
    SELECT unnest(sqlc.arg(subjects)::bytea[]) AS subject, unnest(sqlc.arg(intervals)::bigint[]) AS pace,
        unnest(sqlc.arg(fillings)::bigint[]) AS filling
), taken AS (
    INSERT INTO rate_buckets AS b (subject, filling, full_at)
    SELECT a.subject, a.filling, now() + a.pace * interval '1 microsecond' FROM asked AS a
    ON CONFLICT (subject) DO UPDATE
    SET filling = excluded.filling,
        full_at = least(greatest(b.full_at, now()) + (excluded.full_at - now()), now() + excluded.filling * interval '1 microsecond')
    WHERE greatest(b.full_at, now()) + (excluded.full_at - now()) <= now() + excluded.filling * interval '1 microsecond'
        OR b.full_at > now() + excluded.filling * interval '1 microsecond' -- kept under another limit, or by a clock that has been put back
    RETURNING b.subject, b.full_at
)
SELECT t.subject, true AS taken, (extract(epoch FROM t.full_at - now()) * 1000000)::bigint AS full_in FROM taken AS t
UNION ALL
SELECT b.subject, false AS taken, (extract(epoch FROM b.full_at - now()) * 1000000)::bigint AS full_in FROM rate_buckets AS b
WHERE b.subject = ANY(sqlc.arg(subjects)::bytea[]) AND NOT EXISTS (SELECT 1 FROM taken AS t WHERE t.subject = b.subject);

-- name: SweepBuckets :execrows
DELETE FROM rate_buckets
WHERE full_at <= now() AND subject IN (
    SELECT b.subject FROM rate_buckets AS b
    WHERE b.full_at <= now() LIMIT sqlc.arg(up_to)::bigint
);
