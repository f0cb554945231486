//go:build !linux

package exec

import (
	"os"
	"syscall"
)

// attributes are the default: that the program ends with this process is left
// to its stdin.
func attributes() *syscall.SysProcAttr { return nil }

// kill ends the program.
func kill(p *os.Process) { _ = p.Kill() }
