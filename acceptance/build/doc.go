// Package build holds what `make build` makes to its promises.
package build
