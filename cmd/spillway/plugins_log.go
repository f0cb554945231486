package main

import (
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

const (
	// pluginLines is how many lines of each plugin's log the daemon remembers.
	pluginLines = 500
	// pluginLineBytes bounds such a line; a longer one is not remembered.
	pluginLineBytes = 32 << 10
)

// pluginLogs remembers the last lines that each plugin logged, and what was
// logged about it: it listens to the daemon's logger.
type pluginLogs struct {
	level func() hclog.Level // of the daemon's log
	mu    sync.Mutex
	of    map[string]*lines
}

// lines are one plugin's, each an object of JSON as hclog writes it.
type lines struct {
	hclog.SinkAdapter // formats into Write

	mu   sync.Mutex
	last []string // oldest first
}

// Write implements io.Writer: hclog writes each line whole.
func (l *lines) Write(b []byte) (int, error) {
	if len(b) > pluginLineBytes {
		return len(b), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == pluginLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// newPluginLogs listens to no plugin yet.
func newPluginLogs(level func() hclog.Level) *pluginLogs {
	return &pluginLogs{level: level, of: make(map[string]*lines)}
}

// add listens for a plugin too.
func (p *pluginLogs) add(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[name] == nil {
		l := new(lines)
		l.SinkAdapter = hclog.NewSinkAdapter(&hclog.LoggerOptions{Level: hclog.Trace, JSONFormat: true, Output: l})
		p.of[name] = l
	}
}

// lines are those of a plugin, nil for one that is none.
func (p *pluginLogs) lines(name string) *lines {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[name]
}

// Accept implements hclog.SinkAdapter: it takes the lines of loggers that are
// named "….plugin.NAME", which is how the host names them.
func (p *pluginLogs) Accept(name string, level hclog.Level, msg string, args ...any) {
	_, rest, ok := strings.Cut(name, ".plugin.")
	if !ok || level < p.level() {
		return
	}
	if l := p.lines(rest); l != nil {
		l.Accept(rest, level, msg, args...)
	}
}

// tail are the last n lines of a plugin, oldest first.
func (p *pluginLogs) tail(name string, n int) []string {
	l := p.lines(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.last[max(0, len(l.last)-n):])
}
