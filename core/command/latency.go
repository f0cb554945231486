package command

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// latencyHistory is how many samples an event keeps, as in Redis.
const latencyHistory = 160

// LatencySample is one spike: when (Unix seconds) and how long.
type LatencySample struct {
	Time int64
	Took time.Duration
}

// LatencyEvent is the history of one kind of spike.
type LatencyEvent struct {
	Name    string
	Max     time.Duration
	Samples []LatencySample // oldest first; the last is the latest
}

// LatencyMonitor keeps spikes by event ("command", "aof-fsync-always",
// "freeze", "commit", …). It is safe for concurrent use.
type LatencyMonitor struct {
	threshold atomic.Int64 // nanoseconds; 0: off

	mu     sync.Mutex
	events map[string]*LatencyEvent
}

// NewLatencyMonitor returns a monitor that is off, as Redis's default.
func NewLatencyMonitor() *LatencyMonitor {
	return &LatencyMonitor{events: make(map[string]*LatencyEvent)}
}

// Threshold is the duration from which a spike is kept; 0 means none is.
func (m *LatencyMonitor) Threshold() time.Duration { return time.Duration(m.threshold.Load()) }

// SetThreshold changes the threshold (latency-monitor-threshold).
func (m *LatencyMonitor) SetThreshold(d time.Duration) { m.threshold.Store(int64(d)) }

// Note records a spike of an event that ended at the given time, if it is long
// enough. Two spikes in one second keep the longer.
func (m *LatencyMonitor) Note(event string, took time.Duration, at time.Time) {
	if t := m.Threshold(); t == 0 || took < t {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.events[event]
	if !ok {
		e = &LatencyEvent{Name: event}
		m.events[event] = e
	}
	e.Max = max(e.Max, took)
	if n := len(e.Samples); n > 0 && e.Samples[n-1].Time == at.Unix() {
		e.Samples[n-1].Took = max(e.Samples[n-1].Took, took)
		return
	}
	if len(e.Samples) == latencyHistory {
		e.Samples = append(e.Samples[:0], e.Samples[1:]...)
	}
	e.Samples = append(e.Samples, LatencySample{Time: at.Unix(), Took: took})
}

// Events returns a copy of every event's history, sorted by name.
func (m *LatencyMonitor) Events() []LatencyEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]LatencyEvent, 0, len(m.events))
	for _, e := range m.events {
		c := *e
		c.Samples = append([]LatencySample(nil), e.Samples...)
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Reset forgets the named events, or all when none is named, and returns how many.
func (m *LatencyMonitor) Reset(names ...string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	if len(names) == 0 {
		n = len(m.events)
		clear(m.events)
		return n
	}
	for _, name := range names {
		if _, ok := m.events[name]; ok {
			delete(m.events, name)
			n++
		}
	}
	return n
}
