package persist

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// start begins a job of the kind unless one is in flight, and returns a
// channel that gets its outcome. The end of parent cancels that job and no
// other. why is for the log.
func (p *Persister) start(parent context.Context, kind sink.Kind, why string, startLog bool) (<-chan error, error) {
	return p.try(parent, kind, why, startLog, false)
}

// try is start; again says that it repeats one that failed.
func (p *Persister) try(parent context.Context, kind sink.Kind, why string, startLog, again bool) (<-chan error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begin(parent, kind, why, startLog, again)
}

// begin is try under p.mu.
func (p *Persister) begin(parent context.Context, kind sink.Kind, why string, startLog, again bool) (<-chan error, error) {
	if p.closed {
		return nil, ErrShuttingDown
	}
	if p.env.ReadOnly {
		return nil, ErrReadOnly
	}
	if p.job != nil {
		err := ErrOtherInFlight
		switch {
		case kind == sink.KindSnapshot && p.job.kind == sink.KindSnapshot:
			err = errSaveInFlight
		case kind == sink.KindRewrite:
			err = errRewriteInFlight
		}
		p.jobLog.Info("checkpoint refused: one is in flight", "wanted", kind, "why", why, "in_flight", p.job.kind, "job", p.job.id)
		return nil, err
	}
	p.nextJob++
	ctx, cancel := context.WithCancel(parent)
	j := &job{
		id: p.nextJob, kind: kind, gen: p.ledger.drawGeneration(), began: p.clock.Now(),
		parent: parent, ctx: ctx, cancel: cancel, ended: make(chan struct{}), startLog: startLog, again: again, in: p.using(),
	}
	p.enter(j, StepRotate)
	p.job = j
	out := make(chan error, 1)
	j.waiters = append(j.waiters, out)
	p.jobLog.Log(j.level(hclog.Info), "checkpoint started", "job", j.id, "kind", kind, "generation", j.gen, "why", why)
	tell(p.events, p.events.CheckpointBegun, CheckpointEvent{Kind: kind, Generation: j.gen, Began: j.began})
	p.bg.run(func() { p.finish(j, p.checkpoint(j)) })
	return out, nil
}

// checkpoint is a job from its first step to its last. An error before commit
// leaves the log and the previous checkpoint as they were; finish removes what the
// job has staged.
func (p *Persister) checkpoint(j *job) error {
	views, err := p.takeViews(j)
	if err != nil {
		return err
	}
	p.enter(j, StepEncode)
	j.set = sink.NewSetID(j.gen, j.kind, p.ledger.current().Lineage)
	p.own.drew(j.set)
	parts := p.encode(j, views)
	p.queueSealed(j) // while the shards are being encoded
	j.parts, err = parts()
	p.views.Unlock()
	if err != nil {
		return err
	}
	p.enter(j, StepPublish)
	if err := p.publish(j); err != nil {
		return err
	}
	p.enter(j, StepCommit)
	return p.commit(j)
}

// takeViews rotates the log and makes the cut, once nobody else has the shards' views. They
// are the job's when it succeeds, until it unlocks them.
func (p *Persister) takeViews(j *job) ([]*keyspace.View, error) {
	if err := p.lockViews(j.ctx); err != nil {
		return nil, err
	}
	views, err := p.rotateAndCut(j)
	if err != nil {
		p.views.Unlock()
	}
	return views, err
}

// rotateAndCut rotates the log and makes the cut, while nobody else does either.
func (p *Persister) rotateAndCut(j *job) ([]*keyspace.View, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	log := p.log.Load()
	j.apart = log != nil && !log.Healthy()
	next, err := p.ledger.rotate(log != nil || j.startLog, !j.startLog && !j.apart)
	j.next = next
	if err != nil {
		j.unsure = errors.Is(err, manifest.ErrUnknownOutcome)
		if j.kind == sink.KindRewrite || j.startLog || j.apart || log == nil || j.unsure {
			return nil, fmt.Errorf("rotating the log: %w", err)
		}
		p.jobLog.Warn("rotating the log failed; the snapshot is written and the log kept whole", "job", j.id, "error", err)
		// The rotation would have reserved the number: a sink that holds a set
		// which no manifest knows of refuses the next start.
		if _, err := p.ledger.rotate(false, false); err != nil {
			j.unsure = errors.Is(err, manifest.ErrUnknownOutcome)
			return nil, fmt.Errorf("reserving generation %d: %w", j.gen, err)
		}
	}
	p.enter(j, StepCut)
	views, err := p.cut(j)
	if err != nil {
		return nil, fmt.Errorf("freezing the keyspace: %w", err)
	}
	return views, nil
}

