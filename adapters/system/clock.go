// Package system is the machine's own clock.
package system

import "time"

// Clock tells the machine's time as ports.Clock wants it.
type Clock struct{}

func (Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
