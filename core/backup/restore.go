package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// Options tune Restore. Now must be set; everything else may be left zero.
type Options struct {
	// Stages undo what the source's bytes went through: of segments always,
	// of parts where Plain is set.
	Stages *sink.Registry
	// Plain stores the parts as the encoder wrote them, so that an engine
	// without any stage can start. Otherwise they stay as they are stored.
	Plain bool
	// Parallel bounds how many parts and segments are fetched at once; 0 is 4. Up to
	// four small ones count as one, unless it is 1.
	Parallel int
	// Attempts is how often a part is fetched that fails for a reason that
	// may pass; 0 is 4. The wait between two grows from Backoff, 0 is a second.
	Attempts int
	Backoff  time.Duration
	// Restart lets a restore begin anew in a directory where the restore of
	// another point did not come to its end.
	Restart bool
	// Command is what an operator runs to go on after a failure.
	Command string
	// CreatedBy goes into the manifest.
	CreatedBy string
	// Now dates what is written.
	Now func() time.Time
	// Logger gets one line per retry; nil discards.
	Logger hclog.Logger
	// Progress counts what is done; nil for none.
	Progress *Progress
}

// Progress counts bytes, as they are stored in the source. It may be read from
// any goroutine.
type Progress struct{ Done, Total atomic.Int64 }

// Result is what Restore has made.
type Result struct {
	Set      sink.SetID `json:"set"`
	Parts    int        `json:"parts"`
	Keys     int64      `json:"keys"` // in the checkpoint
	Segments int        `json:"segments"`
	Blocks   int64      `json:"blocks"` // in the segments
	Commands int64      `json:"commands"`
	Bytes    int64      `json:"bytes"`  // fetched
	Reused   int64      `json:"reused"` // bytes an earlier run had fetched
	// LastWrite is when the last block was written, or the cut was made.
	LastWrite time.Time `json:"last_write"`
	// Resumed: an earlier run had begun it.
	Resumed bool `json:"resumed"`
}

// ErrNotEmpty is wrapped when the directory holds what is not this restore's.
var ErrNotEmpty = errors.New("the directory is not empty")