// retireLog takes the log out of service unless it is wanted again, or a job is
// in flight, which may have divided it; one that begins meanwhile finds no log.
// It tells whether it did.
func (p *Persister) retireLog() bool {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.inFlight() != nil {
		return false
	}
	return p.stopLog(true)
}

// queueSealed hands the segment that the cut has ended to the archive. A cut that
// failed is publish's to report.
func (p *Persister) queueSealed(j *job) {
	if log := p.log.Load(); log != nil && j.rotated && !j.apart && !j.startLog && log.WaitCut() == nil {
		p.sealed(j.next.ID)
	}
}

// cut is the moment that the checkpoint is of. With every shard locked, the shards
// are frozen and the log goes on in its next segment, so that every write is either
// in the views or behind the cut, and none in both or in neither.
func (p *Persister) cut(j *job) ([]*keyspace.View, error) {
	log := p.log.Load()
	var opened *wal.Log
	if j.startLog {
		l, err := p.openLog(j.next.Path)
		if err != nil {
			return nil, err
		}
		opened = l
	}
	var views []*keyspace.View
	start, took := p.clock.Now(), time.Duration(0)
	var err error
	p.env.Barrier(func() {
		start = p.clock.Now()
		if log != nil && !log.Healthy() && !j.apart {
			err = fmt.Errorf("the log has failed meanwhile: %w", log.Err())
			return
		}
		if views, err = p.ks.FreezeAll(); err != nil {
			return
		}
		for _, v := range views {
			j.total.Add(v.Keys())
		}
		switch {
		case opened != nil:
			opened.Begin()
			p.log.Store(opened)
			j.rotated = true
		case log != nil && j.next.Path != "":
			if !log.Healthy() {
				// A client that has not met the failure yet must not be told
				// that its write is durable before this job has committed.
				p.health.fail(log.Err())
			}
			log.Cut(j.next.Path)
			j.rotated = true
		}
		// The log may be whole while writes are refused: it was mended by a cut
		// whose job failed, or it was switched off.
		j.changes = p.changes.Load()
		took = p.clock.Now().Sub(start)
		j.cutAt = start
	})
	if err != nil {
		for _, v := range views {
			v.Release()
		}
		if opened != nil {
			_ = opened.Close()
		}
		return nil, err
	}
	p.mu.Lock()
	p.freeze = took
	p.mu.Unlock()
	p.env.Latency("freeze", took, start)
	p.stepped(j, StepFreeze, start, start.Add(took), nil)
	p.jobLog.Debug("cut", "job", j.id, "keys", j.total.Load(), "freeze", took, "segment", j.next.Path)
	return views, nil
}

// publish makes the complete set visible in every required sink and waits
// until the log has really switched to the segment that follows the cut.
func (p *Persister) publish(j *job) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("publishing the checkpoint: panic: %v", r)
		}
	}()
	switch log := p.log.Load(); {
	case log == nil:
	case j.startLog:
		// What the policy promises is promised from the commit on, of
		// everything that the base does not hold.
		if err := log.Sync(); err != nil {
			return fmt.Errorf("making the log durable that is to follow the checkpoint: %w", err)
		}
	case j.rotated:
		if err := log.WaitCut(); err != nil {
			return fmt.Errorf("switching the log to %s: %w", j.next.Path, err)
		}
	default:
		// What the snapshot holds is safe only by the log that goes on.
		if err := log.Sync(); err != nil {
			return fmt.Errorf("making the log durable that could not be rotated: %w", err)
		}
	}
	return j.in.pipe.Publish(j.ctx, p.set(j))
}

