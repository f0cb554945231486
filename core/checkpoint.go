package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// checkpointer takes checkpoints, one at a time. A job goes through
//
//	rotate → cut → encode (a worker per shard) → publish → commit
//
// rotate, cut and publish run on the job's own goroutine, encode on the
// workers; what they finish is a completion, and completions are applied by
// the tick, which also commits. Any error ends in abort, which leaves the live
// log and the previous checkpoint as they were.
//
// Between its rotate and its cut a job has the turn, which a seal of the archive
// (see archiver) waits for, and the other way round. Who makes a manifest out of
// the current one holds writing until it is committed; manifest (the field) is
// guarded by mu.
type checkpointer struct {
	db      *DB
	log     hclog.Logger
	store   *manifest.Store
	pipe    *sink.Pipeline
	local   sink.Sink
	workers []*worker
	done    chan completion
	pump    vfs.IOLock // held while completions are applied
	bg      sync.WaitGroup
	archive *archiver  // nil: there is none
	own     *ancestry  // who we are on a sink
	guards  []*guard   // of every target, the archive's too
	turn    vfs.IOLock // held from a rotation to its cut
	writing vfs.IOLock // held from reading the manifest to committing its successor
	later   leftovers  // to be removed once it is certain what is on disk; guarded by writing

	mu       sync.Mutex
	manifest *manifest.Manifest // in force; nobody changes it
	// The numbers to draw next: at least the manifest's, and higher where some
	// were drawn that no manifest on disk has reserved yet.
	nextGeneration, nextSegment uint64

	whole     uint64           // segments below this ID are sealed
	sizes     map[uint64]int64 // of these
	job       *job
	nextJob   uint64
	scheduled sink.Kind // asked for with SCHEDULE while a job was in flight
	closed    bool
	snapshot  outcome
	rewrite   outcome
	lastSave  time.Time
	attempts  attempts      // that failed, automatic or asked for
	logStarts attempts      // at switching the log on that failed
	freeze    time.Duration // of the last cut
	saves     atomic.Int64  // checkpoints committed since Open
}

// newCheckpointer builds the pipeline of the data directory and its targets.
func newCheckpointer(db *DB) *checkpointer {
	o := db.opts
	local := sink.NewFSSink("local", o.FS, sink.SetsDir)
	known := sink.NewRegistry(append(slices.Clone(o.DecodeStages), o.Stages...)...)
	own := &ancestry{log: db.logger.Named("checkpoint"), now: db.clock.Now, adopt: o.Adopt}
	targets, guards := guarded(own, o.Targets)
	c := &checkpointer{
		pump: vfs.NewIOLock(), turn: vfs.NewIOLock(), writing: vfs.NewIOLock(),
		db: db, log: db.logger.Named("checkpoint"), store: manifest.NewStore(o.FS, db.clock.Now), local: local,
		own: own, guards: guards,
		pipe: sink.NewPipeline("checkpoint", o.Stages, local, targets, sink.PipelineOptions{
			Logger: db.logger, Now: db.clock.Now, VerifyDecode: o.VerifyDecode, Registry: known, Known: own.knows,
		}),
		manifest: &manifest.Manifest{}, nextGeneration: 1, nextSegment: 1, // until Recover has read them
		lastSave: db.started, sizes: make(map[uint64]int64),
		done: make(chan completion, o.Shards+2),
	}
	own.numbers = func() (generation, segment uint64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.nextGeneration, c.nextSegment
	}
	c.archive = newArchiver(c)
	for i := range o.Shards {
		c.workers = append(c.workers, newWorker(i, c.log, c.done))
	}
	return c
}

// start begins a job of the kind unless one is in flight, and returns a
// channel that gets its outcome. The end of parent cancels that job and no
// other. why is for the log.
func (c *checkpointer) start(parent context.Context, kind sink.Kind, why string, startLog bool) (<-chan error, error) {
	return c.try(parent, kind, why, startLog, false)
}

