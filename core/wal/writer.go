package wal

import (
	"time"
)

const (
	syncEvery  = time.Second
	writeEvery = time.Millisecond
	slowSync   = time.Second
	idleTicks  = 20 // of writeEvery without work, after which the writer sleeps
)

// round gathers everything appended so far and writes it, as one block unless
// a cut divides it; with sync it is durable afterwards. The caller holds the
// baton. Failures are the log's.
func (l *Log) round(sync bool) {
	items, gen := l.gather()
	ok, size := true, 0
	for i := range items {
		it := &items[i]
		size += len(it.run.buf)
		switch {
		case !ok:
		case it.cut != nil:
			ok = (it.cut.heal || l.writeBlock()) && l.switchTo(it.cut)
		default:
			l.seg.appendRun(&it.run)
		}
	}
	ok = ok && l.writeBlock()
	if !ok {
		l.seg.scratch = l.seg.scratch[:0]
	}
	l.recycle(items, size)
	if !ok || l.failure.Load() != nil {
		return
	}
	l.written.Store(gen)
	if sync {
		l.fsync(never)
	}
}

// gather closes the open generation and takes all of it, at one instant.
func (l *Log) gather() ([]item, uint64) {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	l.lockBuffers()
	defer l.unlockBuffers()
	gen := l.gen.Load()
	if !l.dirty.Load() {
		return nil, gen - 1
	}
	for i := range l.buffers {
		b := &l.buffers[i]
		l.count(b)
		b.counted = 0
		q.handOver(b)
	}
	items := q.items
	q.items = q.spare
	q.spare = nil
	l.gen.Store(gen + 1)
	l.dirty.Store(false) // after gen, see Mark
	return items, gen
}

func (l *Log) recycle(items []item, size int) {
	if items == nil {
		return
	}
	q := &l.queue
	q.mu.Lock()
	for i := range items {
		q.give(items[i].run.buf)
	}
	clear(items)
	q.spare = items[:0]
	if l.failure.Load() == nil {
		l.pending.Add(-int64(size))
	}
	q.mu.Unlock()
}

func (l *Log) writeBlock() bool {
	if l.failure.Load() != nil {
		return false // an fsync failed meanwhile: the file is not to be written to
	}
	n, err := l.seg.writeBlock(l.clock.Now().UnixMilli(), l.syncedSeq.Load())
	l.counters.segmentBytes.Store(l.seg.size)
	if err != nil {
		l.broke("write", err)
		return false
	}
	if n > 0 {
		l.counters.blocks.Add(1)
		l.counters.totalBytes.Add(n)
		l.counters.lastSeq.Store(int64(l.seg.seq))
	}
	return true
}

// fsync makes durable what was written before the call, or leaves it at mark if
// that is durable when its turn has come. It needs no baton.
func (l *Log) fsync(mark uint64) bool {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if l.synced.Load() >= mark {
		return true
	}
	if l.failure.Load() != nil {
		return false // perhaps by losing the very pages that this fsync would not miss
	}
	gen, seq := l.written.Load(), uint64(l.counters.lastSeq.Load())
	if seq != l.syncedSeq.Load() && !l.fsyncFile() {
		return false
	}
	l.syncedSeq.Store(seq)
	l.synced.Store(gen)
	return true
}

// fsyncFile is fsync(2) with its accounts. The caller holds syncMu.
func (l *Log) fsyncFile() bool {
	start, size := l.clock.Now(), l.counters.segmentBytes.Load()
	err := l.seg.file.Sync()
	took := l.clock.Now().Sub(start)
	l.counters.fsyncs.Add(1)
	l.counters.lastSync.Store(int64(took))
	if took > slowSync {
		l.counters.delayed.Add(1)
	}
	if err != nil {
		l.broke("fsync", err)
		return false
	}
	l.syncedBytes.Store(size)
	return true
}

// broke makes err the log's failure, unless there is one.
func (l *Log) broke(op string, err error) {
	f := &FailedError{Path: l.seg.path, Op: op, Err: err}
	if l.fail(f, false) {
		l.logger.Error("the log has failed", "segment", f.Path, "op", op, "error", err)
	}
}

// sealSegment makes the segment durable and says so in it, so that any damage
// to it will be known from a torn tail.
func (l *Log) sealSegment() bool {
	if !l.fsync(never) {
		return false
	}
	if seq := l.syncedSeq.Load(); l.seg.marked < seq {
		err := l.seg.writeMark(seq)
		l.counters.segmentBytes.Store(l.seg.size)
		if err != nil {
			l.broke("write", err)
			return false
		}
	}
	if l.syncedBytes.Load() == l.seg.size {
		return true
	}
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	return l.failure.Load() == nil && l.fsyncFile()
}

