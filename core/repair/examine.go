package repair

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// Examination is what Examine found in a data directory.
type Examination struct {
	Manifest error // why it cannot be used; nil: it can
	Base     *SetState
	Segments []SegmentState
	Kept     []SetState // further complete checkpoints, newest first

	// Unreadable is what is wrong with the descriptions of checkpoints, SET.json
	// in their directories. No start needs those. nil: nothing.
	Unreadable error
}

// SetState is one checkpoint in the data directory.
type SetState struct {
	ID        sink.SetID
	CreatedAt time.Time
	Keys      int64
	Bytes     int64
	Damage    []string // a line for each bad part; none: every byte is as written
}

// SegmentState is one segment of the log.
type SegmentState struct {
	Path             string
	Size             int64
	Blocks, Commands int64 // whole, in a row, from the start

	Torn   bool   // the last block was never finished: a start cuts it off
	Damage string // why no start goes on here; "" for nothing
	Offset int64  // where the tail or the damage begins

	// LostBlocks and LostCommands are whole, at or behind the damage: what
	// cutting there loses. Header says that it need not be cut: only its first
	// line is damaged, and the manifest knows it.
	LostBlocks, LostCommands int64
	Header                   bool
	id                       string
}

// Whole tells whether a start would succeed.
func (x *Examination) Whole() bool {
	return x.Manifest == nil && (x.Base == nil || len(x.Base.Damage) == 0) && x.BadSegment() < 0
}

// BadSegment is the index of the first damaged segment, -1 without one.
func (x *Examination) BadSegment() int {
	return slices.IndexFunc(x.Segments, func(s SegmentState) bool { return s.Damage != "" })
}

// Examine reads everything a start would read, and more, and changes nothing.
// It checks bytes against what was written and does not undo stages, so it
// needs no keys. The caller holds the data directory's lock. The error is for
// a disk that cannot be read; damage is not an error.
func Examine(ctx context.Context, data vfs.FS) (*Examination, error) {
	if err := manifest.RefuseMarked(data); err != nil {
		return nil, err
	}
	x := new(Examination)
	m, err := manifest.Read(data)
	if err != nil {
		if Damaged(err, nil) == err { //nolint:errorlint // whether it is the same one
			return nil, err
		}
		x.Manifest = err
		m = new(manifest.Manifest)
	}
	sets, err := sink.NewFSSink("local", data, sink.SetsDir).List(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	x.Unreadable = errors.Join(err, manifest.CheckSets(data, m, sets))
	if m.Base != nil {
		s, err := examineSet(ctx, data, m.Base)
		if err != nil {
			return nil, err
		}
		x.Base = s
	}
	for _, set := range slices.Backward(sets) {
		if m.Base != nil && set.ID == m.Base.ID {
			continue
		}
		s, err := examineSet(ctx, data, &set)
		if err != nil {
			return nil, err
		}
		x.Kept = append(x.Kept, *s)
	}
	if x.Manifest != nil {
		return x, nil // nobody knows which segments count
	}
	x.Segments, err = examineLog(data, m)
	return x, err
}

func examineSet(ctx context.Context, data vfs.FS, set *sink.Set) (*SetState, error) {
	s := &SetState{ID: set.ID, CreatedAt: set.CreatedAt, Keys: set.Keys(), Bytes: set.Bytes()}
	for i := range set.Parts {
		bad, err := examinePart(ctx, data, set.ID, &set.Parts[i])
		if err != nil {
			return nil, err
		}
		if bad != "" {
			s.Damage = append(s.Damage, bad)
		}
	}
	return s, nil
}

// examinePart compares a stored part with its digest.
func examinePart(ctx context.Context, data vfs.FS, id sink.SetID, p *sink.SetPart) (damage string, err error) {
	name := path.Join(manifest.SetDir(id), p.Part.Name)
	f, err := data.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name + " is missing", nil
	}
	if vfs.IsNotRegular(err) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(vfs.ContextReader(ctx, f), p.Bytes+1)) // one more is enough to know
	switch {
	case vfs.IsNotRegular(err):
		return name + " is a directory", nil
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", name, err)
	case n < p.Bytes:
		return fmt.Sprintf("%s ends at offset %d; %d bytes were written", name, n, p.Bytes), nil
	case n > p.Bytes:
		return fmt.Sprintf("%s goes on behind offset %d, where it ended", name, p.Bytes), nil
	case hex.EncodeToString(h.Sum(nil)) != p.SHA256:
		return fmt.Sprintf("%s is not what was written, somewhere from offset 0 to %d", name, n), nil
	}
	return "", nil
}

// examineLog replays the log into nothing. Behind the first damage the later
// segments are only counted.
func examineLog(data vfs.FS, m *manifest.Manifest) ([]SegmentState, error) {
	nothing := func(wal.Block) error { return nil }
	last, err := LastWithBlocks(data, m)
	var bad *wal.CorruptError
	if err != nil && !errors.As(err, &bad) && !errors.Is(err, fs.ErrNotExist) && !vfs.IsNotRegular(err) {
		return nil, err
	}
	var out []SegmentState
	seq, broken := uint64(0), false
	for i, seg := range m.Segments {
		s := SegmentState{Path: seg.Path, id: seg.LogID}
		bad = nil
		res, err := wal.Replay(data, seg.Path, wal.ReplayOptions{Last: i >= last, StartSeq: seq, ID: seg.LogID}, nothing)
		s.Size, s.Blocks, s.Commands, s.Offset = res.Size, res.Blocks, res.Commands, res.GoodOffset
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.Damage = "it is missing"
		case vfs.IsNotRegular(err):
			s.Damage = err.Error()
		case errors.As(err, &bad):
			s.Damage, s.Offset = bad.Reason, bad.Offset
		case err != nil:
			return nil, err
		case broken && res.Blocks > 0:
			s.Damage, s.Offset = "it follows a damaged segment", 0
			s.Blocks, s.Commands = 0, 0
		}
		s.Torn = res.Torn && s.Damage == ""
		if s.Damage != "" {
			broken = true
			s.LostBlocks, s.LostCommands, err = wal.Survey(data, seg.Path, seg.LogID, s.Offset)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !vfs.IsNotRegular(err) {
				return nil, err
			}
			s.Header = s.Offset == 0 && bad != nil && bad.Path == seg.Path && s.LostBlocks > 0
		}
		if seq = res.LastSeq; broken {
			seq = 0
		}
		out = append(out, s)
	}
	return out, nil
}
