// Package build tests the binary that `make build` makes: reproducible, static, and with its version.
package build
