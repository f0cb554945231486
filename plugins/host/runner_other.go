//go:build unix && !linux

package host

import "syscall"

// descriptors is empty where open files cannot be run.
var descriptors = ""

// processAttributes puts the plugin into a process group of its own. That it
// ends with the host is left to its stdin, which plugins.Serve watches.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit cannot wait without reaping here.
func awaitExit(int) bool { return false }
