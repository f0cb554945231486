package acl

import (
	"slices"
	"sync"
	"time"
)

// Entry is something that was refused, and how often lately.
type Entry struct {
	Count    int64
	Reason   Reason
	Context  string // "toplevel", "multi" or "lua"
	Object   string // the command, key or channel; the command that authenticated
	Username string
	At       time.Time // when last
	Client   string    // who last, as CLIENT LIST has it
}

// Log keeps the newest entries. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	entries []Entry // the newest first
	most    int
}

const (
	defaultMost = 128         // entries kept, see acllog-max-len
	alike       = time.Minute // for so long a repetition is counted and makes no entry
	lookBack    = 10          // entries that a new one may repeat
)

// Note keeps an entry. One that repeats a recent one is counted there.
func (l *Log) Note(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Count = 1
	for i := range min(lookBack, len(l.entries)) {
		o := &l.entries[i]
		if o.Reason == e.Reason && o.Context == e.Context && o.Object == e.Object && o.Username == e.Username && e.At.Sub(o.At).Abs() <= alike {
			e.Count += o.Count
			l.entries = slices.Delete(l.entries, i, i+1)
			break
		}
	}
	l.entries = slices.Insert(l.entries, 0, e)
	l.trim()
}

func (l *Log) trim() {
	if len(l.entries) > l.most {
		clear(l.entries[l.most:])
		l.entries = l.entries[:l.most]
	}
}

// Newest returns up to n entries, the newest first.
func (l *Log) Newest(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries[:min(max(n, 0), len(l.entries))])
}

// Reset forgets all entries.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// MaxLen is how many entries are kept.
func (l *Log) MaxLen() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.most)
}

// SetMaxLen changes how many entries are kept.
func (l *Log) SetMaxLen(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = int(n)
	l.trim()
}
