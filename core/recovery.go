package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// Recovery is what Open found on disk and did about it.
type Recovery struct {
	Generation uint64        // of the base, 0 without one
	Parts      int           // of the base
	Keys       int64         // loaded from the base
	Segments   int           // of the log
	Blocks     int64         // replayed
	Commands   int64         // replayed
	SetAside   []string      // files that hold torn tails cut off the log
	Swept      []string      // leftovers removed
	BaseBytes  int64         // of the base, as it was encoded
	BaseTook   time.Duration // to load the base
	LogBytes   int64         // of the segments
	LogTook    time.Duration // to replay them
	Took       time.Duration // all of it
}

// recover brings the keyspace back: manifest, base, log. Nothing on disk
// changes before all of it is loaded, and the sinks hold nothing that speaks
// against it; then a torn tail is set aside and cut, and what no manifest names
// is swept.
func (db *DB) recover(ctx context.Context) error {
	start := db.clock.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	held := db.persist.Survey(ctx)
	m, err := db.persist.LoadManifest()
	if errors.Is(err, fs.ErrNotExist) {
		if err := db.refuseOrphans(); err != nil {
			return repair.Damaged(err, nil)
		}
		m = &manifest.Manifest{NextGeneration: 1, NextSegment: 1}
	} else if err != nil {
		return repair.Damaged(err, nil)
	}
	tails, err := db.load(ctx, m)
	if err != nil {
		return repair.Damaged(err, m)
	}
	onDisk := m
	r := &db.recovered
	found := persist.Recovered{Empty: r.Keys == 0 && r.Commands == 0, LastSeq: db.lastSeq}
	if m, err = db.persist.Settle(m, held, found); err != nil {
		return err
	}
	for _, t := range tails {
		if err := db.secureTail(t); err != nil {
			return err
		}
	}
	swept, err := db.persist.Accept(onDisk)
	if err != nil {
		return err
	}
	r.Swept = swept
	r.Took = db.clock.Now().Sub(start)
	if m.Base != nil || len(m.Segments) > 0 {
		db.logger.Info("recovered", "generation", r.Generation, "keys", r.Keys, "base_bytes", r.BaseBytes, "base_took", r.BaseTook.Round(time.Millisecond),
			"segments", r.Segments, "blocks", r.Blocks, "commands", r.Commands, "log_bytes", r.LogBytes, "log_took", r.LogTook.Round(time.Millisecond),
			"swept", len(swept), "took", r.Took.Round(time.Millisecond))
	} else {
		db.logger.Info("nothing to load: the data directory is empty", "took", r.Took.Round(time.Millisecond))
	}
	return nil
}

// refuseOrphans stops a start in a directory that has data but no manifest:
// going on would take it for empty and sweep it. A first start that died
// before its first commit leaves an empty segment at most.
func (db *DB) refuseOrphans() error {
	orphan := ""
	for _, dir := range []string{manifest.LogDir, sink.SetsDir} {
		err := afero.Walk(db.fs, dir, func(path string, info fs.FileInfo, err error) error {
			if err != nil {
				return err
			}
			switch {
			case info.IsDir():
			case dir == manifest.LogDir && strings.HasSuffix(path, ".aof"):
				if wal.MayHoldBlocks(db.fs, path) {
					orphan = path
				}
			case strings.HasSuffix(path, sink.SetFile):
				orphan = path
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for data without a manifest: %w", err)
		}
	}
	if orphan != "" {
		return fmt.Errorf("%w, but %s holds data; put it back or start in an empty directory", repair.ErrNoManifest, orphan)
	}
	return nil
}

// logTail is a segment that the log may end in, and how it was found.
type logTail struct {
	path string
	res  wal.Result
}

// secureTail makes what was replayed durable, and sets a torn tail aside.
func (db *DB) secureTail(t logTail) error {
	if err := wal.Harden(db.fs, t.path, t.res.SafeOffset, t.res.GoodOffset); err != nil {
		return err
	}
	if !t.res.Torn {
		return nil
	}
	aside, err := wal.RepairTail(db.fs, t.path, t.res.GoodOffset, db.clock.Now())
	if err != nil {
		return fmt.Errorf("cutting the torn tail of %s at %d: %w", t.path, t.res.GoodOffset, err)
	}
	db.recovered.SetAside = append(db.recovered.SetAside, aside)
	db.logger.Warn("the log ended in a torn block: it was set aside and cut off", "segment", t.path,
		"offset", t.res.GoodOffset, "bytes", t.res.Size-t.res.GoodOffset, "reason", t.res.TornReason, "kept_in", aside)
	return nil
}

// load reads the base and replays the log of m into the (empty) keyspace, until
// ctx ends. It changes nothing on disk.
func (db *DB) load(ctx context.Context, m *manifest.Manifest) ([]logTail, error) {
	db.recovered = Recovery{}
	r, progress := &db.recovered, db.progress()
	if m.Base != nil {
		progress.total.Add(m.Base.RawBytes())
	}
	for _, s := range m.Segments {
		if st, err := db.fs.Stat(s.Path); err == nil {
			progress.total.Add(st.Size())
		}
	}
	db.ks.Expect(progress.total.Load())
	began := db.clock.Now()
	if m.Base != nil {
		r.Generation, r.Parts, r.BaseBytes = m.Base.ID.Generation, len(m.Base.Parts), m.Base.RawBytes()
		keys, err := db.loadBase(ctx, m.Base, progress)
		if err != nil {
			return nil, err
		}
		r.Keys = keys
	}
	loaded := db.clock.Now()
	tails, err := db.replayLog(ctx, m, progress)
	r.BaseTook, r.LogTook = loaded.Sub(began), db.clock.Now().Sub(loaded)
	return tails, err
}

// loadBase loads every part, several at a time: any number of parts loads
// into any number of shards.
func (db *DB) loadBase(ctx context.Context, set *sink.Set, progress *loading) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    sync.WaitGroup
		limit = make(chan struct{}, max(1, db.ks.NumShards()))
		mu    sync.Mutex
		first error
		keys  int64
	)
	for _, p := range set.Parts {
		wg.Add(1)
		limit <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-limit }()
			n, err := db.loadPart(ctx, set, p, progress)
			mu.Lock()
			defer mu.Unlock()
			keys += n
			if err != nil && first == nil {
				first = fmt.Errorf("loading %s/%s: %w", manifest.SetDir(set.ID), p.Part.Name, err)
				cancel()
			}
		}()
	}
	wg.Wait()
	return keys, first
}

