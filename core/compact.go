package core

// compact moves keys together where deletions have left them far apart, so that the
// memory between them goes back to the system: a few per lock hold, for at most a
// share of the tick. See keyspace.DB.Compact.
func (db *DB) compact() {
	work := db.allow(compactBudget)
	worked := false
	defer func() {
		if worked {
			db.stats.CompactTime.Add(int64(work.total()))
		}
	}()
	for i := range db.ks.NumShards() {
		for n := range db.opts.Databases {
			for db.compactSome(i, n) {
				worked = true
				if !work.goesOn() {
					db.stats.Compacting.Store(true)
					return
				}
			}
		}
	}
	db.stats.Compacting.Store(false)
}

// compactSome does a part of the work in one database of a shard and tells whether
// there is more.
func (db *DB) compactSome(shard, n int) (more bool) {
	s := db.ks.Shard(shard)
	if !s.LockUnlessBusy() {
		return false // the next tick comes
	}
	defer s.Unlock()
	moved, more := s.DB(n).Compact(compactKeysPerLock)
	db.stats.MovedKeys.Add(int64(moved))
	return more
}
