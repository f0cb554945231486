package wal

// watch is called at every beat, which is when what was appended before the one
// before should be durable under EverySec. Where it is not, because a write or
// an fsync has not returned for a second, writes are held back until it is: what
// a power loss takes stays bounded, however long the disk takes. Redis does so,
// too, after as long.
func (f *logFile) watch() {
	due := f.due
	f.due = 0
	if f.Policy() != EverySec || f.member.failure.Load() != nil {
		return // nobody fsyncs
	}
	f.due = f.order.Mark()
	if until := f.member.until.Load(); until != 0 {
		f.due = min(f.due, until)
	}
	if f.member.synced.Load() >= due {
		return
	}
	if f.overdue.Swap(due) <= f.member.synced.Load() {
		f.logger.Warn("the disk takes longer than a second to fsync the log; writes wait for it")
	}
}

// hold has the caller wait while something is overdue under EverySec. The caller
// holds no locks.
func (f *logFile) hold() {
	mark := f.overdue.Load()
	if mark <= f.member.synced.Load() || f.Policy() != EverySec {
		return
	}
	if f.member.written.Load() < mark {
		f.order.lead(never, false)
	}
	f.fsync(mark)
}
