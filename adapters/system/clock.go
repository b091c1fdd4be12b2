// Package system implements the ports for time with the operating system's clock.
package system

import "time"

// Clock implements ports.Clock.
type Clock struct{}

func (Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
