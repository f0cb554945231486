package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// FileName is the manifest's name in the root of the data directory.
const FileName = "MANIFEST"

// Version is the format version this build writes, and the newest it reads.
// Version 2 added lineage, owed, archive_gap and prev_log_id; version 3 follows
// and the tokens of sets.
const Version = 3

// LogDir is the directory of the log's segments, below the root.
const LogDir = "log"

// Manifest is what a data directory consists of.
type Manifest struct {
	// Version is the format version; Commit sets it.
	Version int `json:"version"`
	// Generation counts the commits; Commit sets it.
	Generation uint64 `json:"generation"`
	// Base is the checkpoint that a start loads first; nil is an empty one.
	Base *sink.Set `json:"base"`
	// Segments are the log after the base, oldest first. The last one is
	// active. Empty means that there is no log.
	Segments []Segment `json:"segments"`
	// History are further checkpoints kept on the local sink, newest first.
	History []sink.SetID `json:"history"`
	// GrowthBase is the size in bytes the growth of the log is measured
	// from when deciding about an automatic rewrite. It survives restarts.
	GrowthBase int64 `json:"growth_base"`
	// LastSave is the time of the last checkpoint, in unix seconds; 0: never.
	LastSave int64 `json:"last_save"`
	// Lineage is the life of the data directory, drawn at its first commit:
	// 32 hex digits. Archived segments continue a checkpoint only within one.
	Lineage string `json:"lineage,omitempty"`
	// Follows are the lineages that this one goes on from, the latest first.
	Follows []sink.Follow `json:"follows,omitempty"`
	// Owed are segments that are behind the base and not archived yet, oldest
	// first: no start loads them, and none removes them.
	Owed []Segment `json:"owed,omitempty"`
	// ArchiveGap is the newest segment that was given up before it was
	// archived, 0 if none was: what is restored from an older checkpoint ends
	// there.
	ArchiveGap uint64 `json:"archive_gap,omitempty"`
	// NextSegment is above the ID of every segment that was ever named.
	NextSegment uint64 `json:"next_segment"`
	// NextGeneration is above the generation of every set that was ever named.
	NextGeneration uint64 `json:"next_generation"`
	// CreatedBy names the program that committed this manifest.
	CreatedBy string `json:"created_by"`
	// CreatedAt is when; Commit sets it if it is zero.
	CreatedAt time.Time `json:"created_at"`
}

// Segment is one file of the log.
type Segment struct {
	// ID orders the segments.
	ID uint64 `json:"id"`
	// Path is SegmentPath(ID) in what this build writes.
	Path string `json:"path"`
	// FirstSeq is the sequence the segment begins after, 0 when not known.
	FirstSeq uint64 `json:"first_seq"`
	// LogID is what the segment's first line calls it: another file under its
	// name is not taken for it. Empty when not known.
	LogID string `json:"log_id,omitempty"`
	// PrevLogID is the LogID of the segment that this one continues. Empty
	// when it continues none, or it is not known.
	PrevLogID string `json:"prev_log_id,omitempty"`
}

// SegmentPath is the path of the log segment with this ID.
func SegmentPath(id uint64) string { return fmt.Sprintf("%s/%08d.aof", LogDir, id) }

// SetDir is the directory of a local checkpoint.
func SetDir(id sink.SetID) string { return path.Join(sink.SetsDir, sink.DirName(id)) }

// Clone returns a deep copy.
func (m *Manifest) Clone() *Manifest {
	c := *m
	c.Base = m.Base.Clone()
	c.Segments = slices.Clone(m.Segments)
	c.Owed = slices.Clone(m.Owed)
	c.History = slices.Clone(m.History)
	c.Follows = slices.Clone(m.Follows)
	return &c
}

// Sets returns the checkpoints that m keeps, the base first.
func (m *Manifest) Sets() []sink.SetID {
	var ids []sink.SetID
	if m.Base != nil {
		ids = append(ids, m.Base.ID)
	}
	return append(ids, m.History...)
}

