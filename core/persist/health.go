package persist

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core/wal"
)

// failure is why writes are refused since the log failed.
type failure struct {
	err  error
	at   time.Time
	text string // the reply, without its code
}

// fail begins the refusal of writes because the log failed. It is logged once.
func (p *Persister) fail(err error) {
	f := &failure{err: err, at: p.clock.Now(), text: logFailure(err)}
	if p.failed.CompareAndSwap(nil, f) {
		p.logger.Error("the log failed: writes are refused until a fresh checkpoint is committed", "error", err)
		tell(p.events, p.events.LogFailed, LogEvent{Err: err})
	}
}

// Failure is why writes are refused since the log failed, nil if it has not, or
// a checkpoint has made up for it.
func (p *Persister) Failure() error {
	if f := p.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

// logFailure is how a client is told, behind the code of the reply.
func logFailure(err error) string { return "Errors writing to the AOF file: " + err.Error() }

// Committed takes in how a commit has ended that a client has written for, and
// returns why what it wrote is not durable, in the words that a client is told. Of
// a log that is only being switched on nothing is promised yet, and what is written
// behind a failure is worth nothing before the checkpoint that ends it is committed.
func (p *Persister) Committed(log *wal.Log, err error) error {
	if err != nil && p.based.Load() != log {
		return nil
	}
	f := p.failed.Load()
	switch {
	case err != nil:
		p.fail(err)
	case f != nil:
		err = f.err
	default:
		return nil
	}
	return errors.New(logFailure(err))
}

// healed ends the refusal of writes: a checkpoint taken after the failure is
// committed and the log goes on in a fresh segment.
func (p *Persister) healed() {
	if f := p.failed.Swap(nil); f != nil {
		refused := p.clock.Now().Sub(f.at)
		p.logger.Info("persistence is re-established: writes are accepted again", "refused_for", refused.Round(time.Millisecond))
		tell(p.events, p.events.LogHealed, LogEvent{Refused: refused})
	}
}

// CheckLog turns a failure of the log that no client has met yet into the
// refusal of writes.
func (p *Persister) CheckLog() {
	if p.LogOn() {
		if err := p.log.Load().Err(); err != nil {
			p.fail(err)
		}
	}
}

// RefusesWrites is the reply to a write that is not carried out because
// persistence is broken, or "".
func (p *Persister) RefusesWrites() string {
	f := p.failed.Load()
	if f == nil && !p.saveFailed.Load() {
		return "" // as nearly always, and asked for each write
	}
	return p.refusal(f)
}

func (p *Persister) refusal(f *failure) string {
	if f != nil {
		return "MISCONF " + f.text
	}
	if p.savesHoldWrites() {
		return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. " +
			"Commands that may modify the data set are disabled, because this instance is configured to report errors during writes " +
			"if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	}
	return ""
}

// savesHoldWrites tells whether writes are refused because the last save failed.
func (p *Persister) savesHoldWrites() bool {
	if !p.saveFailed.Load() {
		return false
	}
	s := p.env.Settings()
	return s.StopOnSaveError && len(s.Save) > 0
}

// Refusing is why writes are refused, nil if they are not.
func (p *Persister) Refusing() error {
	if f := p.failed.Load(); f != nil {
		return fmt.Errorf("writes are refused: %w", f.err)
	}
	if p.savesHoldWrites() {
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("writes are refused: the last save failed: %w", p.snapshot.Err)
	}
	return nil
}

// LogStartError is why the log, which is wanted, could not be switched on yet;
// nil if it is on or nothing has failed.
func (p *Persister) LogStartError() error {
	p.mu.Lock()
	err := p.logStarts.err
	p.mu.Unlock()
	if err == nil || p.LogState() != logStarting {
		return nil
	}
	return err
}
