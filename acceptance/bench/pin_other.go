//go:build !linux

package main

import "errors"

type cores struct{}

func splitCores() (*cores, error) {
	return nil, errors.New("this benchmark pins processes to a core and reads /proc: it runs on Linux only")
}

func (*cores) onServerCore(start func() error) error { return start() }
