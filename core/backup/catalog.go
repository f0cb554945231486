package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Catalog is what a source holds.
type Catalog struct {
	// Checkpoints are in the order they were taken.
	Checkpoints []sink.Set
	// Segments are in the order of their numbers.
	Segments []sink.Set
	// Unreadable is what is to be said of sets that the source cannot describe,
	// or that lack parts; the others are here. nil: there are none.
	Unreadable error
}

// ErrNoCheckpoint is wrapped when a source has no checkpoint that would do.
var ErrNoCheckpoint = errors.New("no checkpoint")

// List asks the source what it holds. A source that can name no set at all and
// reports an error is an error.
func List(ctx context.Context, src sink.Sink) (*Catalog, error) {
	sets, err := src.List(ctx)
	if err != nil && len(sets) == 0 {
		return nil, fmt.Errorf("listing %s: %w", src.Info().Name, err)
	}
	var described []sink.Set
	for _, s := range sets {
		if lack := whole(&s); lack != nil {
			err = errors.Join(err, lack)
			continue
		}
		described = append(described, s)
	}
	c := NewCatalog(described)
	c.Unreadable = err
	return c, nil
}

// NewCatalog is the catalog of a source that holds these sets.
func NewCatalog(sets []sink.Set) *Catalog {
	c := new(Catalog)
	for _, s := range sets {
		if s.ID.Kind == sink.KindSegment {
			c.Segments = append(c.Segments, s)
		} else {
			c.Checkpoints = append(c.Checkpoints, s)
		}
	}
	slices.SortStableFunc(c.Checkpoints, func(a, b sink.Set) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID.Generation, b.ID.Generation))
	})
	slices.SortStableFunc(c.Segments, func(a, b sink.Set) int { return cmp.Compare(a.ID.Generation, b.ID.Generation) })
	return c
}

// chain is the segments that follow a checkpoint, one after the other, up to
// the first that is missing, and why it ends there where that is a gap.
func (c *Catalog) chain(set *sink.Set) (segments []sink.Set, gap string) {
	first, err := strconv.ParseUint(set.Meta[sink.MetaSegment], 10, 64)
	if err != nil {
		return nil, "" // no log was kept, or a version wrote it that did not say
	}
	next, seq := first, uint64(0) // the segment that goes on, and behind which block
	rest := slices.DeleteFunc(slices.Clone(c.Segments), func(s sink.Set) bool {
		return s.ID.Generation < first || s.Lineage() != set.Lineage()
	})
	for len(rest) > 0 {
		number := rest[0].ID.Generation
		n := len(rest)
		if i := slices.IndexFunc(rest, func(s sink.Set) bool { return s.ID.Generation != number }); i > 0 {
			n = i
		}
		copies := rest[:n]
		rest = rest[n:]
		goOn := slices.DeleteFunc(slices.Clone(copies), func(s sink.Set) bool {
			if len(segments) == 0 {
				return number != first || s.Meta[sink.MetaLogID] != set.Meta[sink.MetaLogID]
			}
			return !follows(&segments[len(segments)-1], &s, seq)
		})
		if len(goOn) == 0 { // they are of this life and later, and do not say that they follow
			if number > next {
				gap = fmt.Sprintf("segment %d is not in the source; ", next)
			}
			return segments, gap + fmt.Sprintf("segment %d, archived %s, does not follow on what is", number, copies[0].CreatedAt.Format(time.RFC3339))
		}
		s := pick(goOn, rest, seq)
		segments = append(segments, s)
		next, seq = number+1, cmp.Or(blockSeq(&s, sink.MetaLastSeq), seq)
	}
	return segments, ""
}

