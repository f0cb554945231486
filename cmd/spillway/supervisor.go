package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
)

const (
	// statusInterval is how often the status is looked at; what has not changed is
	// not said again.
	statusInterval = time.Second
	// defaultPulse is how often the engine's ticks are looked at where nobody
	// expects keep-alives.
	defaultPulse = 30 * time.Second
)

// supervised is the engine as its supervisor is told of it; a *core.DB.
type supervised interface {
	LoadProgress() (done, total int64)
	Ticks() uint64
	Healthy() error
}

// supervisor tells the service manager that has started the daemon how it fares,
// in the protocol of sd_notify(3): READY=1 when the data is loaded, STATUS= with a
// line for people, WATCHDOG=1 as long as the engine goes on, STOPPING=1 at the end.
// Without a service manager, which is without $NOTIFY_SOCKET, it tells nobody.
type supervisor struct {
	log   hclog.Logger
	pulse time.Duration // how often keep-alives are due
	send  func(state string) error

	mu       sync.Mutex // held while something is said, so that it is not out of date
	said     string     // the last status
	deaf     bool       // telling has failed, and the log says so
	ticks    uint64     // the engine's, at the last pulse
	hangs    bool       // they have not advanced since the one before
	serving  bool
	stopping bool
}

// newSupervisor finds out who is to be told.
func newSupervisor(log hclog.Logger) *supervisor {
	s := &supervisor{log: log, pulse: defaultPulse, send: func(state string) error {
		_, err := sdnotify.SdNotify(false, state)
		return err
	}}
	watchdog, err := sdnotify.SdWatchdogEnabled(true)
	if err != nil {
		log.Warn("the service manager gets no keep-alives", "error", err)
	}
	if watchdog > 0 {
		s.pulse = watchdog / 2
	}
	return s
}

// restoring says that the start waits for a backup.
func (s *supervisor) restoring() { s.say("Restoring the data from a backup") }

// ready says that clients are served.
func (s *supervisor) ready(e supervised) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving, s.ticks = true, math.MaxUint64 // the first pulse may come before the first tick
	s.said = s.status(e)
	s.tell(sdnotify.SdNotifyReady + "\nSTATUS=" + s.said)
}

// stop says that the end has begun, and is not called off any more.
func (s *supervisor) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping, s.said = true, "Shutting down"
	s.tell(sdnotify.SdNotifyStopping + "\nSTATUS=" + s.said)
}

// watch says how the engine fares until ctx ends.
func (s *supervisor) watch(ctx context.Context, e supervised) {
	status, pulse := time.NewTicker(statusInterval), time.NewTicker(s.pulse)
	defer status.Stop()
	defer pulse.Stop()
	s.sayStatus(e)
	for {
		select {
		case <-ctx.Done():
			return
		case <-status.C:
		case <-pulse.C:
			s.beat(e)
		}
		s.sayStatus(e)
	}
}

// beat sends a keep-alive if the engine has ticked since the last one. One that
// refuses writes ticks: a restart would not mend its disk. While the engine ends it
// does not tick, and the service manager has another timeout for that.
func (s *supervisor) beat(e supervised) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving {
		return // the watchdog begins with READY=1
	}
	ticks := e.Ticks()
	hangs := ticks == s.ticks && !s.stopping
	if hangs && !s.hangs {
		s.log.Error("the engine hangs: nothing expires, is evicted or is saved by itself, and a service manager gets no keep-alives", "for", s.pulse)
	}
	s.ticks, s.hangs = ticks, hangs
	if !hangs {
		s.tell(sdnotify.SdNotifyWatchdog)
	}
}

func (s *supervisor) sayStatus(e supervised) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	if text := s.status(e); text != s.said {
		s.said = text
		s.tell("STATUS=" + text)
	}
}

// status is one line. The caller holds mu.
func (s *supervisor) status(e supervised) string {
	if !s.serving {
		if done, total := e.LoadProgress(); total > 0 {
			return fmt.Sprintf("Loading the data: %d %%", min(100*done/total, 100))
		}
		return "Loading the data"
	}
	if s.hangs {
		return "The engine hangs: no keep-alives are sent"
	}
	if err := e.Healthy(); err != nil {
		return "Not healthy: " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	return "Serving clients"
}

func (s *supervisor) say(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = status
	s.tell("STATUS=" + status)
}

// tell sends. A service manager that cannot be told is no reason to end, and the
// log says it once. The caller holds mu.
func (s *supervisor) tell(state string) {
	if err := s.send(state); err != nil && !s.deaf {
		s.deaf = true
		s.log.Warn("the service manager cannot be told how the daemon fares", "error", err)
	}
}