// try is start; again says that it repeats one that failed.
func (c *checkpointer) try(parent context.Context, kind sink.Kind, why string, startLog, again bool) (<-chan error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errShuttingDown
	}
	if c.db.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	if c.job != nil {
		err := errOtherInFlight
		switch {
		case kind == sink.KindSnapshot && c.job.kind == sink.KindSnapshot:
			err = errSaveInFlight
		case kind == sink.KindRewrite:
			err = errRewriteInFlight
		}
		c.log.Info("checkpoint refused: one is in flight", "wanted", kind, "why", why, "in_flight", c.job.kind, "job", c.job.id)
		return nil, err
	}
	c.nextJob++
	c.own.above(&c.nextGeneration, &c.nextSegment)
	ctx, cancel := context.WithCancel(parent)
	j := &job{
		id: c.nextJob, kind: kind, gen: c.nextGeneration, began: c.db.clock.Now(),
		parent: parent, ctx: ctx, cancel: cancel, startLog: startLog, again: again,
		parts: make([]sink.SetPart, len(c.workers)), left: len(c.workers),
	}
	j.enter("rotate")
	c.nextGeneration++
	c.job = j
	out := make(chan error, 1)
	j.waiters = append(j.waiters, out)
	c.log.Log(j.level(hclog.Info), "checkpoint started", "job", j.id, "kind", kind, "generation", j.gen, "why", why)
	c.bg.Add(1)
	go func() {
		defer c.bg.Done()
		c.begin(j)
	}()
	return out, nil
}

// begin rotates the log, makes the cut and hands every shard's view to its
// worker.
func (c *checkpointer) begin(j *job) {
	views, err := c.divide(j)
	if err != nil {
		c.fail(j, err)
		return
	}
	j.enter("encode")
	j.set = sink.NewSetID(j.gen, j.kind, c.current().Lineage)
	c.own.drew(j.set)
	for i, v := range views {
		c.workers[i].submit(partJob{
			ctx: j.ctx, job: j, view: v, pipe: c.pipe,
			part: c.pipe.Part(j.id, j.set, i, len(views)),
		})
	}
	// What the cut has sealed is archived at once. Whether it is, publish asks.
	if log := c.db.log.Load(); log != nil && j.rotated && !j.apart && !j.startLog && log.WaitCut() == nil {
		c.sealed(j.next.ID)
	}
}

// divide rotates the log and makes the cut, while nobody else does.
func (c *checkpointer) divide(j *job) ([]*keyspace.View, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	log := c.db.log.Load()
	j.apart = log != nil && !log.Healthy()
	next, err := c.rotate(log != nil || j.startLog, !j.startLog && !j.apart)
	j.next = next
	if err != nil {
		j.unsure = errors.Is(err, manifest.ErrUnknownOutcome)
		if j.kind == sink.KindRewrite || j.startLog || j.apart || log == nil || j.unsure {
			return nil, fmt.Errorf("rotating the log: %w", err)
		}
		c.log.Warn("rotating the log failed; the snapshot is written and the log kept whole", "job", j.id, "error", err)
	}
	j.enter("cut")
	views, err := c.cut(j)
	if err != nil {
		return nil, fmt.Errorf("freezing the keyspace: %w", err)
	}
	return views, nil
}

// retireLog takes the log out of service unless it is wanted again, or a job is
// in flight, which may have divided it; one that begins meanwhile finds no log.
// It tells whether it did.
func (c *checkpointer) retireLog() bool {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.inFlight() != nil {
		return false
	}
	return c.db.stopLog(true)
}

// fail reports an error from before the workers had anything to do.
func (c *checkpointer) fail(j *job, err error) {
	c.done <- completion{job: j, shard: -1, err: err}
}

// cut is the barrier: with every shard locked, the log is switched and every
// shard frozen, so that no append can land between them.
func (c *checkpointer) cut(j *job) ([]*keyspace.View, error) {
	db := c.db
	log := db.log.Load()
	var opened *wal.Log
	if j.startLog {
		l, err := db.openLog(j.next.Path, db.lastSeq)
		if err != nil {
			return nil, err
		}
		opened = l
	}
	db.gate.RLock()
	defer db.gate.RUnlock()
	db.lockAll()
	start := db.clock.Now()
	views := make([]*keyspace.View, db.ks.NumShards())
	giveUp := func(frozen []*keyspace.View, err error) ([]*keyspace.View, error) {
		db.unlockAll()
		for _, v := range frozen {
			v.Release()
		}
		if opened != nil {
			_ = opened.Close()
		}
		return nil, err
	}
	if log != nil && !log.Healthy() && !j.apart {
		return giveUp(nil, fmt.Errorf("the log has failed meanwhile: %w", log.Err()))
	}
	for i := range views {
		v, err := db.ks.Shard(i).Freeze()
		if err != nil {
			return giveUp(views[:i], err)
		}
		views[i] = v
		j.total.Add(v.Keys())
	}
	switch {
	case opened != nil:
		db.log.Store(opened)
		j.rotated = true
	case log != nil && j.next.Path != "":
		if !log.Healthy() {
			// Whoever has not met the failure yet must not be
			// acknowledged before the commit.
			db.fail(log.Err())
		}
		log.Cut(j.next.Path)
		j.rotated = true
	}
	// The log may be whole while writes are refused: it was mended by a cut
	// whose job failed, or it was switched off.
	j.dirty = db.dirty.Load()
	took := db.clock.Now().Sub(start)
	j.cutAt = start
	db.unlockAll()

	c.mu.Lock()
	c.freeze = took
	c.mu.Unlock()
	db.latency.Note("freeze", took, start)
	c.log.Debug("cut", "job", j.id, "keys", j.total.Load(), "freeze", took, "segment", j.next.Path)
	return views, nil
}

