package session

import (
	"slices"
	"strings"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
)

// monitors are the clients that MONITOR what all execute.
type monitors struct {
	odd  *conditions // monitored for each of them
	mu   sync.Mutex  // held while a command is told, so that all see one order
	list []*Session
}

func (m *monitors) add(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, s)
	m.odd.add(monitored, 1)
}

func (m *monitors) remove(s *Session) {
	if !s.monitors.Load() {
		return
	}
	s.monitors.Store(false)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(o *Session) bool { return o == s })
	m.odd.add(monitored, -1)
}

// monitored tells whether anybody monitors.
func (rt *Runtime) monitored() bool { return rt.conditions.load()&monitored != 0 }

// Monitor implements command.Client.
func (s *Session) Monitor() bool {
	if s.monitors.Load() {
		return false
	}
	s.monitors.Store(true)
	s.Pushes() // its reply comes first
	s.rt.monitors.add(s)
	return true
}

// Monitors tells whether the client monitors. Any goroutine.
func (s *Session) Monitors() bool { return s.monitors.Load() }

// monitored tells those who monitor of a command that has been executed, or is
// blocked. source is where it comes from when that is not the client.
func (s *Session) monitored(cmd *command.Command, args [][]byte, source string) {
	if cmd.Flags&(command.Admin|command.SkipMonitor) != 0 || s.rt.Loading() {
		return
	}
	if source == "" {
		source = s.source()
	}
	s.tellMonitors(args, source)
}

// tellMonitors shows a command to those who monitor.
func (s *Session) tellMonitors(args [][]byte, source string) {
	m := &s.rt.monitors
	m.mu.Lock()
	defer m.mu.Unlock()
	line := command.MonitorLine(s.rt.Clock.Now(), s.DB(), source, args)
	for _, o := range m.list {
		o.Push(line, o == s)
	}
}

// source is a client's address as MONITOR shows it.
func (s *Session) source() string {
	i := s.client.Info()
	switch {
	case i.Addr == "":
		return "?:0" // embedded
	case strings.Contains(i.Flags, "U"):
		return "unix:" + strings.TrimSuffix(i.LAddr, ":0")
	}
	return i.Addr
}
