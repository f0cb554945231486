package backup

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// End is what a restore point ends at.
type End string

// The ends of a point.
const (
	EndCut    End = "cut"       // of the checkpoint that was asked for
	EndTime   End = "timestamp" // that was asked for
	EndSource End = "end"       // of what the source has
	EndGap    End = "gap"       // behind which there is more that does not follow
)

// Point is a state that can be had back: a checkpoint and what follows it.
type Point struct {
	At       At
	Set      sink.Set
	Segments []sink.Set // in order, each following on the one before
	// Until is the moment of which no later block counts; zero: all count.
	Until time.Time
	End   End
	Why   string // of the end, in words, where it is a gap
	// Short is why the point is not what At asks for, but something older: the
	// segments end at a gap, or a set that it may need cannot be read. nil: it
	// is what was asked for. See Reached.
	Short error
	// Reach is the last moment that the point may hold a write of.
	Reach time.Time
	// NextGeneration and NextSegment are above all numbers the source lists.
	NextGeneration, NextSegment uint64
	// Follows are the lineages of the source and how far they have come, that
	// of Set first.
	Follows []sink.Follow
}

// Plan lists the source and finds the point that at comes down to.
func Plan(ctx context.Context, src sink.Sink, at At) (*Point, error) {
	c, err := List(ctx, src)
	if err != nil {
		return nil, err
	}
	p, err := c.Plan(at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Info().Name, err)
	}
	return p, nil
}

// Plan finds the point that at comes down to: for a generation, that checkpoint
// and nothing else; for a time, the newest checkpoint up to then and the
// segments with blocks up to then; otherwise the newest checkpoint and every
// segment that follows it. An absent checkpoint wraps ErrNoCheckpoint.
func (c *Catalog) Plan(at At) (*Point, error) {
	p := &Point{At: at, NextGeneration: 1, NextSegment: 1}
	all := c
	c, err := c.among(at)
	if err != nil {
		return nil, err
	}
	for i := range all.Checkpoints {
		s := &all.Checkpoints[i]
		p.NextGeneration = max(p.NextGeneration, s.ID.Generation+1)
		if n, err := strconv.ParseUint(s.Meta[sink.MetaSegment], 10, 63); err == nil {
			p.NextSegment = max(p.NextSegment, n+1)
		}
	}
	for i := range all.Segments {
		p.NextSegment = max(p.NextSegment, all.Segments[i].ID.Generation+1)
	}
	found := c.find(at)
	if found == nil {
		return nil, c.noCheckpoint(at)
	}
	p.Set = *found.Clone()
	p.Follows = all.seen(&p.Set)
	defer func() { p.Short = c.short(p) }()
	p.End, p.Reach = EndCut, p.Set.CreatedAt
	if at.Generation != 0 {
		return p, nil
	}
	segments, gap := c.chain(found)
	p.End = EndSource
	if gap != "" {
		p.End, p.Why = EndGap, gap
	}
	if !at.Time.IsZero() {
		p.Until = at.Time
		// Blocks carry milliseconds: one of the millisecond of T is up to T.
		if i := slices.IndexFunc(segments, func(s sink.Set) bool { return blockTime(&s, sink.MetaFirstTime).After(at.Time) }); i >= 0 {
			segments = segments[:i]
			p.End, p.Why = EndTime, ""
		}
		if n := len(segments); n > 0 && blockTime(&segments[n-1], sink.MetaLastTime).After(at.Time) {
			p.End, p.Why = EndTime, ""
		}
	}
	p.Segments = segments
	if p.Reach = reach(&p.Set, segments); !at.Time.IsZero() && p.Reach.After(at.Time) {
		p.Reach = at.Time
	}
	return p, nil
}

// short is why p is older than what was asked for.
func (c *Catalog) short(p *Point) error {
	if err := c.misses(p); err != nil {
		return fmt.Errorf("of some sets it cannot be told what they are: %w", err)
	}
	if p.End == EndGap {
		return fmt.Errorf("it ends at a gap: %s", p.Why)
	}
	return nil
}

// find is the newest checkpoint that would do. Of one life the highest number is
// the newest, whatever the clock said.
func (c *Catalog) find(at At) (found *sink.Set) {
	for i := range c.Checkpoints {
		s := &c.Checkpoints[i]
		switch {
		case at.Generation != 0 && s.ID.Generation != at.Generation, !at.Time.IsZero() && s.CreatedAt.After(at.Time):
		case found == nil, found.Lineage() != s.Lineage(), found.ID.Generation < s.ID.Generation:
			found = s
		}
	}
	return found
}

func (c *Catalog) noCheckpoint(at At) error {
	unreadable := ""
	if c.Unreadable != nil {
		unreadable = fmt.Sprintf("; and of some sets it cannot be told what they are: %v", c.Unreadable)
	}
	switch {
	case len(c.Checkpoints) == 0:
		return fmt.Errorf("%w is there%s", ErrNoCheckpoint, unreadable)
	case at.Generation != 0:
		var have []string
		for i := range c.Checkpoints {
			have = append(have, strconv.FormatUint(c.Checkpoints[i].ID.Generation, 10))
		}
		return fmt.Errorf("%w of generation %d is there; there are %s%s", ErrNoCheckpoint, at.Generation, strings.Join(have, ", "), unreadable)
	}
	return fmt.Errorf("%w as old as %s is there; the oldest was taken %s%s", ErrNoCheckpoint,
		at.Time.Format(time.RFC3339Nano), c.Checkpoints[0].CreatedAt.Local().Format(time.RFC3339Nano), unreadable)
}

// Sets are the checkpoint and the segments.
func (p *Point) Sets() []sink.Set { return append([]sink.Set{p.Set}, p.Segments...) }

// Bytes is the stored size of all of it.
func (p *Point) Bytes() (n int64) {
	for _, s := range p.Sets() {
		n += s.Bytes()
	}
	return n
}

// Lineage is the life of the data directory that wrote it, "" when not known.
func (p *Point) Lineage() string { return p.Set.Meta[sink.MetaLineage] }

// String says what the point is; no two points say the same.
func (p *Point) String() string {
	var b strings.Builder
	if p.Set.ID.Generation == 0 {
		b.WriteString("nothing")
	} else {
		fmt.Fprintf(&b, "%s, taken %s", p.Set.ID, p.Set.CreatedAt.UTC().Format(time.RFC3339Nano))
	}
	if l := p.Lineage(); l != "" {
		fmt.Fprintf(&b, " by %s", l)
	}
	if n := len(p.Segments); n > 0 {
		fmt.Fprintf(&b, ", and log segments %d to %d", p.Segments[0].ID.Generation, p.Segments[n-1].ID.Generation)
	}
	if !p.Until.IsZero() {
		fmt.Fprintf(&b, ", until %s", p.Until.UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}
