package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// CutLog repairs the first damage of the log, as Examine has found it. A header
// that the manifest knows is written anew, and what is behind it is to be
// examined again. Otherwise the log ends before the damage: from there on every
// segment is set aside in wal.TornDir, and what is left is a log that a start
// accepts. It returns the names of what was set aside. The caller holds the data
// directory's lock. A crash in the middle leaves a directory that can be
// repaired again.
func CutLog(data vfs.FS, x *Examination, now time.Time) (aside []string, err error) {
	first := x.BadSegment()
	if first < 0 {
		return nil, nil
	}
	keep := func(name string, err error) error {
		if name != "" {
			aside = append(aside, name)
		}
		return err
	}
	s := x.Segments[first]
	if s.Header {
		return aside, keep(wal.RestoreHeader(data, s.Path, s.id, now))
	}
	if err := leaveLineage(data, now); err != nil {
		return aside, err
	}
	// From the end, so that the damage stays the first thing a start meets.
	for i := len(x.Segments) - 1; i > first; i-- {
		if err := keep(wal.Empty(data, x.Segments[i].Path, x.Segments[i].id, now)); err != nil {
			return aside, err
		}
	}
	if s.Blocks == 0 {
		return aside, keep(wal.Empty(data, s.Path, s.id, now))
	}
	return aside, keep(wal.RepairTail(data, s.Path, s.Offset, now))
}

// leaveLineage gives the data directory a new lineage, before the first block of
// its log is given up: what was archived of the old one goes on beyond that
// point, and must not be taken for a part of what comes now.
func leaveLineage(data vfs.FS, now time.Time) error {
	store := manifest.NewStore(data, func() time.Time { return now })
	m, err := store.Load()
	if err != nil {
		return err
	}
	m.Follows = m.Ancestry()
	if m.Lineage != "" {
		m.Follows = sink.AddFollow(m.Follows, sink.Follow{Lineage: m.Lineage})
	}
	m.Lineage, m.CreatedAt = "", now.UTC()
	return store.Commit(m)
}

// ErrNoSuchSet is wrapped by GoBack for a generation that is not there.
var ErrNoSuchSet = errors.New("no complete checkpoint of this generation is in the data directory")

// GoBack makes a complete checkpoint of the data directory the state of it:
// everything later is given up. The log, later checkpoints and the manifest
// are set aside in wal.TornDir, under the names it returns. The caller holds
// the data directory's lock. A crash in the middle leaves a directory that no
// start accepts and that GoBack can be called on again.
func GoBack(ctx context.Context, data vfs.FS, generation uint64, by string, now time.Time) (aside []string, err error) {
	sets, err := sink.NewFSSink("local", data, sink.SetsDir).List(ctx)
	if err != nil && !errors.Is(err, sink.ErrCorrupt) {
		return nil, err
	}
	var base *sink.Set
	var history []sink.SetID
	for i := range sets {
		switch id := sets[i].ID; {
		case id.Generation == generation:
			base = &sets[i]
		case id.Generation < generation:
			history = append([]sink.SetID{id}, history...)
		}
	}
	if base == nil {
		return nil, fmt.Errorf("generation %d: %w", generation, ErrNoSuchSet)
	}
	state, err := examineSet(ctx, data, base)
	if err != nil {
		return nil, err
	}
	if len(state.Damage) > 0 {
		return nil, fmt.Errorf("checkpoint %d is damaged itself: %s", generation, strings.Join(state.Damage, "; "))
	}
	m := &manifest.Manifest{
		Base: base, History: history, GrowthBase: base.Bytes(), LastSave: base.CreatedAt.Unix(),
		CreatedBy: by, CreatedAt: now.UTC(),
	}
	doomed, err := laterThan(data, generation, m)
	if err != nil {
		return nil, err
	}
	for _, name := range doomed {
		to, err := wal.SetAside(data, name, now)
		if err != nil {
			return aside, err
		}
		aside = append(aside, to)
	}
	return aside, manifest.NewStore(data, func() time.Time { return now }).Commit(m)
}

// laterThan lists what is not part of a generation or older, the manifest
// first: without it no start takes what is left for a state. It sets the next
// numbers of m beyond all that were used.
func laterThan(data vfs.FS, generation uint64, m *manifest.Manifest) (names []string, err error) {
	if old, err := manifest.Read(data); err == nil {
		m.NextGeneration, m.NextSegment = old.NextGeneration, old.NextSegment
		m.Follows = old.Ancestry()
		if old.Lineage != "" { // what sinks hold of the time that is given up is no surprise
			m.Follows = sink.AddFollow(m.Follows, sink.Follow{Lineage: old.Lineage})
		}
	}
	if there, err := vfs.Exists(data, manifest.FileName); err != nil {
		return nil, err
	} else if there {
		names = append(names, manifest.FileName)
	}
	list := func(dir string, number func(name string) (uint64, bool), next *uint64, doomed func(n uint64) bool) error {
		infos, err := vfs.ReadDir(data, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, info := range infos {
			n, ok := number(info.Name())
			if !ok {
				continue
			}
			*next = max(*next, n+1)
			if doomed(n) {
				names = append(names, path.Join(dir, info.Name()))
			}
		}
		return nil
	}
	m.NextSegment = max(m.NextSegment, 1)
	segment := func(name string) (uint64, bool) {
		digits, ok := strings.CutSuffix(name, ".aof")
		n, err := strconv.ParseUint(digits, 10, 63)
		return n, ok && err == nil
	}
	if err := list(manifest.LogDir, segment, &m.NextSegment, func(uint64) bool { return true }); err != nil {
		return nil, err
	}
	set := func(name string) (uint64, bool) {
		id, ok := sink.ParseDirName(name)
		return id.Generation, ok
	}
	err = list(sink.SetsDir, set, &m.NextGeneration, func(n uint64) bool { return n > generation })
	return names, err
}
