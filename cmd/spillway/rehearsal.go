package main

import (
	"context"
	"crypto/sha256"
	bin "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/internal/values"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// rehearsal is the restore of one moment, in a drill:
//
//	backup ──▶ scratch directory ──▶ engine, of all ──▶ keys by type, digest: the evidence
//	  │                         └──▶ engine, of the checkpoint alone ──┐
//	  └── read without an engine: keys by type, digest ───── compare ──┘
//
// The log is compared by its commands: what a replay into nothing has counted while it
// was restored, and what the engine has executed.
type rehearsal struct {
	At      string     `json:"at"` // as --at takes it
	Chosen  string     `json:"chosen"`
	Set     sink.SetID `json:"set"`
	Taken   time.Time  `json:"taken"`
	Reach   time.Time  `json:"reach"` // the last moment that there may be a write of
	OK      bool       `json:"ok"`
	Problem string     `json:"problem,omitempty"`

	Bytes          int64   `json:"bytes"`     // as they are stored
	RawBytes       int64   `json:"raw_bytes"` // as they were restored
	RestoreSeconds float64 `json:"restore_seconds"`
	LoadSeconds    float64 `json:"load_seconds"`
	RTO            float64 `json:"rto_seconds"` // both

	Segments int    `json:"segments"`
	Commands count2 `json:"commands"` // of the log
	// Checkpoint is what there is of the checkpoint alone. A rewrite has no digest:
	// it is commands, and its keys are counted.
	Checkpoint sums2 `json:"checkpoint"`
	// Restored is what the engine held at the moment.
	Restored *sums  `json:"restored"`
	Scratch  string `json:"scratch,omitempty"` // with --keep
}

// count2 is a number as the backup says it, and as the engine does.
type count2 struct {
	Backup int64 `json:"backup"`
	Engine int64 `json:"engine"`
}

type sums2 struct {
	Backup *sums `json:"backup"`
	Engine *sums `json:"engine"`
}

func newRehearsal(p *backup.Point, chosen string) *rehearsal {
	r := &rehearsal{At: p.At.String(), Chosen: chosen, Set: p.Set.ID, Taken: p.Set.CreatedAt, Reach: p.Reach, Bytes: p.Bytes(), Segments: len(p.Segments)}
	for _, s := range p.Sets() {
		r.RawBytes += s.RawBytes()
	}
	return r
}

// sums are keys by type, and a digest of all of them with their values and deadlines that
// does not depend on their order.
type sums struct {
	keys    map[string]int64
	lanes   [sha256.Size / 8]uint64
	counted bool // there is no digest
}

func newSums() *sums { return &sums{keys: make(map[string]int64)} }

// add adds a key.
func (s *sums) add(e *values.Entry) {
	s.keys[e.Type.String()]++
	h := sha256.New()
	value := e.Digest()
	var n [8]byte
	for _, v := range []uint64{uint64(e.DB), uint64(len(e.Key)), uint64(e.Expires)} {
		_, _ = h.Write(bin.LittleEndian.AppendUint64(n[:0], v))
	}
	_, _ = h.Write(e.Key)
	_, _ = h.Write(value[:])
	sum := h.Sum(nil)
	for i := range s.lanes {
		s.lanes[i] += bin.LittleEndian.Uint64(sum[8*i:])
	}
}

// digest is "" where keys were counted only.
func (s *sums) digest() string {
	if s.counted {
		return ""
	}
	h := sha256.New()
	_ = bin.Write(h, bin.LittleEndian, s.lanes)
	return hex.EncodeToString(h.Sum(nil))
}

// MarshalJSON implements json.Marshaler.
func (s *sums) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Keys   map[string]int64 `json:"keys"`
		Digest string           `json:"digest,omitempty"`
	}{s.keys, s.digest()})
}

// String is "3 hash keys, 5 string keys".
func (s *sums) String() string {
	var out []string
	for _, t := range slices.Sorted(maps.Keys(s.keys)) {
		out = append(out, count(s.keys[t], t+" key"))
	}
	if len(out) == 0 {
		return "no keys"
	}
	return strings.Join(out, ", ")
}

// differs says in what the engine's is another than the backup's, "" for nothing.
func (s sums2) differs() string {
	switch {
	case !maps.Equal(s.Backup.keys, s.Engine.keys):
		return fmt.Sprintf("the checkpoint in the backup has %s, the engine has %s", s.Backup, s.Engine)
	case !s.Backup.counted && s.Backup.digest() != s.Engine.digest():
		return "the values of the checkpoint in the backup are not those that the engine has"
	}
	return ""
}