// loadPart reads one part of the base back through the stages it went through.
func (db *DB) loadPart(ctx context.Context, set *sink.Set, p sink.SetPart, progress *loading) (keys int64, err error) {
	var followed error
	err = db.persist.ReadPart(ctx, p, func(r io.Reader) error {
		r = progress.reader(r)
		if set.ID.Kind == sink.KindRewrite {
			return apply.Rewrite(db.ks, r, p.Part.Name)
		}
		into := db.ks.NewLoader()
		err := rdb.Read(r, rdb.Handler{
			Packed: true,
			Aux: func(key, value []byte) {
				if string(key) == keyspace.AuxFollowing {
					followed = command.SetFollowing(db.ks, string(value))
				}
			},
			Function: func(code []byte) error { return command.LoadLibrary(db.ks, code) },
			Object: func(o *rdb.Object) error {
				if o.DB >= db.opts.Databases {
					return fmt.Errorf("key %q is in database %d, but only %d are configured", o.Key, o.DB, db.opts.Databases)
				}
				if !o.More {
					keys++
				}
				return into.Load(o)
			},
		})
		if err != nil {
			into.Abort()
			return err
		}
		into.Flush()
		return nil
	})
	if err == nil {
		err = followed
	}
	if err == nil && set.ID.Kind == sink.KindRewrite {
		keys = p.Keys
	}
	return keys, err
}

// replayLog applies the segments behind the base. Only the last one that has
// blocks may end in a torn tail: one is left behind by a crash between the
// rotation and the first append to the new segment as well.
func (db *DB) replayLog(ctx context.Context, m *manifest.Manifest, progress *loading) ([]logTail, error) {
	last, err := repair.LastWithBlocks(db.fs, m)
	if err != nil {
		return nil, fmt.Errorf("replaying the log: %w", err)
	}
	a := apply.New(db.ks, apply.Options{})
	defer a.Close()
	var tails []logTail
	seq := uint64(0)
	for i, s := range m.Segments {
		at := int64(0) // how much of the segment is counted
		read := func(to int64) {
			progress.done.Add(to - at)
			at = to
		}
		res, err := wal.Replay(db.fs, s.Path, wal.ReplayOptions{Last: i >= last, ID: s.LogID, StartSeq: seq, Logger: db.logger}, func(b wal.Block) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			read(b.Offset)
			return a.Block(s.Path, b)
		})
		if err == nil {
			err = a.Wait()
		}
		if err != nil {
			return nil, fmt.Errorf("replaying the log: %w", err)
		}
		seq = res.LastSeq
		read(res.Size)
		r := &db.recovered
		r.Segments++
		r.LogBytes += res.Size
		r.Blocks += res.Blocks
		r.Commands += res.Commands
		if i >= last {
			tails = append(tails, logTail{s.Path, res})
		}
	}
	db.lastSeq = seq
	return tails, nil
}
