//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

func setAttributes(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
}
