package persist

import (
	"regexp"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
)

// attempts are those of one undertaking that have failed in a row.
type attempts struct {
	failures int
	at       time.Time // when the last one did
	err      error     // and why; nil: none has failed
}

// backoff is how long what failed is not tried again: it doubles with every
// further failure.
type backoff struct{ first, most time.Duration }

var (
	saveRetry = backoff{5 * time.Second, time.Hour}        // of what is started automatically
	heldRetry = backoff{2 * time.Second, 30 * time.Second} // of a save that writes wait for
	logRetry  = backoff{time.Second, 5 * time.Second}      // of switching the log on
)

// due tells whether it is time for the next attempt.
func (a attempts) due(now time.Time, b backoff) bool {
	if a.failures == 0 {
		return true
	}
	wait := min(b.first<<min(a.failures-1, 10), b.most)
	return !now.Before(a.at.Add(wait))
}

// note takes down how a job has ended and tells whether that is known: the one
// before it has failed in the same way. The caller holds mu.
func (p *Persister) note(j *job, o Outcome, now time.Time) (known bool) {
	if o.Err != nil && (j.given || j.parent.Err() != nil) {
		return false // nobody wants it any more: nothing has failed, as in Redis
	}
	failed := &p.attempts
	if j.startLog {
		failed = &p.logStarts
	}
	// Whoever asks for a log and does not get one has lost nothing: that is no
	// failed save. It is what Redis calls a rewrite.
	if j.kind == sink.KindRewrite || j.startLog {
		p.rewrite = o
	}
	if j.kind == sink.KindSnapshot && (o.Err == nil || !j.startLog) {
		p.snapshot = o
		p.health.saved(o.Err)
	}
	if o.Err == nil {
		p.attempts, p.logStarts = attempts{}, attempts{}
		return false
	}
	known = failed.err != nil && sameFailure(failed.err, o.Err)
	failed.failures, failed.at, failed.err = failed.failures+1, now, o.Err
	return known
}

// level is that of a line about the job: what only happens again is for those
// who look closely.
func (j *job) level(first hclog.Level) hclog.Level {
	if j.again {
		return hclog.Debug
	}
	return first
}

var number = regexp.MustCompile(`\b[0-9a-f]{8}\b|\d+`)

// sameFailure compares errors but for the numbers in them: every attempt has a
// set of its own.
func sameFailure(a, b error) bool {
	return number.ReplaceAllString(a.Error(), "#") == number.ReplaceAllString(b.Error(), "#")
}

// noteHeld logs that a save has made writes be refused, or accepted again.
func (p *Persister) noteHeld(before bool) {
	switch now := p.health.unsaved() != nil; {
	case now && !before:
		p.logger.Warn("writes are refused until a save succeeds, which is tried again and again", "option", "stop-writes-on-bgsave-error")
	case before && !now:
		p.logger.Info("a save has succeeded: writes are accepted again")
	}
}
