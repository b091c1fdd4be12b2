package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashing is the variable that makes this program create a folder, print its path and wait for a signal.
const crashing = "TEST_CRASHING"

func TestMain(m *testing.M) {
	if os.Getenv(crashing) == "" {
		os.Exit(m.Run())
	}
	folder, err := NewFolder()
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, folder.Path)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestFolder_RemovedAfterCrash(t *testing.T) {
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), crashing+"=yes")
	if _, err := program.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	folder := strings.TrimSpace(line)
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	await(t, "the folder is removed", func() bool {
		_, err := os.Stat(folder)
		return os.IsNotExist(err)
	})
}

func TestProcess_ExitCode(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -TERM $$": -int(syscall.SIGTERM)} {
		if got := start(t, script, nil).ExitCode(); got != want {
			t.Errorf("%s: got %d, want %d", script, got, want)
		}
	}
}

// The shell starts a child that ignores SIGTERM or not, and prints its id.
func TestProcess_EndsWithItsChildren(t *testing.T) {
	for name, c := range map[string]struct {
		trap string
		end  func(*Process) error
	}{
		"killed":  {"trap '' TERM;", func(p *Process) error { p.Kill(); return nil }},
		"stopped": {"", func(p *Process) error { return p.Stop(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			var log Log
			p := start(t, c.trap+"sleep 1000 & echo $!; wait", &log)
			await(t, "the child runs", func() bool { return strings.HasSuffix(log.String(), "\n") })
			child, err := strconv.Atoi(strings.TrimSpace(log.String()))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.end(p); err != nil {
				t.Error(err)
			}
			await(t, "the child has ended", func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) })
		})
	}
}

func TestProcess_StopTimeout(t *testing.T) {
	var log Log
	p := start(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done", &log)
	await(t, "the shell ignores SIGTERM", func() bool { return log.String() == "ready\n" })
	if err := p.Stop(0); err == nil || !strings.Contains(err.Error(), "has not stopped") {
		t.Errorf("got %v", err)
	}
}

func start(t *testing.T, script string, log *Log) *Process {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	if log != nil {
		command.Stdout = log
	}
	p, err := Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: waited until %s", what)
		}
	}
}
