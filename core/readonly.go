package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/vfs"
)

// errReadOnlyWrite is the reply to a write; clients know it by its code.
const errReadOnlyWrite = "READONLY You can't write against a read only server."

// readOnly turns off everything that writes or has something written: the data
// directory itself can only be read, the log and the save points are off, and no
// sink is known.
func (o Options) readOnly() Options {
	if o.FS != nil {
		o.FS = vfs.ReadOnly(o.FS)
	}
	o.NoLog, o.Save, o.Targets, o.Archive = true, nil, nil, Archive{}
	return o
}

// lookTries is how often a look begins again because an engine that runs on the
// directory has gone on meanwhile.
const lookTries = 5

// recoverReadOnly is recover for a directory that is only looked at. No lock is
// held, so an engine may be running on it, and may replace what is being read:
// then it is read again.
func (db *DB) recoverReadOnly(ctx context.Context) (*manifest.Manifest, error) {
	start := db.clock.Now()
	for try := 1; ; try++ {
		before := db.glance()
		m, err := db.loadReadOnly(ctx)
		if err == nil {
			r := &db.recovered
			r.Took = db.clock.Now().Sub(start)
			db.logger.Info("read", "generation", r.Generation, "keys", r.Keys, "segments", r.Segments,
				"blocks", r.Blocks, "commands", r.Commands, "took", r.Took.Round(time.Millisecond))
			return m, nil
		}
		if ctx.Err() != nil || !errors.Is(err, errMovedOn) && db.glance() == before {
			return nil, err
		}
		if try == lookTries {
			return nil, fmt.Errorf("%w\nAn engine that runs on the directory goes on faster than it can be read: try again, or restore a backup elsewhere and look into that", err)
		}
		db.logger.Info("the directory has changed while it was read: reading it again", "why", err)
		db.ks.Empty()
		db.loading.Store(&loading{began: start})
	}
}

// errMovedOn is a log that was continued in its next segment while it was read.
var errMovedOn = errors.New("an engine has gone on in another segment of the log meanwhile")

// loadReadOnly is load that changes nothing on disk, with what follows on it.
func (db *DB) loadReadOnly(ctx context.Context) (*manifest.Manifest, error) {
	m, err := manifest.Read(db.fs)
	if err != nil {
		return nil, repair.Damaged(err, nil)
	}
	tails, err := db.load(ctx, m)
	if err != nil {
		return nil, repair.Damaged(err, m)
	}
	for i, t := range tails {
		if i > 0 && t.res.Blocks > 0 {
			return nil, errMovedOn // the one before was last when it was read
		}
	}
	for _, t := range tails {
		if t.res.Torn {
			db.logger.Warn("the log ends in a block that is not whole: what is in it is not shown, and the file is left as it is",
				"segment", t.path, "offset", t.res.GoodOffset, "bytes", t.res.Size-t.res.GoodOffset, "reason", t.res.TornReason)
		}
	}
	return m, nil
}

// glance is what the directory holds, as far as the manifest names it: two that
// are alike mean that nobody has written in between.
func (db *DB) glance() string {
	data, err := vfs.ReadFile(db.fs, manifest.FileName)
	if err != nil {
		return err.Error()
	}
	m, err := manifest.Decode(manifest.FileName, data)
	if err != nil {
		return string(data)
	}
	var b strings.Builder
	b.Write(data)
	for _, s := range m.Segments {
		st, err := db.fs.Stat(s.Path)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", s.Path, err)
			continue
		}
		fmt.Fprintf(&b, "%s: %d bytes\n", s.Path, st.Size())
	}
	return b.String()
}