// set is the checkpoint that the job has made, with what a restore needs to
// find the log that follows it.
func (p *Persister) set(j *job) sink.Set {
	m := p.ledger.current()
	meta := map[string]string{sink.MetaLineage: m.Lineage}
	if len(m.Follows) > 0 {
		meta[sink.MetaFollows] = sink.FormatFollows(m.Follows)
	}
	if j.rotated {
		meta[sink.MetaSegment] = strconv.FormatUint(j.next.ID, 10)
		meta[sink.MetaLogID] = j.next.LogID
	}
	return sink.Set{
		ID:        j.set,
		CreatedAt: j.cutAt.UTC(),
		Stages:    j.in.pipe.StageRecords(),
		Parts:     j.parts,
		Meta:      meta,
	}
}

// finish ends the job, rolls back what it staged if it failed, and tells who waits.
func (p *Persister) finish(j *job, err error) {
	j.cancel()
	now := p.clock.Now()
	took := now.Sub(j.began)
	p.stepped(j, *j.phase.Load(), j.entered, now, err)
	if err != nil {
		p.rollback(j, err)
	}
	p.mu.Lock()
	o := Outcome{Err: err, Took: took, Ran: true}
	held := p.health.unsaved() != nil
	known := p.note(j, o, now)
	if err == nil {
		p.lastSave = j.cutAt
		p.saves.Add(1)
	}
	p.mu.Unlock()

	// Whoever sees that it is in flight no more finds its lines in the log.
	if err != nil {
		level := hclog.Error
		if known {
			level = j.level(level)
		}
		p.jobLog.Log(level, "checkpoint failed; the previous one and the log are untouched", "job", j.id, "kind", j.kind, "generation", j.gen, "error", err)
	} else {
		p.jobLog.Info("checkpoint committed", "job", j.id, "kind", j.kind, "generation", j.gen,
			"keys", j.progress.Keys.Load(), "bytes", j.progress.StoredBytes.Load(), "raw_bytes", j.progress.RawBytes.Load(), "took", took.Round(time.Millisecond))
	}
	p.noteHeld(held)

	p.mu.Lock()
	p.job = nil
	close(j.ended)
	waiters := j.waiters
	p.mu.Unlock()

	e := CheckpointEvent{Kind: j.kind, Generation: j.gen, Began: j.began, Keys: j.progress.Keys.Load(), Bytes: j.progress.StoredBytes.Load(), Took: took, Err: err}
	if err != nil {
		tell(p.events, p.events.CheckpointFailed, e)
	} else {
		tell(p.events, p.events.CheckpointCommitted, e)
		p.retire(j)
	}
	j.in.done()
	p.noteTargets(nil)
	for _, w := range waiters {
		w <- err
	}
	p.startScheduled()
}

// startScheduled starts the job that was asked for while another was in flight, if
// there is one. Until then it counts as scheduled: nobody takes the moment between the
// two for their end.
func (p *Persister) startScheduled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := p.scheduled
	if kind == "" {
		return
	}
	p.scheduled = ""
	if _, err := p.begin(context.Background(), kind, "scheduled while another was in flight", false, false); err != nil {
		p.jobLog.Warn("scheduled checkpoint skipped", "kind", kind, "error", err)
	}
}

// inFlight returns the job in flight, or nil.
func (p *Persister) inFlight() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.job
}

// close refuses further jobs, cancels the one in flight and waits for every
// goroutine.
func (p *Persister) close() {
	p.mu.Lock()
	p.closed = true
	p.scheduled = ""
	j := p.job
	var out chan error
	if j != nil {
		out = make(chan error, 1)
		j.waiters = append(j.waiters, out)
		j.cancel()
	}
	p.mu.Unlock()
	if out != nil {
		<-out //nolint:errcheck // finish has logged it
	}
	p.spools.end()
	p.route.Load().pipe.Close()
	p.archive.Load().close()
	p.bg.close()
	p.events.wait()
}
