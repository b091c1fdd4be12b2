// Package process runs programs beside tests. They end with the test, also if it crashes.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running program, together with the programs that it starts.
type Process struct {
	command *exec.Cmd
	exited  chan struct{}
}

// Start starts the command as the leader of a new process group. On Linux, the kernel kills it when the calling process ends.
func Start(command *exec.Cmd) (*Process, error) {
	setAttributes(command)
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &Process{command, make(chan struct{})}
	go func() {
		_ = command.Wait() // ExitCode has the result
		close(p.exited)
	}()
	return p, nil
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Exited returns a channel that is closed when the process has ended and its output is complete.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode waits for the end of the process. It returns the exit code, or the negative number of the signal that ended the process.
func (p *Process) ExitCode() int {
	<-p.exited
	status := p.command.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// Signal sends a signal to all processes of the group. It returns syscall.ESRCH if they have ended.
func (p *Process) Signal(signal syscall.Signal) error { return syscall.Kill(-p.PID(), signal) }

// Kill ends the group with SIGKILL, so that no process can clean up.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL) // it may have ended
	<-p.exited
}

// Stop sends SIGTERM and waits until all processes of the group have ended. It returns an error if one still runs after the timeout.
func (p *Process) Stop(timeout time.Duration) error {
	err := p.Signal(syscall.SIGTERM)
	for deadline := time.Now().Add(timeout); err == nil; err = p.Signal(0) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has not stopped after %s", p.command.Path, timeout)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.exited
	return nil
}

// FreeAddress returns an address of this machine that a program can listen on: 127.0.0.1 with a port that is not in use.
func FreeAddress() (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
