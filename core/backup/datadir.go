package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// DataDir is a data directory as a source: the checkpoints that its manifest
// names and the segments of its log, the active one up to its last whole block.
// It changes nothing. An engine may be running on the directory, but what it
// retires meanwhile goes away under the reader.
func DataDir(name string, data vfs.FS) sink.Sink {
	return &dataDir{name: name, fs: data, sets: sink.NewFSSink(name, data, sink.SetsDir)}
}

// IsDataDir tells whether a filesystem's root is a data directory. One that has
// lost its MANIFEST is one as well, and not a sink that happens to have the
// same checkpoints: to take them without the log would be to go back.
func IsDataDir(fs vfs.FS) (bool, error) {
	if is, err := vfs.Exists(fs, manifest.FileName); is || err != nil {
		return is, err
	}
	infos, err := vfs.ReadDir(fs, manifest.LogDir)
	return slices.ContainsFunc(infos, func(st os.FileInfo) bool { return path.Ext(st.Name()) == ".aof" }), err
}

type dataDir struct {
	name string
	fs   vfs.FS
	sets *sink.FSSink
}

var errReadOnly = sink.Permanent(errors.New("a data directory is a source only: its engine writes it"))

// Info implements sink.Sink.
func (d *dataDir) Info() sink.Info { return sink.Info{Name: d.name, Version: "1"} }

// Put implements sink.Sink: it refuses.
func (d *dataDir) Put(context.Context, sink.Part, io.Reader) (sink.Receipt, error) {
	return nil, errReadOnly
}

// Publish implements sink.Sink: it refuses.
func (d *dataDir) Publish(context.Context, sink.Set) error { return errReadOnly }

// Remove implements sink.Sink: it refuses.
func (d *dataDir) Remove(context.Context, sink.SetID) error { return errReadOnly }

// Open implements sink.Sink.
func (d *dataDir) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	if p.Kind != sink.KindSegment {
		return d.sets.Open(ctx, p, r)
	}
	size, err := strconv.ParseInt(string(r), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("segment %d: the receipt is not one of a data directory", p.Generation)
	}
	f, err := d.fs.Open(manifest.SegmentPath(p.Generation))
	if err != nil {
		return nil, fmt.Errorf("open log segment: %w", err)
	}
	// Behind what List saw, the engine may have gone on.
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, size), f}, nil
}

