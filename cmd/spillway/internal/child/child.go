// Package child has what those need who run other programs for the daemon: its own
// tools, and the commands of hooks.
package child

import (
	"bytes"
	"syscall"
)

// OwnGroup has a process be of a group of its own: a signal from a terminal is the
// daemon's, a priority is that of the whole process, and what it has started can be
// ended with it.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// Output is a buffer that keeps the first Max bytes of what is written, and takes the
// rest. It is not safe for concurrent use.
type Output struct {
	bytes.Buffer
	Max int
}

// Write implements io.Writer; it does not fail.
func (o *Output) Write(p []byte) (int, error) {
	_, _ = o.Buffer.Write(p[:min(len(p), max(o.Max-o.Len(), 0))])
	return len(p), nil
}
