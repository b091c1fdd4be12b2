package ports

import (
	"context"
	"time"
)

// Clock tells the time: UTC, in whole microseconds, which every store keeps exactly.
type Clock interface{ Now() time.Time }

// Pause returns after a time, or with the context's error as soon as that ends.
type Pause func(ctx context.Context, d time.Duration) error

// DeviceNames turns a User-Agent header into words for people ("Firefox on Linux"). It never fails: an unreadable one
// becomes "Unknown device".
type DeviceNames interface{ NameOf(userAgent string) string }
