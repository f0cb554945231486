package status

import (
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// What to do about what goes wrong.
const (
	AdviceCheckpoint   = "The checkpoint before it stays, and it is tried again by itself. Remove the cause that the error names (space, permissions, a sink that does not answer); BGSAVE tries at once."
	AdviceSink         = "It is fed again by itself once it answers. Remove the cause that the error names; `spillway inspect --from SINK` shows what it has."
	AdviceLog          = "Writes are refused until a checkpoint has made up for it, which is tried by itself. Look at the disk of the data directory: space, and what the kernel's log says of it."
	AdviceArchive      = "What is not archived is lost with this machine. It goes on by itself once the sink answers."
	AdviceDamaged      = "`spillway verify --from SOURCE` says what. Take a checkpoint at once, and look for the cause before older backups go."
	AdviceDrill        = "`spillway drill --from SOURCE --keep` does it again and leaves what it restored. Take a checkpoint at once, and look for the cause before older backups go."
	AdviceHook         = "Nobody was told of what it was to tell. Try its URL, or its command, by hand; the next event tells it again."
	AdviceVerification = "`spillway verify --from SINK` does the same by hand. It runs again by its schedule."
	adviceMemory       = "Raise maxmemory, let keys expire, or choose a policy that evicts (CONFIG SET maxmemory-policy)."
	advicePlugin       = "`spillway plugins logs NAME` shows its last lines; it is started again when it is needed."
	adviceCert         = "Replace the files of the listener's certificate; they are read again without a restart."
)

// The bounds of what is normal. The alerts of packaging/monitoring have the same.
const (
	memoryNear   = 0.9             // of maxmemory
	sinkLate     = time.Hour       // a best-effort sink
	archiveLate  = 5 * time.Minute // the archive
	unsavedOld   = 2 * time.Hour   // changes that neither a checkpoint nor a log holds
	certExpiring = 14 * 24 * time.Hour
)

// Judge fills in Problems, State and Serving from the rest of the report. unhealthy is why the
// engine does not do its work, as /healthz has it, nil if it does.
func (r *Report) Judge(unhealthy error) {
	r.Problems = []Problem{}
	r.State = OK
	r.Serving = unhealthy == nil && r.Loading == nil
	if r.Loading != nil {
		r.State = Starting
		return
	}
	r.judgePersistence()
	r.judgeSinks()
	r.judgeMemory()
	for _, v := range r.Verified {
		if !v.OK {
			r.problem(Critical, fmt.Sprintf("backup %s is damaged: %s", v.Source, v.Text), AdviceDamaged)
		}
	}
	for _, d := range r.Drills {
		if !d.OK {
			r.problem(Critical, fmt.Sprintf("the restore drill of %s failed: %s", d.Source, d.Text), AdviceDrill)
		}
	}
	for _, p := range r.Plugins {
		if p.State == "failing" {
			r.problem(Warning, fmt.Sprintf("plugin %s fails: %s", p.Name, p.Error), advicePlugin)
		}
	}
	for _, c := range r.Certificates {
		switch left := c.Expires.Sub(r.At); {
		case left <= 0:
			r.problem(Critical, fmt.Sprintf("the certificate of listener %q has expired", c.Listener), adviceCert)
		case left < certExpiring:
			r.problem(Warning, fmt.Sprintf("the certificate of listener %q expires in %s", c.Listener, english.Plural(int(left.Hours()/24), "day", "")), adviceCert)
		}
	}
	if unhealthy != nil && !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Severity == Critical }) {
		r.problem(Critical, unhealthy.Error(), "The log of the daemon says more.")
	}
	for _, p := range r.Problems {
		if r.State != Critical {
			r.State = p.Severity
		}
	}
}

func (r *Report) problem(severity State, what, todo string) {
	r.Problems = append(r.Problems, Problem{severity, what, todo})
}

func (r *Report) judgePersistence() {
	if !r.Log.OK {
		r.problem(Critical, "the log has failed, writes are refused: "+r.Log.Error, AdviceLog)
	}
	if r.Log.StartError != "" {
		r.problem(Critical, "the log cannot be switched on: "+r.Log.StartError, AdviceLog)
	}
	if !r.Checkpoints.LastOK {
		r.problem(Critical, "the last snapshot failed: "+r.Checkpoints.LastError, AdviceCheckpoint)
	}
	if !r.Checkpoints.RewriteOK {
		r.problem(Warning, "the last rewrite of the log failed: "+r.Checkpoints.RewriteError, AdviceCheckpoint)
	}
	if age := r.At.Sub(r.Checkpoints.LastAt); r.Log.State == "off" && !r.Server.ReadOnly && r.Checkpoints.Unsaved > 0 && age > unsavedOld {
		r.problem(Warning, fmt.Sprintf("%s since the last checkpoint, %s ago, and there is no log", english.Plural(int(r.Checkpoints.Unsaved), "change", ""), rough(age)),
			"BGSAVE takes a checkpoint; save points or appendonly keep what is written.")
	}
}

func (r *Report) judgeSinks() {
	for _, m := range r.Pipeline {
		if m.Pending > 0 {
			severity := Warning
			if lag(m.LagSeconds) > sinkLate {
				severity = Critical
			}
			r.problem(severity, fmt.Sprintf("sink %s is behind by %s, the oldest %s old", m.Name, english.Plural(int(m.Pending), "checkpoint", ""), rough(lag(m.LagSeconds))), AdviceSink)
		}
		if m.OtherLineages > 0 {
			r.problem(Warning, fmt.Sprintf("sink %s holds the checkpoints of %s", m.Name, english.Plural(int(m.OtherLineages), "other data directory", "other data directories")),
				"If that is not wanted, give each daemon a prefix of its own.")
		}
	}
	a := r.Archive
	if a == nil {
		return
	}
	if a.Error != "" {
		severity := Warning
		if lag(a.LagSeconds) > archiveLate {
			severity = Critical
		}
		r.problem(severity, fmt.Sprintf("the archive lacks the writes of the last %s: %s", rough(lag(a.LagSeconds)), a.Error), AdviceArchive)
	} else if lag(a.LagSeconds) > archiveLate {
		r.problem(Warning, fmt.Sprintf("the archive lacks the writes of the last %s", rough(lag(a.LagSeconds))), AdviceArchive)
	}
	if a.Gap > 0 && a.WaitingSegments > 0 {
		r.problem(Warning, fmt.Sprintf("log segment %d was given up: nothing can be restored across it", a.Gap), "A checkpoint behind the gap is taken by itself once the archive has caught up; BGSAVE takes one at once.")
	}
}

func (r *Report) judgeMemory() {
	m := r.Memory
	if m.MaxBytes == 0 || float64(m.UsedBytes) < memoryNear*float64(m.MaxBytes) {
		return
	}
	what := fmt.Sprintf("keys and values take %s of the %s that maxmemory allows", humanize.IBytes(uint64(max(0, m.UsedBytes))), humanize.IBytes(uint64(m.MaxBytes)))
	switch {
	case m.Policy != "noeviction":
		// Keys are evicted, as they are to be.
	case m.UsedBytes >= m.MaxBytes:
		r.problem(Critical, what+", and writes that need more are refused", adviceMemory)
	default:
		r.problem(Warning, what, adviceMemory)
	}
}

func lag(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }

// rough is a duration as people say it: the two largest units.
func rough(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	}
	return fmt.Sprintf("%d s", s)
}
