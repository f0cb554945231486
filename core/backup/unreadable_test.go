package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

const (
	life  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	other = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func id(generation uint64, kind sink.Kind, lineage string) sink.SetID {
	return sink.SetID{Generation: generation, Kind: kind, Token: fmt.Sprintf("%.8s-%08x", lineage, generation)}
}

func hour(n uint64) time.Time { return time.Date(2026, 1, 1, int(n), 0, 0, 0, time.UTC) }

// checkpoint is one of a life, taken at the hour of its number.
func checkpoint(generation uint64, lineage string) sink.Set {
	return sink.Set{ID: id(generation, sink.KindSnapshot, lineage), CreatedAt: hour(generation), Meta: map[string]string{sink.MetaLineage: lineage}}
}

// TestUnreadable: a set that cannot be read keeps a restore from something older
// where it may be what was asked for, and nowhere else.
func TestUnreadable(t *testing.T) {
	unreadable := func(id sink.SetID) error {
		return fmt.Errorf("listing: %w", errors.Join(&sink.Error{Op: "list", Path: "checkpoints/" + sink.DirName(id) + "/SET.json", Err: sink.ErrCorrupt}))
	}
	followed := checkpoint(6, life)
	followed.Meta[sink.MetaFollows] = sink.FormatFollows([]sink.Follow{{Lineage: other, Generation: 5}})
	for _, c := range []struct {
		name string
		sets []sink.Set
		bad  error
		at   backup.At
		want bool // an error
	}{
		{"the newest", []sink.Set{checkpoint(1, life), checkpoint(2, life)}, unreadable(id(3, sink.KindSnapshot, life)), backup.At{}, true},
		{"an older one", []sink.Set{checkpoint(1, life), checkpoint(3, life)}, unreadable(id(2, sink.KindSnapshot, life)), backup.At{}, false},
		{"one without a token", []sink.Set{checkpoint(1, life)}, unreadable(sink.SetID{Generation: 2, Kind: sink.KindSnapshot}), backup.At{}, true},
		{"of another lineage", []sink.Set{checkpoint(3, life)}, unreadable(id(1, sink.KindSnapshot, other)), backup.At{}, true},
		{"of another lineage, and this one is named", []sink.Set{checkpoint(3, life)}, unreadable(id(9, sink.KindSnapshot, other)), backup.At{Lineage: life}, false},
		{"of a lineage that this one goes on from", []sink.Set{followed}, unreadable(id(4, sink.KindSnapshot, other)), backup.At{}, false},
		{"of one that has gone on", []sink.Set{followed}, unreadable(id(7, sink.KindSnapshot, other)), backup.At{}, true},
		{"not known which", []sink.Set{checkpoint(3, life)}, errors.New("some set"), backup.At{}, true},
		{"before the time asked for", []sink.Set{checkpoint(1, life), checkpoint(9, life)}, unreadable(id(2, sink.KindSnapshot, life)), backup.At{Time: hour(3)}, true},
		{"behind it", []sink.Set{checkpoint(1, life), checkpoint(5, life)}, unreadable(id(6, sink.KindSnapshot, life)), backup.At{Time: hour(3)}, false},
		{"another generation", []sink.Set{checkpoint(1, life)}, unreadable(id(6, sink.KindSnapshot, life)), backup.At{Generation: 1}, false},
		{"a segment behind it", []sink.Set{checkpoint(1, life)}, unreadable(id(6, sink.KindSegment, life)), backup.At{}, true},
		{"a segment of another lineage", []sink.Set{checkpoint(1, life)}, unreadable(id(6, sink.KindSegment, other)), backup.At{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := &backup.Catalog{Checkpoints: c.sets, Unreadable: c.bad}
			p, err := cat.Plan(c.at)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Reached(); (err != nil) != c.want || c.want && (!errors.Is(err, backup.ErrNotReached) || !strings.Contains(err.Error(), p.Set.ID.String())) {
				t.Errorf("%v, want an error: %v", err, c.want)
			}
		})
	}
}

// shaped is a source that lists sets as they are.
type shaped struct {
	sink.Sink
	sets []sink.Set
}

func (s shaped) Info() sink.Info                          { return sink.Info{Name: "shaped"} }
func (s shaped) List(context.Context) ([]sink.Set, error) { return s.sets, nil }

// TestShape: a set without the parts it says it has is none.
func TestShape(t *testing.T) {
	part := func(shard, shards int, name string) sink.SetPart {
		return sink.SetPart{Part: sink.Part{Kind: sink.KindSnapshot, Generation: 1, Token: id(1, "", life).Token, Shard: shard, Shards: shards, Name: name}}
	}
	for _, c := range []struct {
		name  string
		parts []sink.SetPart
		whole bool
	}{
		{"whole", []sink.SetPart{part(0, 2, "a"), part(1, 2, "b")}, true},
		{"in another order", []sink.SetPart{part(1, 2, "b"), part(0, 2, "a")}, true},
		{"no parts", nil, false},
		{"one is missing", []sink.SetPart{part(0, 2, "a")}, false},
		{"one three times", []sink.SetPart{part(0, 3, "a"), part(0, 3, "a"), part(0, 3, "a")}, false},
		{"one shard twice", []sink.SetPart{part(0, 2, "a"), part(0, 2, "b")}, false},
		{"one name twice", []sink.SetPart{part(0, 2, "a"), part(1, 2, "a")}, false},
		{"out of range", []sink.SetPart{part(0, 2, "a"), part(2, 2, "b")}, false},
		{"negative", []sink.SetPart{part(-1, 2, "a"), part(1, 2, "b")}, false},
		{"of another number", []sink.SetPart{part(0, 2, "a"), part(1, 3, "b")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := checkpoint(1, life)
			set.Parts = c.parts
			cat, err := backup.List(context.Background(), shaped{sets: []sink.Set{set}})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(cat.Checkpoints) == 1; got != c.whole || (cat.Unreadable == nil) != c.whole {
				t.Errorf("listed: %v, unreadable: %v", got, cat.Unreadable)
			}
			if _, err := cat.Plan(backup.At{}); !c.whole && (err == nil || !strings.Contains(err.Error(), "00000001")) {
				t.Errorf("a restore says %v", err)
			}
		})
	}
}
