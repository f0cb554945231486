package command

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// What one SLOWLOG entry keeps of a command, as Redis does.
const (
	slowlogMaxArgs   = 32
	slowlogMaxString = 128
)

// SlowEntry is one command that took longer than the threshold.
type SlowEntry struct {
	ID       int64
	Time     int64 // Unix seconds
	Duration time.Duration
	Args     []string
	Addr     string
	Name     string
}

// SlowLog remembers the last commands that ran longer than a threshold. It is
// safe for concurrent use; Note costs one atomic load for a fast command.
type SlowLog struct {
	threshold atomic.Int64 // nanoseconds; negative: off
	maxLen    atomic.Int64
	secret    func(param string) bool

	mu      sync.Mutex
	nextID  int64
	entries []SlowEntry // newest last
}

// NewSlowLog returns an empty log with Redis's defaults: 10 ms, 128 entries.
// secret tells which parameters it must not show the values of.
func NewSlowLog(secret func(param string) bool) *SlowLog {
	l := &SlowLog{secret: secret}
	l.threshold.Store(int64(10 * time.Millisecond))
	l.maxLen.Store(128)
	return l
}

// Threshold is the duration above which a command is kept; negative means none is.
func (l *SlowLog) Threshold() time.Duration { return time.Duration(l.threshold.Load()) }

// SetThreshold changes the threshold (slowlog-log-slower-than).
func (l *SlowLog) SetThreshold(d time.Duration) { l.threshold.Store(int64(d)) }

// MaxLen is how many entries are kept.
func (l *SlowLog) MaxLen() int64 { return l.maxLen.Load() }

// SetMaxLen changes how many entries are kept (slowlog-max-len).
func (l *SlowLog) SetMaxLen(n int64) {
	l.maxLen.Store(n)
	l.mu.Lock()
	l.trim()
	l.mu.Unlock()
}

// Note records a command if it was slow. The arguments are copied,
// shortened as Redis shortens them, and without the secrets among them.
func (l *SlowLog) Note(args [][]byte, took time.Duration, at time.Time, addr, name string) {
	t := l.Threshold()
	if t < 0 || took < t {
		return
	}
	e := SlowEntry{Time: at.Unix(), Duration: took, Addr: addr, Name: name}
	secret := secrets(args, l.secret)
	for i, a := range args {
		if i == slowlogMaxArgs-1 && len(args) > slowlogMaxArgs {
			e.Args = append(e.Args, fmt.Sprintf("... (%d more arguments)", len(args)-slowlogMaxArgs+1))
			break
		}
		if secret(i) {
			e.Args = append(e.Args, redacted)
			continue
		}
		if len(a) > slowlogMaxString {
			e.Args = append(e.Args, fmt.Sprintf("%s... (%d more bytes)", a[:slowlogMaxString], len(a)-slowlogMaxString))
			continue
		}
		e.Args = append(e.Args, string(a))
	}
	l.mu.Lock()
	e.ID = l.nextID
	l.nextID++
	l.entries = append(l.entries, e)
	l.trim()
	l.mu.Unlock()
}

func (l *SlowLog) trim() {
	if over := int64(len(l.entries)) - l.maxLen.Load(); over > 0 {
		l.entries = append(l.entries[:0], l.entries[over:]...)
	}
}

// Len is the number of entries kept.
func (l *SlowLog) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Latest returns up to n entries, newest first; a negative n returns all.
func (l *SlowLog) Latest(n int) []SlowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > len(l.entries) {
		n = len(l.entries)
	}
	out := make([]SlowEntry, 0, n)
	for i := len(l.entries) - 1; len(out) < n; i-- {
		out = append(out, l.entries[i])
	}
	return out
}

// Reset forgets every entry; ids go on counting.
func (l *SlowLog) Reset() {
	l.mu.Lock()
	l.entries = nil
	l.mu.Unlock()
}