// validate refuses contents that contradict themselves.
func (m *Manifest) validate() error {
	if m.Version < 1 || m.Version > Version {
		return fmt.Errorf("version is %d, want 1 to %d", m.Version, Version)
	}
	if m.Version == 1 && (m.Lineage != "" || len(m.Owed) > 0 || m.ArchiveGap != 0) {
		return errors.New("version 1 has no lineage and no archive")
	}
	if m.Version < 3 && len(m.Follows) > 0 {
		return fmt.Errorf("version %d follows no lineage", m.Version)
	}
	if m.Lineage != "" && !sink.ValidLineage(m.Lineage) {
		return fmt.Errorf("lineage %.40q is not 32 hex digits", m.Lineage)
	}
	for i, f := range m.Follows {
		if !sink.ValidLineage(f.Lineage) || f.Lineage == m.Lineage || slices.ContainsFunc(m.Follows[:i], func(o sink.Follow) bool { return o.Lineage == f.Lineage }) {
			return fmt.Errorf("it cannot follow lineage %.40q", f.Lineage)
		}
	}
	if m.ArchiveGap != 0 && m.ArchiveGap >= m.NextSegment {
		return fmt.Errorf("archive_gap %d is not below next_segment %d", m.ArchiveGap, m.NextSegment)
	}
	if m.GrowthBase < 0 {
		return fmt.Errorf("growth_base is negative: %d", m.GrowthBase)
	}
	if m.LastSave < 0 {
		return fmt.Errorf("last_save is negative: %d", m.LastSave)
	}
	paths := map[string]bool{}
	segments := slices.Concat(m.Owed, m.Segments)
	for i, s := range segments {
		if err := checkPath(s.Path); err != nil {
			return fmt.Errorf("segment %d: %w", s.ID, err)
		}
		switch {
		case i > 0 && s.ID <= segments[i-1].ID:
			return fmt.Errorf("segment %d comes after segment %d", s.ID, segments[i-1].ID)
		case s.ID >= m.NextSegment:
			return fmt.Errorf("segment %d is not below next_segment %d", s.ID, m.NextSegment)
		case paths[s.Path]:
			return fmt.Errorf("segment %d: %s is named twice", s.ID, s.Path)
		}
		paths[s.Path] = true
	}
	seen := map[sink.SetID]bool{}
	for _, id := range m.Sets() {
		switch {
		case sink.CheckToken(id.Token) != nil || m.Version < 3 && id.Token != "":
			return fmt.Errorf("set of generation %d: %.40q is no token", id.Generation, id.Token)
		case !id.Kind.Valid():
			return fmt.Errorf("set of generation %d: unknown kind %q", id.Generation, id.Kind)
		case id.Generation >= m.NextGeneration:
			return fmt.Errorf("set %v is not below next_generation %d", id, m.NextGeneration)
		case seen[id]:
			return fmt.Errorf("set %v is named twice", id)
		}
		seen[id] = true
	}
	if m.Base != nil {
		return validateBase(m.Base)
	}
	return nil
}

// Ancestry is Follows, with what an earlier version of the format only implied:
// a restored base is of the lineage that it was restored from.
func (m *Manifest) Ancestry() []sink.Follow {
	follows := slices.Clone(m.Follows)
	if m.Base == nil {
		return follows
	}
	from := m.Base.Lineage()
	known := func(f sink.Follow) bool { return f.Lineage == from }
	if sink.ValidLineage(from) && from != m.Lineage && !slices.ContainsFunc(follows, known) {
		follows = append(follows, sink.Follow{Lineage: from})
	}
	return follows
}

func validateBase(s *sink.Set) error {
	names := map[string]bool{}
	for i := range s.Parts {
		p := &s.Parts[i]
		if err := sink.CheckPart(p.Part); err != nil {
			return fmt.Errorf("base part %d: %w", i, err)
		}
		switch {
		case p.Part.ID() != s.ID:
			return fmt.Errorf("base part %s is of %v, the base is %v", p.Part.Name, p.Part.ID(), s.ID)
		case names[p.Part.Name]:
			return fmt.Errorf("base part %s is named twice", p.Part.Name)
		case p.Bytes < 0 || p.RawBytes < 0 || p.Keys < 0:
			return fmt.Errorf("base part %s has a negative size", p.Part.Name)
		}
		names[p.Part.Name] = true
	}
	return nil
}

// checkPath accepts a plain file directly in the log directory.
func checkPath(p string) error {
	clean, err := vfs.Clean(p)
	if err != nil {
		return err
	}
	if clean != p || path.Dir(p) != LogDir || strings.HasSuffix(p, vfs.TempSuffix) {
		return fmt.Errorf("path %q is not a file of %s/", p, LogDir)
	}
	return nil
}

// CorruptError says that a manifest is damaged. Nothing was changed.
type CorruptError struct {
	Path   string
	Offset int64 // where in the file it shows
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s; restore the file from a copy, "+
		"or move the data directory aside and restore a checkpoint from a sink", e.Path, e.Offset, e.Reason)
}

// ErrNewerFormat is wrapped when a newer program wrote the manifest.
var ErrNewerFormat = errors.New("written by a newer version of spillway")

// ErrUnknownOutcome is wrapped when Commit failed at or after the rename: both
// the old and the new manifest may be found by Load and by a start after a
// crash. Remove nothing; Load tells, and makes durable, what holds.
var ErrUnknownOutcome = vfs.ErrUnknownOutcome
