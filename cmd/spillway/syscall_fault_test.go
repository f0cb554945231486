//go:build linux && (amd64 || arm64) && syscalls

package main

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/sysfault"
)

// faultPoint is a call of a scenario: the nth of those that say the same. Threads
// that run at once come in another order in each run, so a number alone would
// not name the same call twice.
type faultPoint struct {
	call string
	nth  int
}

func (t faultPoint) String() string { return fmt.Sprintf("%s #%d", t.call, t.nth) }

// what is a call without what is random in it: the tokens in a set's name, and
// what a temporary file is told by.
func what(c sysfault.Call) string { return random.ReplaceAllString(c.String(), "$1$2*") }

var random = regexp.MustCompile(`(\d-)[0-9a-f]{8}-[0-9a-f]{8}\b|(\.)[0-9a-f]{8,}\b`)

// strike is what happens at a faultPoint.
type strike struct {
	name   string
	errno  syscall.Errno // 0: the process is killed
	after  bool          // killed once the call is made, in place of before
	onward bool          // every later call fails as well, until the fault is healed
	heal   bool          // at the scenario's end; else the daemon is killed as things are
}

var strikes = []strike{
	{name: "killed before"},
	{name: "killed after", after: true},
	{name: "EIO once", errno: syscall.EIO, heal: true},
	{name: "EIO once, then killed", errno: syscall.EIO},
	{name: "ENOSPC from there", errno: syscall.ENOSPC, onward: true, heal: true},
	{name: "ENOSPC from there, then killed", errno: syscall.ENOSPC, onward: true},
	{name: "EROFS from there", errno: syscall.EROFS, onward: true, heal: true},
	{name: "EROFS from there, then killed", errno: syscall.EROFS, onward: true},
}

// fault makes one strike at one faultPoint, and notes all calls it sees. The zero
// fault never strikes.
type fault struct {
	strike strike
	target faultPoint
	struck atomic.Bool
	healed atomic.Bool

	mu     sync.Mutex
	counts map[string]int
	seen   []faultPoint
	armed  bool // the next call of any kind is the last
}

// String is the fault as it is reported.
func (f *fault) String() string {
	if f.target.nth == 0 {
		return "no fault"
	}
	return fmt.Sprintf("%s: %s", f.target, f.strike.name)
}

// dead tells whether the daemon has been killed, or is about to be.
func (f *fault) dead() bool { return f.struck.Load() && f.strike.errno == 0 }

// decide is for sysfault.Start.
func (f *fault) decide(c sysfault.Call) sysfault.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed {
		return sysfault.Kill
	}
	if c.N == 0 || f.healed.Load() {
		return sysfault.Pass
	}
	if f.counts == nil {
		f.counts = make(map[string]int)
	}
	label := what(c)
	f.counts[label]++
	here := faultPoint{label, f.counts[label]}
	f.seen = append(f.seen, here)
	first := here == f.target
	if first {
		f.struck.Store(true)
	}
	switch {
	case !first && !(f.strike.onward && f.struck.Load()):
		return sysfault.Pass
	case f.strike.errno == 0:
		f.armed = true // also for threads that come while the process dies
		if f.strike.after {
			return sysfault.Pass
		}
		return sysfault.Kill
	case !first && f.strike.errno == syscall.ENOSPC && frees(c.Name):
		return sysfault.Pass
	}
	return sysfault.Fail(f.strike.errno)
}

// frees tells the calls that a full disk does not refuse.
func frees(name string) bool {
	return strings.HasPrefix(name, "unlink") || strings.HasPrefix(name, "ftruncate") || strings.HasPrefix(name, "rename")
}
