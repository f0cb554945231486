package server

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/param"
)

// outputLimit is one class of client-output-buffer-limit: a client whose
// pending replies exceed hard bytes, or soft bytes for so long, is closed. Zero
// is no limit.
type outputLimit struct {
	hard, soft int64
	softFor    time.Duration
}

func (l outputLimit) set() bool { return l.hard > 0 || l.soft > 0 }

// exceeded tells whether pending bytes are over the limit, and since when soft
// may be exceeded no longer if that is not zero.
func (l outputLimit) exceeded(pending int64, softSince, now time.Time) bool {
	return l.hard > 0 && pending > l.hard ||
		l.soft > 0 && pending > l.soft && !softSince.IsZero() && now.Sub(softSince) >= l.softFor
}

// outputLimits are the limits of every type of client that has any, by
// command.ClientType; an immutable value.
type outputLimits [command.ClientPubSub + 1]outputLimit

// defaultOutputLimits are Redis's.
func defaultOutputLimits() *outputLimits {
	return &outputLimits{
		command.ClientReplica: {256 << 20, 64 << 20, time.Minute},
		command.ClientPubSub:  {32 << 20, 8 << 20, time.Minute},
	}
}

// String is the parameter as CONFIG GET shows it.
func (l *outputLimits) String() string {
	out := make([]string, 0, len(l))
	for i, c := range l {
		out = append(out, fmt.Sprintf("%s %d %d %d", command.ClientType(i), c.hard, c.soft, c.softFor/time.Second))
	}
	return strings.Join(out, " ")
}

// with returns the limits changed as CONFIG SET's value says: any number of
// "<class> <hard> <soft> <soft seconds>".
func (l *outputLimits) with(v string) (*outputLimits, error) {
	f := strings.Fields(v)
	if len(f) == 0 || len(f)%4 != 0 {
		return nil, errors.New("Wrong number of arguments in buffer limit configuration.") // Redis's wording
	}
	out := *l
	for i := 0; i < len(f); i += 4 {
		class, ok := command.ClientTypeNamed(f[i])
		if !ok || class == command.ClientMaster {
			return nil, errors.New("Invalid client class specified in buffer limit configuration.") // Redis's wording
		}
		hard, err1 := param.ParseMemory(f[i+1])
		soft, err2 := param.ParseMemory(f[i+2])
		seconds, err3 := strconv.ParseInt(f[i+3], 10, 32)
		if err1 != nil || err2 != nil || err3 != nil || seconds < 0 {
			return nil, errors.New("Error in hard, soft or soft_seconds setting in buffer limit configuration.") // Redis's wording
		}
		out[class] = outputLimit{hard, soft, time.Duration(seconds) * time.Second}
	}
	return &out, nil
}

// setTimeout makes the idle timeout d and has every connection wait by it.
func (s *Server) setTimeout(d time.Duration) {
	s.timeout.Store(int64(d))
	for _, c := range s.snapshot() {
		c.wake()
		c.box.wake()
	}
}

// setOutputLimits changes the limits and has every write that waits look at them.
func (s *Server) setOutputLimits(l *outputLimits) {
	s.outputs.Store(l)
	for _, c := range s.snapshot() {
		c.box.wake()
	}
}