// List implements sink.Sink.
func (d *dataDir) List(ctx context.Context) ([]sink.Set, error) {
	if err := manifest.RefuseMarked(d.fs); err != nil {
		return nil, err
	}
	m, err := manifest.Read(d.fs)
	if err != nil {
		return nil, err
	}
	published, listErr := d.sets.List(ctx)
	var errs []error
	if listErr != nil {
		errs = append(errs, listErr)
	}
	if bad := manifest.CheckSets(d.fs, m, published); bad != nil {
		// An engine may have gone on meanwhile.
		if now, err := manifest.Read(d.fs); err == nil && now.Generation == m.Generation {
			errs = append(errs, bad)
		}
	}
	kept := make(map[sink.SetID]bool)
	for _, id := range m.History {
		kept[id] = true
	}
	var sets []sink.Set
	for _, s := range published {
		if kept[s.ID] {
			sets = append(sets, s)
		}
	}
	base := m.Base.Clone()
	if base == nil {
		base = &sink.Set{ID: sink.SetID{Kind: sink.KindSnapshot}} // the log begins with nothing
	}
	if base.Meta == nil {
		base.Meta = make(map[string]string)
	}
	for _, list := range [][]manifest.Segment{m.Owed, m.Segments} {
		for i := range list {
			if s := &list[i]; s.LogID == "" { // an early version did not write it down
				if s.LogID, err = wal.ID(d.fs, s.Path); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	base.Meta[sink.MetaLineage] = m.Lineage // a restored base is of another one
	if follows := m.Ancestry(); len(follows) > 0 {
		base.Meta[sink.MetaFollows] = sink.FormatFollows(follows)
	}
	if len(m.Segments) > 0 {
		base.Meta[sink.MetaSegment], base.Meta[sink.MetaLogID] = strconv.FormatUint(m.Segments[0].ID, 10), m.Segments[0].LogID
	}
	sets = append(sets, *base)
	segments, err := d.segments(ctx, m)
	if err != nil {
		errs = append(errs, err)
	}
	return append(sets, segments...), errors.Join(errs...)
}

// segments describes the log, up to the first damage: what is owed to an
// archive and then what a start would replay.
func (d *dataDir) segments(ctx context.Context, m *manifest.Manifest) ([]sink.Set, error) {
	last, err := wal.LastWithBlocks(d.fs, len(m.Segments), func(i int) (path, id string) {
		return m.Segments[i].Path, m.Segments[i].LogID
	})
	var bad *wal.CorruptError
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	var sets []sink.Set
	seq, prev := uint64(0), ""
	for i, seg := range slices.Concat(m.Owed, m.Segments) {
		i -= len(m.Owed)
		if i <= 0 { // whether it continues the one before is for its name to say
			seq, prev = 0, ""
		}
		if seg.PrevLogID != "" {
			prev = seg.PrevLogID
		}
		set, end, err := d.segment(ctx, seg, wal.ReplayOptions{Last: i >= last, ID: seg.LogID, StartSeq: seq})
		if err != nil {
			return sets, err
		}
		set.Meta[sink.MetaPrevLogID], set.Meta[sink.MetaLineage] = prev, m.Lineage
		sets = append(sets, set)
		seq, prev = end, seg.LogID
	}
	return sets, nil
}

// segment describes one segment, and tells the sequence it ends at.
func (d *dataDir) segment(ctx context.Context, seg manifest.Segment, opts wal.ReplayOptions) (set sink.Set, end uint64, err error) {
	var first, last int64
	res, err := wal.Replay(d.fs, seg.Path, opts, func(b wal.Block) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if first == 0 {
			first = b.TimeMS
		}
		last = b.TimeMS
		return nil
	})
	if err != nil {
		return set, 0, err
	}
	if set, err = d.describe(ctx, seg, res); err != nil {
		return set, 0, err
	}
	set.Meta = map[string]string{sink.MetaLogID: seg.LogID}
	if res.Blocks > 0 {
		set.Meta[sink.MetaFirstSeq], set.Meta[sink.MetaLastSeq] = strconv.FormatUint(res.FirstSeq, 10), strconv.FormatUint(res.LastSeq, 10)
	}
	if first != 0 {
		set.CreatedAt = time.UnixMilli(last).UTC()
		set.Meta[sink.MetaFirstTime] = time.UnixMilli(first).UTC().Format(time.RFC3339Nano)
		set.Meta[sink.MetaLastTime] = set.CreatedAt.Format(time.RFC3339Nano)
	}
	return set, res.LastSeq, nil
}

// describe is a segment as a set of one part, up to its last whole block.
func (d *dataDir) describe(ctx context.Context, seg manifest.Segment, res wal.Result) (sink.Set, error) {
	f, err := d.fs.OpenFile(seg.Path, os.O_RDONLY, 0)
	if err != nil {
		return sink.Set{}, fmt.Errorf("open log segment: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, vfs.ContextReader(ctx, io.LimitReader(f, res.GoodOffset))); err != nil {
		return sink.Set{}, fmt.Errorf("read log segment %s: %w", seg.Path, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	id := sink.SetID{Generation: seg.ID, Kind: sink.KindSegment}
	return sink.Set{ID: id, Parts: []sink.SetPart{{
		Part:  sink.Part{Kind: id.Kind, Generation: seg.ID, Shards: 1, Name: fmt.Sprintf("%08d.aof", seg.ID)},
		Bytes: res.GoodOffset, RawBytes: res.GoodOffset, SHA256: sum, RawSHA256: sum,
		SinkReceipt: sink.Receipt(strconv.FormatInt(res.GoodOffset, 10)),
	}}}, nil
}
