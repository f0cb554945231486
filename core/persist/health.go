package persist

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/wal"
)

// health is why writes are refused: because the log has failed, or because the
// last save has. Its methods may be called from any goroutine and under any lock:
// each fact is one pointer, swapped whole.
type health struct {
	logger   hclog.Logger
	now      func() time.Time
	events   *notifier
	settings func() Settings

	failed atomic.Pointer[failure] // the log has
	save   atomic.Pointer[failure] // the last snapshot has
}

func newHealth(env Env, events *notifier) *health {
	return &health{logger: env.Logger, now: env.Clock.Now, events: events, settings: env.Settings}
}

// failure is why something failed, and when.
type failure struct {
	err error
	at  time.Time
}

// fail begins the refusal of writes because the log failed. It is logged once.
func (h *health) fail(err error) {
	if h.failed.CompareAndSwap(nil, &failure{err: err, at: h.now()}) {
		h.logger.Error("the log failed: writes are refused until a fresh checkpoint is committed", "error", err)
		tell(h.events, h.events.LogFailed, LogEvent{Err: err})
	}
}

// heal ends the refusal of writes: a checkpoint taken after the failure is
// committed and the log goes on in a fresh segment.
func (h *health) heal() {
	if f := h.failed.Swap(nil); f != nil {
		refused := h.now().Sub(f.at)
		h.logger.Info("persistence is re-established: writes are accepted again", "refused_for", refused.Round(time.Millisecond))
		tell(h.events, h.events.LogHealed, LogEvent{Refused: refused})
	}
}

// saved takes in how the last snapshot has ended.
func (h *health) saved(err error) {
	if err == nil {
		h.save.Store(nil)
		return
	}
	h.save.Store(&failure{err: err, at: h.now()})
}

// unsaved is the last save's failure if writes are refused because of it, else nil.
func (h *health) unsaved() *failure {
	f := h.save.Load()
	if f == nil {
		return nil
	}
	if s := h.settings(); !s.StopOnSaveError || len(s.Save) == 0 {
		return nil
	}
	return f
}

// refusesWrites is the reply to a write that is refused, or "".
func (h *health) refusesWrites() string {
	if f := h.failed.Load(); f != nil {
		return "MISCONF " + logFailure(f.err)
	}
	if h.save.Load() != nil && h.unsaved() != nil {
		return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. " +
			"Commands that may modify the data set are disabled, because this instance is configured to report errors during writes " +
			"if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	}
	return ""
}

// refusing is why writes are refused, nil if they are not.
func (h *health) refusing() error {
	if f := h.failed.Load(); f != nil {
		return fmt.Errorf("writes are refused: %w", f.err)
	}
	if f := h.unsaved(); f != nil {
		return fmt.Errorf("writes are refused: the last save failed: %w", f.err)
	}
	return nil
}

// committed is why what a client wrote is not durable, as it is told, after its
// commit has ended with err; nil if it is. What is written behind a failure is
// worth nothing before the checkpoint that ends it is committed.
func (h *health) committed(err error) error {
	if err != nil {
		h.fail(err)
	} else if f := h.failed.Load(); f != nil {
		err = f.err
	}
	if err == nil {
		return nil
	}
	return errors.New(logFailure(err))
}

// logFailure is how a client is told, behind the code of the reply.
func logFailure(err error) string { return "Errors writing to the AOF file: " + err.Error() }

// Failure is why writes are refused since the log failed, nil if it has not, or
// a checkpoint has made up for it.
func (p *Persister) Failure() error {
	if f := p.health.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

// RefusesWrites is the reply to a write that is not carried out because
// persistence is broken, or "".
func (p *Persister) RefusesWrites() string { return p.health.refusesWrites() }

// Refusing is why writes are refused, nil if they are not.
func (p *Persister) Refusing() error { return p.health.refusing() }

// Committed takes in how a commit has ended that a client has written for, and
// returns why what it wrote is not durable, in the words that a client is told. Of
// a log that is only being switched on nothing is promised yet.
func (p *Persister) Committed(log *wal.Log, err error) error {
	if err != nil && p.based.Load() != log {
		return nil
	}
	return p.health.committed(err)
}

// CheckLog turns a failure of the log that no client has met yet into the
// refusal of writes.
func (p *Persister) CheckLog() {
	if p.LogOn() {
		if err := p.log.Load().Err(); err != nil {
			p.health.fail(err)
		}
	}
}