// play restores the moment into dir and compares.
func (r *rehearsal) play(ctx context.Context, d *drill, p *backup.Point, dir string) error {
	data, err := config.OpenFS(dir)
	if err != nil {
		return err
	}
	began, progress := time.Now(), new(backup.Progress)
	stop := watch("restoring", progress, d.s.quiet)
	res, err := backup.Restore(ctx, data, d.src, p, backup.Options{
		Stages: d.src.stages, Plain: true, Parallel: d.s.parallel, CreatedBy: "spillway " + version, Now: time.Now, Logger: d.src.log, Progress: progress,
	})
	stop()
	if err != nil {
		return err
	}
	r.RestoreSeconds, r.Commands.Backup = time.Since(began).Seconds(), res.Commands
	r.RTO = r.RestoreSeconds

	read := &reading{src: d.src, p: p}
	var took time.Duration
	if r.Restored, r.Commands.Engine, took, err = read.sums(ctx, data, read.moment()); err != nil {
		return fmt.Errorf("the engine does not load it: %w", err)
	}
	r.LoadSeconds = took.Seconds()
	r.RTO += r.LoadSeconds
	if r.Commands.Backup != r.Commands.Engine {
		return fmt.Errorf("the log in the backup has %s, the engine has executed %d", count(r.Commands.Backup, "command"), r.Commands.Engine)
	}
	if p.Set.ID.Generation == 0 {
		return nil // a log without a checkpoint
	}
	if err := withoutLog(data, dir, func() error {
		r.Checkpoint.Engine, _, _, err = read.sums(ctx, data, longAgo)
		return err
	}); err != nil {
		return fmt.Errorf("the engine does not load the checkpoint: %w", err)
	}
	if r.Checkpoint.Backup, err = d.direct(ctx, p); err != nil {
		return err
	}
	if differs := r.Checkpoint.differs(); differs != "" {
		return errors.New(differs)
	}
	return nil
}

// longAgo is a moment at which no deadline has come: what a checkpoint holds is compared
// with all that is in it.
var longAgo = time.Unix(1, 0)

// sums has an engine load a directory, as of a moment, and reads all keys of it.
func (r *reading) sums(ctx context.Context, data vfs.FS, at time.Time) (s *sums, commands int64, took time.Duration, err error) {
	began := time.Now()
	db, err := r.load(ctx, data, at)
	if err != nil {
		return nil, 0, 0, err
	}
	took = time.Since(began)
	defer func() { err = errors.Join(err, db.Close()) }()
	s = newSums()
	err = s.addAll(at, func(out io.Writer) error {
		_, err := db.WriteRDB(out)
		return err
	})
	return s, db.Recovered().Commands, took, err
}

// addAll adds the keys of the RDB file that write writes.
func (s *sums) addAll(at time.Time, write func(io.Writer) error) error {
	err, werr := eachObject(write, func(o *rdb.Object) error {
		e, err := values.Of(o, at)
		if err == nil && e != nil {
			s.add(e)
		}
		return err
	}, func() {})
	if werr != nil {
		return werr
	}
	return err
}

// withoutLog calls fn while the directory has its checkpoint alone.
func withoutLog(data vfs.FS, dir string, fn func() error) error {
	name := filepath.Join(dir, manifest.FileName)
	whole, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return err
	}
	store := manifest.NewStore(data, time.Now)
	m, err := store.Load()
	if err != nil {
		return err
	}
	m.Segments = nil
	if err := store.Commit(m); err != nil {
		return err
	}
	return errors.Join(fn(), os.WriteFile(name, whole, 0o600)) //nolint:gosec // in the directory that was made for it
}

// direct reads the checkpoint in the backup, without an engine.
func (d *drill) direct(ctx context.Context, p *backup.Point) (*sums, error) {
	progress := new(backup.Progress)
	progress.Total.Store(p.Set.Bytes())
	defer watch("comparing", progress, d.s.quiet)()
	s := newSums()
	alone := &backup.Point{Set: p.Set}
	if alone.Mergeable() {
		return s, s.addAll(longAgo, func(out io.Writer) error {
			_, err := backup.WriteRDB(ctx, backup.Counted(d.src, progress), alone, d.src.stages, rdb.HeaderAt(p.Set.CreatedAt), out)
			return err
		})
	}
	s.counted = true
	parts, err := backup.Verify(ctx, d.src, []sink.Set{p.Set}, backup.VerifyOptions{Stages: d.src.stages, Parallel: d.s.parallel, Logger: d.src.log, Progress: progress})
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if part.Damage != "" {
			return nil, fmt.Errorf("%s %s: %s", part.Set, part.Part, part.Damage)
		}
		for t, n := range part.Keys {
			s.keys[t] += n
		}
	}
	return s, nil
}

func (r *rehearsal) print(w io.Writer) {
	result := "ok    "
	if !r.OK {
		result = "FAILED"
	}
	fmt.Fprintf(w, "  %s  %s (%s): %s of %s, %s of the log with %s\n", result, r.At, r.Chosen, r.Set, r.Taken.Local().Format(time.RFC3339),
		count(r.Segments, "segment"), count(r.Commands.Backup, "command"))
	if r.Problem != "" {
		fmt.Fprintf(w, "          %s\n", r.Problem)
	}
	if r.Restored != nil {
		fmt.Fprintf(w, "          %s, digest %.16s…\n", r.Restored, r.Restored.digest())
	}
	fmt.Fprintf(w, "          %s restored in %.1f s, loaded in %.1f s\n", size(r.RawBytes), r.RestoreSeconds, r.LoadSeconds)
	if r.Scratch != "" {
		fmt.Fprintf(w, "          kept in %s\n", r.Scratch)
	}
}
