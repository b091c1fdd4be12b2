package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashing is the variable that makes this program create a folder, start a process, print both and wait.
const crashing = "TEST_CRASHING"

func TestMain(m *testing.M) {
	if os.Getenv(crashing) == "" {
		os.Exit(m.Run())
	}
	folder, err := NewFolder()
	if err != nil {
		panic(err)
	}
	p, err := Start(exec.CommandContext(context.Background(), "sleep", "1000"))
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, folder.Path, p.PID())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// crashingProgram is this program, which waits.
type crashingProgram struct {
	command *exec.Cmd
	folder  string
	child   int
}

func startCrashing(t *testing.T) crashingProgram {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), crashing+"=yes")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell at a terminal starts it
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := crashingProgram{command: command}
	if _, err := fmt.Fscan(stdout, &p.folder, &p.child); err != nil {
		t.Fatal(err)
	}
	return p
}

// end sends a signal to the program and to what is in its process group, as a terminal does.
func (p crashingProgram) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-p.command.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait()
}

func (p crashingProgram) hasFolder() bool {
	_, err := os.Stat(p.folder)
	return err == nil
}

func TestFolder_RemovedAfterCrash(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		lasting, crashed := startCrashing(t), startCrashing(t)
		crashed.end(t, signal)
		await(t, "the folder is removed", func() bool { return !crashed.hasFolder() })
		if !lasting.hasFolder() {
			t.Error("the folder of a running program is removed")
		}
		lasting.end(t, signal)
	}
}

func TestProcess_EndsAfterCrash(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems send no signal when the parent process ends")
	}
	p := startCrashing(t)
	p.end(t, syscall.SIGKILL)
	await(t, "the child has ended", func() bool { return errors.Is(syscall.Kill(p.child, 0), syscall.ESRCH) })
}

func TestFreeAddress(t *testing.T) {
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
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
			select {
			case <-p.Exited():
			default:
				t.Error("the output of the process is not complete")
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