// switchTo carries out a cut.
func (l *Log) switchTo(c *cut) bool {
	if !c.heal && !l.sealSegment() {
		return false
	}
	next, seq := l.seg, l.seg.seq
	if c.heal {
		seq++ // a gap, since nobody knows what of the old segment survives
	}
	err := next.open(l.fs, c.path, seq)
	l.syncMu.Lock()
	if err == nil {
		err = next.file.Sync()
		if err != nil {
			_ = next.file.Close()
		}
	}
	if err != nil {
		l.syncMu.Unlock()
		f := &FailedError{Path: c.path, Op: "open", Err: err}
		l.fail(f, true)
		l.logger.Error("the log could not go on in its next segment", "segment", f.Path, "error", err)
		return false
	}
	old := l.seg.file
	l.seg = next
	l.syncedSeq.Store(l.seg.seq)
	l.syncedBytes.Store(l.seg.size)
	l.counters.segmentBytes.Store(l.seg.size)
	l.counters.headBytes.Store(l.seg.head)
	if c.heal {
		l.failure.Store(nil)
	}
	l.syncMu.Unlock()
	if err := old.Close(); err != nil && !c.heal {
		l.logger.Warn("closing a finished log segment", "error", err)
	}
	l.cutMu.Lock()
	l.cutsOK = max(l.cutsOK, c.n)
	l.cutMu.Unlock()
	l.logger.Debug("log switched", "segment", c.path, "after", l.seg.seq, "healed", c.heal)
	return true
}

// kick wakes the writer if there is something to write.
func (l *Log) kick() {
	if l.idle.Load() && l.dirty.Load() && l.idle.CompareAndSwap(true, false) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// writeLoop writes what was appended under EverySec and No: at once when it
// was asleep, then at most every millisecond, so that a block holds what many
// commands appended.
func (l *Log) writeLoop() {
	defer l.loops.Done()
	for {
		select {
		case <-l.quit:
			return
		case <-l.wake:
		}
		if !l.writeWhileBusy() {
			return
		}
	}
}

func (l *Log) writeWhileBusy() (goOn bool) {
	l.lead(never, false)
	ticks, stop := l.clock.NewTicker(writeEvery)
	defer stop()
	for quiet := 0; ; {
		select {
		case <-l.quit:
			return false
		case <-ticks:
		}
		// Under Always those who wait in Commit write.
		switch {
		case l.dirty.Load() && l.Policy() != Always:
			quiet = 0
			l.lead(never, false)
		case quiet < idleTicks:
			quiet++
		default:
			l.idle.Store(true)
			if !l.dirty.Load() || l.Policy() == Always || !l.idle.CompareAndSwap(true, false) {
				return true
			}
			quiet = 0
		}
	}
}

// beatLoop gives the beat of tickLoop, and never waits for the disk.
func (l *Log) beatLoop() {
	defer l.loops.Done()
	ticks, stop := l.clock.NewTicker(syncEvery)
	defer stop()
	for {
		select {
		case <-l.quit:
			return
		case <-ticks:
		}
		l.watch()
		select {
		case l.beat <- struct{}{}:
		default: // it is late already
		}
	}
}

// tickLoop does once a second what nobody may be waiting for: the fsync of
// EverySec, appends without a Commit, and the mark of a log gone quiet.
func (l *Log) tickLoop() {
	defer l.loops.Done()
	for {
		select {
		case <-l.quit:
			return
		case <-l.beat:
			l.tick()
		}
	}
}

func (l *Log) tick() {
	p := l.Policy()
	busy := l.dirty.Load()
	if busy {
		// Under Always this is what expiry and the like appended.
		if p == Always {
			l.lead(l.Mark(), true)
		} else {
			l.lead(never, false)
		}
	}
	if p != No {
		l.fsync(never)
	}
	if !busy && p != No {
		l.take()
		if seq := l.syncedSeq.Load(); l.failure.Load() == nil && seq == l.seg.seq && l.seg.marked < seq {
			if err := l.seg.writeMark(seq); err != nil {
				l.broke("write", err)
			}
			l.counters.segmentBytes.Store(l.seg.size)
		}
		l.release()
	}
}