// apply takes in what workers and the publisher have finished. It is called by
// the tick and by whoever waits for a job; it never blocks on a job.
func (c *checkpointer) apply() {
	c.pump.Lock()
	defer c.pump.Unlock()
	for {
		select {
		case d := <-c.done:
			c.complete(d)
		default:
			return
		}
	}
}

func (c *checkpointer) complete(d completion) {
	j := d.job
	if d.err != nil && j.err == nil {
		j.err = d.err
		j.cancel() // the other parts are not needed any more
	}
	switch {
	case d.published:
		c.finish(j, c.commit(j))
		return
	case d.shard < 0:
		c.finish(j, j.err)
		return
	}
	j.parts[d.shard] = d.part
	if j.left--; j.left > 0 {
		return
	}
	if j.err != nil {
		c.finish(j, j.err)
		return
	}
	j.enter("publish")
	c.bg.Add(1)
	go func() {
		defer c.bg.Done()
		c.done <- completion{job: j, published: true, err: c.publish(j)}
	}()
}

// publish makes the complete set visible in every required sink and waits
// until the log has really switched to the segment that follows the cut.
func (c *checkpointer) publish(j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("publishing the checkpoint: panic: %v", p)
		}
	}()
	switch log := c.db.log.Load(); {
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
	return c.pipe.Publish(j.ctx, c.set(j))
}

// set is the checkpoint that the job has made, with what a restore needs to
// find the log that follows it.
func (c *checkpointer) set(j *job) sink.Set {
	m := c.current()
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
		Stages:    c.pipe.StageRecords(),
		Parts:     j.parts,
		Meta:      meta,
	}
}

// finish ends the job, rolls back what it staged if it failed, and tells who waits.
func (c *checkpointer) finish(j *job, err error) {
	j.cancel()
	now := c.db.clock.Now()
	took := now.Sub(j.began)
	if err != nil {
		c.rollback(j, err)
	}
	c.mu.Lock()
	o := outcome{err: err, took: took, keys: j.progress.Keys.Load(), ran: true}
	held := c.db.savesHoldWrites()
	known := c.note(j, o, now)
	if err == nil {
		c.lastSave = j.cutAt
		c.saves.Add(1)
	}
	c.job = nil
	waiters, scheduled := j.waiters, c.scheduled
	c.scheduled = ""
	c.mu.Unlock()

	if err != nil {
		level := hclog.Error
		if known {
			level = j.level(level)
		}
		c.log.Log(level, "checkpoint failed; the previous one and the log are untouched", "job", j.id, "kind", j.kind, "generation", j.gen, "error", err)
	} else {
		c.log.Info("checkpoint committed", "job", j.id, "kind", j.kind, "generation", j.gen,
			"keys", o.keys, "bytes", j.progress.StoredBytes.Load(), "raw_bytes", j.progress.RawBytes.Load(), "took", took.Round(time.Millisecond))
	}
	c.db.noteHeld(held)
	for _, w := range waiters {
		w <- err
	}
	if scheduled != "" {
		if _, err := c.start(context.Background(), scheduled, "scheduled while another was in flight", false); err != nil {
			c.log.Warn("scheduled checkpoint skipped", "kind", scheduled, "error", err)
		}
	}
}

// wait blocks until the job behind out has ended, applying completions itself
// so that it needs no tick.
func (c *checkpointer) wait(out <-chan error) error {
	for {
		select {
		case err := <-out:
			return err
		case d := <-c.done:
			c.pump.Lock()
			c.complete(d)
			c.pump.Unlock()
		}
	}
}

// inFlight returns the job in flight, or nil.
func (c *checkpointer) inFlight() *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.job
}

// close refuses further jobs, cancels the one in flight and waits for every
// goroutine.
func (c *checkpointer) close() {
	c.mu.Lock()
	c.closed = true
	c.scheduled = ""
	j := c.job
	var out chan error
	if j != nil {
		out = make(chan error, 1)
		j.waiters = append(j.waiters, out)
		j.cancel()
	}
	c.mu.Unlock()
	if out != nil {
		_ = c.wait(out) // reported by finish
	}
	for _, w := range c.workers {
		w.stop()
	}
	c.pipe.Close()
	c.archive.close()
	c.bg.Wait()
}