// pick chooses among several copies of a segment: the one that a later segment
// goes on from, or else the longest. There are several where a power loss took
// back that a segment was finished, and the log went on in it, and where a copy
// of the data directory went on under the same lineage before it was noticed.
func pick(copies, rest []sink.Set, seq uint64) sink.Set {
	best := copies[0]
	for _, s := range copies {
		last := cmp.Or(blockSeq(&s, sink.MetaLastSeq), seq)
		if slices.ContainsFunc(rest, func(o sink.Set) bool { return follows(&s, &o, last) && blockSeq(&o, sink.MetaFirstSeq) != 0 }) {
			return s
		}
		if blockSeq(&s, sink.MetaLastSeq) > blockSeq(&best, sink.MetaLastSeq) {
			best = s
		}
	}
	return best
}

// follows tells whether segment b begins where a ends, with the block behind
// seq. Where there was no block before, seq is 0 and any may be the first.
func follows(a, b *sink.Set, seq uint64) bool {
	if id := b.Meta[sink.MetaPrevLogID]; id == "" || id != a.Meta[sink.MetaLogID] {
		return false
	}
	first := blockSeq(b, sink.MetaFirstSeq)
	return first == 0 || seq == 0 || first == seq+1
}

// blockSeq is one of a segment's two sequence numbers; 0 when it has no block.
func blockSeq(s *sink.Set, which string) uint64 {
	n, err := strconv.ParseUint(s.Meta[which], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// blockTime is one of a segment's two times; zero when it has no block.
func blockTime(s *sink.Set, which string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s.Meta[which])
	if err != nil {
		return time.Time{}
	}
	return t
}

// reach is the last moment that a checkpoint with these segments holds a write of.
func reach(set *sink.Set, segments []sink.Set) time.Time {
	t := set.CreatedAt
	for i := range segments {
		if last := blockTime(&segments[i], sink.MetaLastTime); last.After(t) {
			t = last
		}
	}
	return t
}

// Window is a stretch of time of which every moment can be had back.
type Window struct {
	From        time.Time    `json:"from"` // the cut of the first checkpoint
	To          time.Time    `json:"to"`   // the last write that is there
	Lineage     string       `json:"lineage,omitempty"`
	Checkpoints []sink.SetID `json:"checkpoints"`
	Segments    int          `json:"segments"`
	// Gap is why it does not go on although later segments are there.
	Gap string `json:"gap,omitempty"`
}

// Windows are the restorable stretches of time, in the order of their
// beginnings.
func (c *Catalog) Windows() []Window {
	type open struct {
		w    Window
		next uint64 // the segment that would go on
	}
	var out []*open
	for i := range c.Checkpoints {
		set := &c.Checkpoints[i]
		segments, gap := c.chain(set)
		if len(segments) == 0 && c.continued(i) {
			gap = "" // the log behind it was not archived, or is retired: there is nothing to miss
		}
		first, err := strconv.ParseUint(set.Meta[sink.MetaSegment], 10, 64)
		next := first
		if n := len(segments); n > 0 {
			next = segments[n-1].ID.Generation + 1
		}
		var last *open
		for _, o := range slices.Backward(out) {
			if o.w.Lineage == set.Meta[sink.MetaLineage] {
				last = o
				break
			}
		}
		// The segments before the one that begins at this cut are all there.
		if last != nil && err == nil && last.next >= first {
			last.w.Checkpoints = append(last.w.Checkpoints, set.ID)
			last.w.Segments += int(max(next, last.next) - last.next)
			last.w.To, last.w.Gap, last.next = latest(last.w.To, reach(set, segments)), gap, max(next, last.next)
			continue
		}
		out = append(out, &open{Window{
			From: set.CreatedAt, To: reach(set, segments), Lineage: set.Meta[sink.MetaLineage],
			Checkpoints: []sink.SetID{set.ID}, Segments: len(segments), Gap: gap,
		}, next})
	}
	windows := make([]Window, 0, len(out))
	for _, o := range out {
		windows = append(windows, o.w)
	}
	return windows
}

// continued tells whether a later checkpoint is of the same life.
func (c *Catalog) continued(i int) bool {
	return slices.ContainsFunc(c.Checkpoints[i+1:], func(s sink.Set) bool {
		return s.Meta[sink.MetaLineage] == c.Checkpoints[i].Meta[sink.MetaLineage]
	})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
