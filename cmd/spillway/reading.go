package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/vfs"
)

// reading is a backup's state at a moment as one RDB file. A checkpoint alone is
// merged as it is read. Where a log follows it, an engine executes that on a plain copy
// of both in a directory of its own, with all keys in memory.
type reading struct {
	src      *source
	p        *backup.Point
	tmp      string // where that directory is made, "" for the system's
	parallel int
}

// moment is what the time is there: what was asked for, or else that of the last write.
// Keys whose deadline had not come by then are there.
func (r *reading) moment() time.Time {
	if at := r.p.At.Time; !at.IsZero() && r.p.Short == nil {
		return at
	}
	return r.p.Reach
}

// writeRDB returns how many keys it has written. What was written is to be thrown away
// after an error.
func (r *reading) writeRDB(ctx context.Context, w io.Writer, progress *backup.Progress) (keys int64, err error) {
	if r.p.Mergeable() {
		keys, err = backup.WriteRDB(ctx, backup.Counted(r.src, progress), r.p, r.src.stages, rdb.HeaderAt(r.p.Set.CreatedAt), w)
	} else {
		keys, err = r.byEngine(ctx, w, progress)
	}
	return keys, r.retired(err)
}

// retired adds to an error what to do when an engine that runs on the directory has
// removed what was being read.
func (r *reading) retired(err error) error {
	if errors.Is(err, fs.ErrNotExist) && r.src.data != nil {
		return fmt.Errorf("%w\nAn engine that runs on the directory has retired it meanwhile: run the command again", err)
	}
	return err
}

func (r *reading) byEngine(ctx context.Context, w io.Writer, progress *backup.Progress) (keys int64, err error) {
	dir, err := os.MkdirTemp(r.tmp, ".spillway-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data, err := config.OpenFS(dir)
	if err != nil {
		return 0, err
	}
	_, err = backup.Restore(ctx, data, r.src, r.p, backup.Options{
		Stages: r.src.stages, Plain: true, Parallel: r.parallel, Now: time.Now, Logger: r.src.log, Progress: progress,
	})
	if err != nil {
		return 0, err
	}
	return r.loadAndWrite(ctx, data, w)
}

// loadAndWrite has an engine load a directory and writes its keys.
func (r *reading) loadAndWrite(ctx context.Context, data vfs.FS, w io.Writer) (keys int64, err error) {
	db, err := r.load(ctx, data, r.moment())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.WriteRDB(w)
}

// load has an engine load a directory without stages, which it does not change, at a
// moment. The caller closes it.
func (r *reading) load(ctx context.Context, data vfs.FS, at time.Time) (*core.DB, error) {
	s := r.src.cfg.Engine
	db, err := core.Prepare(core.Options{
		FS: data, Shards: s.Shards, Databases: max(s.Databases, 1024), ReadOnly: true, ManualTick: true,
		Clock: stopped{at: at}, Logger: r.src.log, Version: version,
	})
	if err != nil {
		return nil, err
	}
	if err := db.Recover(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// stopped is a clock that stands at the moment that is read: what had a deadline later
// than that is there.
type stopped struct{ at time.Time }

func (c stopped) Now() time.Time { return c.at }

func (stopped) NewTicker(d time.Duration) (ticks <-chan time.Time, stop func()) {
	return core.SystemClock{}.NewTicker(d)
}
