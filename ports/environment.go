package ports

import (
	"context"
	"time"
)

// Clock returns the time in UTC, truncated to microseconds, the precision of every store.
type Clock interface{ Now() time.Time }

// Pause waits for d. It returns the context's error if the context ends before.
type Pause func(ctx context.Context, d time.Duration) error

// DeviceNames returns the name of the device with a User-Agent header, such as "Firefox on Linux", or "Unknown device".
type DeviceNames interface{ NameOf(userAgent string) string }
