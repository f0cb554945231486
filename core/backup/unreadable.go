package backup

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/spillwaydb/spillway/core/sink"
)

// unread are the sets that the errors of a List are about, as their directories'
// names say. known is false when an error does not say which set it is about:
// then it may be any.
func unread(err error) (ids []sink.SetID, known bool) {
	switch e := err.(type) { //nolint:errorlint // the tree of errors is walked here
	case nil:
		return nil, true
	case *sink.Error:
		for _, name := range []string{path.Base(path.Dir(e.Path)), path.Base(e.Path)} {
			if id, ok := sink.ParseDirName(name); ok {
				return []sink.SetID{id}, true
			}
		}
		return nil, false
	case interface{ Unwrap() []error }:
		known = true
		for _, one := range e.Unwrap() {
			more, ok := unread(one)
			ids, known = append(ids, more...), known && ok
		}
		return ids, known && len(ids) > 0
	case interface{ Unwrap() error }:
		return unread(e.Unwrap())
	}
	return nil, false
}

// misses says what cannot be read although the point may need it to be what at
// asks for, nil if there is nothing: a checkpoint that may be newer than the
// point's, or a segment that its chain may lack.
func (c *Catalog) misses(p *Point) error {
	if c.Unreadable == nil {
		return nil
	}
	ids, known := unread(c.Unreadable)
	if !known {
		return c.Unreadable
	}
	if slices.ContainsFunc(ids, func(id sink.SetID) bool { return c.matters(p, id) }) {
		return c.Unreadable
	}
	return nil
}

// matters tells whether a set that cannot be read could change what p is.
func (c *Catalog) matters(p *Point, id sink.SetID) bool {
	if p.At.Generation != 0 {
		return false // the checkpoint that was asked for can be read
	}
	if id.Token != "" && p.Lineage() != "" && p.At.Lineage != "" && !id.Of(p.Lineage()) {
		return false // of another lineage than the one that was asked for
	}
	same := id.Token == "" || id.Of(p.Lineage())
	if id.Kind == sink.KindSegment {
		if !same {
			return false
		}
		last := uint64(0)
		if n := len(p.Segments); n > 0 {
			last = p.Segments[n-1].ID.Generation
		}
		// Behind a moment that the chain goes beyond nothing is needed.
		return p.End != EndTime && id.Generation > last
	}
	if !same {
		// Whose newest may it be? Not one that the point's own life has come after.
		return !slices.ContainsFunc(p.Set.Follows(), func(f sink.Follow) bool { return id.Of(f.Lineage) && id.Generation <= f.Generation })
	}
	if id.Generation < p.Set.ID.Generation {
		return false
	}
	// One between the point's and a later one that can be read was taken before that.
	later := slices.ContainsFunc(c.Checkpoints, func(s sink.Set) bool {
		return s.Lineage() == p.Lineage() && s.ID.Generation > p.Set.ID.Generation && s.ID.Generation < id.Generation
	})
	return p.At.Time.IsZero() || !later
}

// ErrNotReached is wrapped when a source cannot give what was asked for, but
// something older.
var ErrNotReached = errors.New("what was asked for is not reached")

// Reached returns nil when the point is what At asks for, and otherwise an error
// that wraps ErrNotReached and says why not, and what the point is instead.
func (p *Point) Reached() error {
	if p.Short == nil {
		return nil
	}
	return fmt.Errorf("%w: %w; what is there: %s, with no write after %s", ErrNotReached, p.Short, p, p.Reach.Local().Format("2006-01-02 15:04:05.000"))
}

// whole returns an error unless the set has the parts that it says it has: of a
// checkpoint one for each shard, of a segment one.
func whole(s *sink.Set) error {
	bad := func(format string, args ...any) error {
		return &sink.Error{Op: "list", Path: path.Join(sink.DirName(s.ID), sink.SetFile), Err: fmt.Errorf("%w: %s: %s", sink.ErrCorrupt, s.ID, fmt.Sprintf(format, args...))}
	}
	if s.ID.Generation == 0 && len(s.Parts) == 0 {
		return nil // a data directory's log that begins with nothing
	}
	if len(s.Parts) == 0 {
		return bad("it has no parts")
	}
	shards := s.Parts[0].Part.Shards
	if len(s.Parts) != shards {
		return bad("it has %d parts, and should have %d", len(s.Parts), shards)
	}
	names, seen := make(map[string]bool, shards), make(map[int]bool, shards)
	for i := range s.Parts {
		p := &s.Parts[i].Part
		switch {
		case p.Shards != shards:
			return bad("part %s is one of %d, and another one of %d", p.Name, p.Shards, shards)
		case p.Shard < 0 || p.Shard >= shards:
			return bad("part %s is of shard %d of %d", p.Name, p.Shard, shards)
		case names[p.Name] || seen[p.Shard]:
			return bad("part %s is named twice", p.Name)
		}
		names[p.Name], seen[p.Shard] = true, true
	}
	return nil
}
