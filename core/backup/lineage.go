package backup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Life is what a source holds of one lineage.
type Life struct {
	// Lineage is "" for sets of versions that did not write it down.
	Lineage string `json:"lineage"`
	// Follows are the lineages that it goes on from, the latest first, and
	// how far these had come by then.
	Follows     []sink.Follow `json:"follows,omitempty"`
	Checkpoints int           `json:"checkpoints"`
	Segments    int           `json:"segments"`
	// Newest is its checkpoint of the highest generation; nil: there are only
	// segments.
	Newest *sink.Set `json:"-"`

	highest sink.Follow // of its own numbers
}

// ErrLineages is wrapped when a source holds several lineages of which none goes
// on from all others: which of them is the one to have back, a person has to say.
var ErrLineages = errors.New("several data directories have their backups there")

// Lives are the lineages of a source, in the order of their newest checkpoints.
func (c *Catalog) Lives() []Life {
	all := slices.Concat(c.Checkpoints, c.Segments)
	var lives []Life
	for i := range all {
		s := &all[i]
		n := slices.IndexFunc(lives, func(l Life) bool { return l.Lineage == s.Lineage() })
		if n < 0 {
			n = len(lives)
			lives = append(lives, Life{Lineage: s.Lineage(), highest: sink.Highest(all, s.Lineage())})
		}
		l := &lives[n]
		if s.ID.Kind == sink.KindSegment {
			l.Segments++
			continue
		}
		l.Checkpoints++
		if l.Newest == nil || s.ID.Generation >= l.Newest.ID.Generation {
			l.Newest, l.Follows = s, s.Follows()
		}
	}
	slices.SortStableFunc(lives, func(a, b Life) int { return cmp.Or(a.taken().Compare(b.taken()), cmp.Compare(a.Lineage, b.Lineage)) })
	return lives
}

func (l *Life) taken() time.Time {
	if l.Newest == nil {
		return time.Time{}
	}
	return l.Newest.CreatedAt
}

// after tells whether l goes on from o, and o has not gone on since by itself.
func (l *Life) after(o *Life) bool {
	if o.Lineage == "" {
		return true // from before there were lineages
	}
	i := slices.IndexFunc(l.Follows, func(f sink.Follow) bool { return f.Lineage == o.Lineage })
	if i < 0 {
		return false
	}
	f := l.Follows[i]
	return !f.Looked() || o.highest.Generation <= f.Generation && o.highest.Segment <= f.Segment
}

// head is the lineage that goes on from all others. Lineages of which there are
// only segments, without a checkpoint, are none that could be had back.
func head(lives []Life) (*Life, error) {
	whole := slices.DeleteFunc(slices.Clone(lives), func(l Life) bool { return l.Checkpoints == 0 })
	for i := range whole {
		l := &whole[i]
		if !slices.ContainsFunc(whole, func(o Life) bool { return o.Lineage != l.Lineage && !l.after(&o) }) {
			return l, nil
		}
	}
	var names []string
	for _, l := range whole {
		names = append(names, fmt.Sprintf("%s (%d checkpoints, the newest %s of %s, %d keys)", cmp.Or(l.Lineage, "one without a name"), l.Checkpoints,
			l.Newest.ID, l.Newest.CreatedAt.Local().Format(time.RFC3339), l.Newest.Keys()))
	}
	return nil, fmt.Errorf("%w: say the lineage that is meant: %s", ErrLineages, strings.Join(names, ", "))
}

// among returns the catalog without the sets that at does not ask about: those
// of other lineages than the one it names, and for the latest state those of
// lineages that have ended where another one goes on.
func (c *Catalog) among(at At) (*Catalog, error) {
	lives := c.Lives()
	only := func(lineage string) *Catalog {
		other := func(s sink.Set) bool { return s.Lineage() != lineage }
		return &Catalog{
			Checkpoints: slices.DeleteFunc(slices.Clone(c.Checkpoints), other),
			Segments:    slices.DeleteFunc(slices.Clone(c.Segments), other),
			Unreadable:  c.Unreadable,
		}
	}
	if at.Lineage != "" {
		named := slices.DeleteFunc(slices.Clone(lives), func(l Life) bool { return !strings.HasPrefix(l.Lineage, at.Lineage) })
		if len(named) != 1 {
			var have []string
			for _, l := range lives {
				have = append(have, l.Lineage)
			}
			return nil, fmt.Errorf("%w: %d lineages begin with %q; there are %s", ErrNoCheckpoint, len(named), at.Lineage, strings.Join(have, ", "))
		}
		return only(named[0].Lineage), nil
	}
	if len(lives) < 2 {
		return c, nil
	}
	if at.Generation != 0 {
		numbered := slices.DeleteFunc(slices.Clone(c.Checkpoints), func(s sink.Set) bool { return s.ID.Generation != at.Generation })
		if len(numbered) > 1 {
			return nil, fmt.Errorf("%w: %d checkpoints are of generation %d; say the lineage that is meant: %s", ErrLineages, len(numbered), at.Generation, lineagesOf(numbered))
		}
		return c, nil
	}
	l, err := head(lives)
	if err != nil || !at.Time.IsZero() {
		return c, err // one after the other: each moment is of one of them
	}
	return only(l.Lineage), nil
}

func lineagesOf(sets []sink.Set) string {
	var names []string
	for i := range sets {
		names = append(names, cmp.Or(sets[i].Lineage(), "one without a name"))
	}
	return strings.Join(names, ", ")
}

// seen are the lineages of the source and how far they have come, the one of the
// point first: what a data directory restored from it follows.
func (c *Catalog) seen(point *sink.Set) []sink.Follow {
	follows := point.Follows()
	for _, l := range c.Lives() {
		if l.Lineage != "" && l.Lineage != point.Lineage() {
			follows = sink.AddFollow(follows, l.highest)
		}
	}
	if l := point.Lineage(); l != "" {
		follows = sink.AddFollow(follows, sink.Highest(slices.Concat(c.Checkpoints, c.Segments), l))
	}
	return follows
}
