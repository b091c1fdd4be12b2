-- The tokens of callers, by a digest of who they are. A bucket is kept as the moment when it will be full; one that is full need
-- not be kept. After a crash of the server all are full, which loses less than a write-ahead log would cost each sign-in.
CREATE UNLOGGED TABLE rate_buckets (
    subject bytea NOT NULL PRIMARY KEY CHECK (octet_length(subject) = 16),
    pace    bigint NOT NULL CHECK (pace > 0), -- microseconds in which a token comes back
    filling bigint NOT NULL CHECK (filling > 0), -- and in which an empty bucket fills
    full_at timestamptz NOT NULL
);
