package wal

func (f *logFile) cut(path string) {
	o := f.order
	q := &o.queue
	q.mu.Lock()
	o.lockBuffers()
	f.cuts++
	c := &nextSegment{n: f.cuts, path: path}
	if f.closed || f.member.until.Load() != 0 {
		o.unlockBuffers()
		q.mu.Unlock()
		return // WaitCut will say so
	}
	if m := f.member; !m.counted { // it has failed
		c.heal = true
		c.skipped = o.admit()
		m.counted = true
		lost := *m.lost.Load()
		lost.upTo = o.gen.Load()
		m.lost.Store(&lost)
		o.gen.Add(1)
	}
	o.divide(func() { f.switchTo(c) })
	o.unlockBuffers()
	q.mu.Unlock()
	o.kick()
}

func (f *logFile) waitCut() error {
	q := &f.order.queue
	q.mu.Lock()
	n := f.cuts
	q.mu.Unlock()
	f.order.lead(never, false)
	f.cutMu.Lock()
	defer f.cutMu.Unlock()
	if f.cutBad.has(n) {
		return f.cutErr
	}
	if f.cutsOK < n {
		return ErrClosed
	}
	return nil
}

// over tells whether a cut has come to nothing before its turn.
func (f *logFile) over(c *nextSegment) bool {
	f.cutMu.Lock()
	defer f.cutMu.Unlock()
	return c.n <= f.cutsOK
}

// switchTo carries out a cut. The caller leads.
func (f *logFile) switchTo(c *nextSegment) {
	o := f.order
	if c.heal {
		// Nobody knows what of the old segment survives. A number between the two
		// that neither has says so.
		o.seq.Add(c.skipped)
		o.skipNumber()
	}
	if f.over(c) || !c.heal && !f.seal() {
		return
	}
	next := f.seg
	err := next.open(f.fs, c.path, o.seq.Load())
	f.syncMu.Lock()
	if err == nil {
		err = f.syncSegment(next.file)
		if err != nil {
			_ = next.file.Close()
		}
	}
	if err != nil {
		f.syncMu.Unlock()
		e := &FailedError{Path: c.path, Op: "open", Err: err}
		f.fail(e, true)
		f.logger.Error("the log could not go on in its next segment", "segment", e.Path, "error", err)
		return
	}
	old := f.seg.file
	f.seg = next
	f.installed()
	if c.heal {
		f.member.active = true
		f.member.failure.Store(nil)
	}
	f.syncMu.Unlock()
	if err := old.Close(); err != nil && !c.heal {
		f.logger.Warn("closing a finished log segment", "error", err)
	}
	f.cutMu.Lock()
	f.cutsOK = max(f.cutsOK, c.n)
	f.cutMu.Unlock()
	f.logger.Debug("log switched", "segment", c.path, "after", f.seg.seq, "healed", c.heal)
}

// seal makes the segment durable and says so in it, so that any damage to it
// will be known from a torn tail. The caller leads.
func (f *logFile) seal() bool {
	if !f.fsync(never) {
		return false
	}
	if seq := f.syncedSeq.Load(); f.seg.marked < seq && !f.writeMark(seq) {
		return false
	}
	if f.syncedBytes.Load() == f.seg.size {
		return true
	}
	f.syncMu.Lock()
	defer f.syncMu.Unlock()
	return f.member.failure.Load() == nil && f.fsyncFile()
}
