package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// cores are the processors that this run uses.
type cores struct {
	server unix.CPUSet // one
	driver unix.CPUSet // all others
}

// splitCores pins this process to all processors but the last one, which is for the servers. It does so once.
var splitCores = sync.OnceValues(pinDriver)

func pinDriver() (*cores, error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	if all.Count() < 2 {
		return nil, errors.New("the server and its clients need two processors")
	}
	c := &cores{driver: all}
	for cpu := len(all)*64 - 1; cpu >= 0; cpu-- {
		if all.IsSet(cpu) {
			c.server.Set(cpu)
			c.driver.Clear(cpu)
			break
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	for _, thread := range threads { // new threads inherit it
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return nil, err
		}
		if err := unix.SchedSetaffinity(id, &c.driver); err != nil {
			return nil, fmt.Errorf("pinning a thread: %w", err)
		}
	}
	runtime.GOMAXPROCS(c.driver.Count())
	return c, nil
}

// onServerCore runs start, which starts processes that inherit the core of the servers.
func (c *cores) onServerCore(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &c.server); err != nil {
		return err
	}
	err := start()
	return errors.Join(err, unix.SchedSetaffinity(0, &c.driver))
}