// Restore makes target the data directory of an engine that was at p. See the
// package's comment for the steps and what a crash between them leaves. It
// holds the directory's lock. After an error, calling it again with the same
// point goes on.
func Restore(ctx context.Context, target vfs.FS, src sink.Sink, p *Point, o Options) (res *Result, err error) {
	if err := vfs.RequireData(target); err != nil {
		return nil, err
	}
	if err := refuseFull(target); err != nil {
		return nil, err // before even a lock is put there
	}
	if l, ok := target.(vfs.Locker); ok {
		lock, err := l.Lock(manifest.LockFile)
		if err != nil {
			return nil, fmt.Errorf("locking the data directory: %w", err)
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Attempts <= 0 {
		o.Attempts = 4
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	local := sink.NewFSSink("data directory", target, sink.SetsDir)
	r := &restorer{
		Options: o, target: target, src: src, point: p, local: local,
		pipe: sink.NewPipeline("restore", nil, local, nil, sink.PipelineOptions{Logger: o.Logger, Registry: o.Stages}),
		res:  &Result{Set: p.Set.ID, Parts: len(p.Set.Parts), Keys: p.Set.Keys(), LastWrite: p.Set.CreatedAt},
	}
	defer r.pipe.Close()
	o.Progress.Total.Store(p.Bytes())
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := r.fetch(ctx); err != nil {
		return nil, err
	}
	return r.res, r.commit(ctx)
}

// restorer is one restore under way.
type restorer struct {
	Options
	target vfs.FS
	src    sink.Sink
	point  *Point
	local  *sink.FSSink
	pipe   *sink.Pipeline
	res    *Result

	set      *sink.Set // as it is in the data directory
	segments []manifest.Segment

	fetched, reused atomic.Int64
}

// what tells this restore from others.
func (r *restorer) what() string {
	s := "the restore of " + r.point.String()
	if r.Plain {
		s += ", plain"
	}
	return s
}

// begin makes sure that the directory is this restore's, and marks it.
func (r *restorer) begin() error {
	mark, err := manifest.Marked(r.target)
	if err != nil {
		return err
	}
	own := manifest.Restoring{Command: r.Command, What: r.what()}
	switch {
	case mark == nil:
		if err := refuseFull(r.target); err != nil {
			return err
		}
		return manifest.Mark(r.target, own)
	case mark.What == own.What:
		r.res.Resumed = true
		// Its parts may have to be fetched again: it is published last.
		return vfs.RemoveIfExists(r.target, path.Join(manifest.SetDir(r.point.Set.ID), sink.SetFile))
	case !r.Restart:
		return fmt.Errorf("%w: %s did not come to its end there, and this is %s; finish it with `%s`, or restart to give it up",
			ErrNotEmpty, mark.What, own.What, mark.Command)
	}
	if err := Wipe(r.target); err != nil {
		return err
	}
	return manifest.Mark(r.target, own)
}

// refuseFull says what a directory holds that has no mark and is not empty.
func refuseFull(data vfs.FS) error {
	mark, err := manifest.Marked(data)
	if err != nil || mark != nil {
		return err
	}
	found, err := Strangers(data)
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("%w: it holds %s; restore into one that is new or empty", ErrNotEmpty, enumerate(found, 5))
}

// Strangers names what a directory holds that a restore may not take for
// nothing: all but a lock, what a fresh filesystem holds, what a crash leaves of
// the first step, and configuration (".auto.hcl"), which the packages have CONFIG
// REWRITE write beside the data: it is no data, and a restore leaves it alone.
func Strangers(data vfs.FS) ([]string, error) {
	infos, err := vfs.ReadDir(data, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, fi := range infos {
		switch name := fi.Name(); name {
		case manifest.LockFile, "lost+found", manifest.RestoringFile, manifest.RestoringFile + vfs.TempSuffix:
		default:
			if !strings.HasSuffix(name, ".auto.hcl") || fi.IsDir() {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// Wipe removes what a restore or an import that did not come to its end has put
// into a directory, and leaves the mark, so that a crash leaves no less. The
// caller holds the lock and has seen the mark.
func Wipe(data vfs.FS) error {
	if err := vfs.RemoveIfExists(data, manifest.FileName); err != nil {
		return err
	}
	for _, dir := range []string{sink.SetsDir, manifest.LogDir} {
		if err := data.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return data.SyncDir(".")
}

func enumerate(names []string, most int) string {
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// fetch brings every part and every segment.
func (r *restorer) fetch(ctx context.Context) error {
	if err := r.localSet(); err != nil {
		return err
	}
	if len(r.point.Segments) > 0 {
		if err := vfs.MkdirAllSync(r.target, manifest.LogDir, 0o700); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	crowd := newCrowd(r.Parallel)
	for i := range r.point.Set.Parts {
		stored := &r.point.Set.Parts[i]
		crowd.read(ctx, g, stored.Bytes, func() error { return r.part(ctx, stored, &r.set.Parts[i]) })
	}
	for i := range r.point.Segments {
		set := &r.point.Segments[i]
		crowd.read(ctx, g, set.Bytes(), func() error { return r.segment(ctx, set, manifest.SegmentPath(r.segmentID(i))) })
	}
	err := g.Wait()
	r.res.Bytes, r.res.Reused = r.fetched.Load(), r.reused.Load()
	if err != nil {
		return fmt.Errorf("restoring from %s: %w", r.src.Info().Name, err)
	}
	return r.checkLog()
}

// segmentID is the number that a segment gets here. What the source has under
// its own is of another life than what this directory will archive.
func (r *restorer) segmentID(i int) uint64 { return r.point.NextSegment + uint64(i) }

// localSet is the set as the data directory will have it.
func (r *restorer) localSet() error {
	r.set = r.point.Set.Clone()
	for i := range r.set.Parts {
		p := &r.set.Parts[i]
		if p.Part.ID() != r.set.ID {
			return fmt.Errorf("%w: part %s of %s belongs to %s", sink.ErrCorrupt, p.Part.Name, r.set.ID, p.Part.ID())
		}
		p.SinkReceipt, p.TargetReceipts = nil, nil
		if r.Plain {
			p.Part.Name = sink.PartName(p.Part.Kind, p.Part.Shard, "")
			p.Bytes, p.SHA256, p.Stages, p.StageReceipts = p.RawBytes, p.RawSHA256, nil, nil
		}
	}
	if r.Plain {
		r.set.Stages = nil
	}
	return nil
}

// errBeyond ends a replay at the first block that is too late.
var errBeyond = errors.New("a block beyond the moment asked for")

// checkLog replays the segments into nothing, cuts the log at the moment that
// was asked for, and lists what is left.
func (r *restorer) checkLog() error {
	seq := uint64(0)
	for i := range r.point.Segments {
		set := &r.point.Segments[i]
		id := r.segmentID(i)
		name := manifest.SegmentPath(id)
		cut := int64(-1)
		opts := wal.ReplayOptions{ID: set.Meta[sink.MetaLogID], StartSeq: seq, Logger: r.Logger}
		res, err := wal.Replay(r.target, name, opts, func(b wal.Block) error {
			at := time.UnixMilli(b.TimeMS)
			if !r.point.Until.IsZero() && b.TimeMS > r.point.Until.UnixMilli() {
				cut = b.Offset
				return errBeyond
			}
			r.res.Commands += int64(len(b.Cmds))
			if at.After(r.res.LastWrite) {
				r.res.LastWrite = at
			}
			return nil
		})
		if err != nil && !errors.Is(err, errBeyond) {
			return fmt.Errorf("the archived log does not go on with %s: %w", set.ID, err)
		}
		if cut >= 0 {
			if err := truncate(r.target, name, cut); err != nil {
				return err
			}
		}
		r.segments = append(r.segments, manifest.Segment{
			ID: id, Path: name, FirstSeq: seq, LogID: set.Meta[sink.MetaLogID], PrevLogID: set.Meta[sink.MetaPrevLogID],
		})
		r.res.Segments++
		r.res.Blocks += res.Blocks
		seq = res.LastSeq
		if cut >= 0 {
			break
		}
	}
	return nil
}

func truncate(fs vfs.FS, name string, size int64) (err error) {
	f, err := fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cut log segment: %w", err)
	}
	if err = f.Truncate(size); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cut log segment %s at %d: %w", name, size, err)
	}
	return nil
}

// commit makes what was fetched a data directory.
func (r *restorer) commit(ctx context.Context) error {
	store := manifest.NewStore(r.target, r.Now)
	if r.res.Resumed {
		if err := vfs.RemoveIfExists(r.target, manifest.FileName); err != nil {
			return err // of a run that could not take its mark away
		}
	}
	m := &manifest.Manifest{
		Segments: r.segments, GrowthBase: r.set.Bytes(), LastSave: max(r.set.CreatedAt.Unix(), 0),
		Follows: r.point.Follows, NextGeneration: r.point.NextGeneration, NextSegment: r.segmentID(len(r.point.Segments)), CreatedBy: r.CreatedBy,
	}
	if r.set.ID.Generation > 0 { // 0: the log begins with nothing
		if err := r.local.Publish(ctx, *r.set); err != nil {
			return fmt.Errorf("restoring: %w", err)
		}
		m.Base = r.set
	}
	if len(m.Segments) > 0 {
		// What the engine appends does not belong to a segment that is sealed
		// elsewhere: it gets one of its own.
		if err := r.newSegment(m); err != nil {
			return err
		}
	}
	if err := store.Commit(m); err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	return manifest.Unmark(r.target)
}

func (r *restorer) newSegment(m *manifest.Manifest) error {
	seg := manifest.Segment{ID: m.NextSegment, Path: manifest.SegmentPath(m.NextSegment)}
	if err := vfs.RemoveIfExists(r.target, seg.Path); err != nil {
		return err
	}
	id, err := wal.Create(r.target, seg.Path, r.Now())
	if err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	seg.LogID, seg.PrevLogID = id, m.Segments[len(m.Segments)-1].LogID
	m.Segments = append(m.Segments, seg)
	m.NextSegment++
	return nil
}
