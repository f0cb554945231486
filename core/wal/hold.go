package wal

// watch is called at every beat, which is when what was appended before the one
// before should be durable under EverySec. Where it is not, because a write or
// an fsync has not returned for a second, writes are held back until it is: what
// a power loss takes stays bounded, however long the disk takes. Redis does so,
// too, after as long.
func (l *Log) watch() {
	due := l.due
	l.due = 0
	if l.Policy() != EverySec || !l.Healthy() {
		return // nobody fsyncs
	}
	l.due = l.Mark()
	if l.synced.Load() >= due {
		return
	}
	if l.overdue.Swap(due) <= l.synced.Load() {
		l.logger.Warn("the disk takes longer than a second to fsync the log; writes wait for it")
	}
}

// hold has the caller wait while something is overdue under EverySec. The caller
// holds no locks.
func (l *Log) hold() {
	mark := l.overdue.Load()
	if mark <= l.synced.Load() || l.Policy() != EverySec {
		return
	}
	if l.written.Load() < mark {
		l.lead(never, false)
	}
	l.fsync(mark)
}
