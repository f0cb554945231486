package backup_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// TestChain: segments continue a checkpoint as long as each names the one
// before and its blocks go on where the last block was, however many segments
// without blocks are between: those that `spillway repair` has emptied come to
// an archive before what is written next, and what they once held is still there
// behind them.
func TestChain(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		segments []string // first to last block, "-" for none
		want     int
	}{
		{"whole", []string{"1-7", "8-11", "12-12"}, 3},
		{"later in a life", []string{"100-107", "108-111"}, 2},
		{"an empty one", []string{"1-7", "-", "8-9"}, 3},
		{"empty ones", []string{"-", "-", "5-6", "-", "-", "7-9"}, 6},
		{"cut", []string{"1-5", "8-11"}, 1},
		{"cut, and the next emptied", []string{"1-5", "-", "12-12"}, 2},
		{"cut, and the next two emptied", []string{"1-5", "-", "-", "13-14"}, 3},
		{"repeated behind an empty one", []string{"1-5", "-", "5-6"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := &backup.Catalog{Checkpoints: []sink.Set{{
				ID: sink.SetID{Generation: 1, Kind: sink.KindSnapshot}, CreatedAt: began,
				Meta: map[string]string{sink.MetaLineage: "life", sink.MetaSegment: "1", sink.MetaLogID: "id1"},
			}}}
			for i, blocks := range c.segments {
				s := sink.Set{
					ID: sink.SetID{Generation: uint64(i + 1), Kind: sink.KindSegment}, CreatedAt: began.Add(time.Duration(i) * time.Minute),
					Meta: map[string]string{sink.MetaLineage: "life", sink.MetaLogID: "id" + strconv.Itoa(i+1)},
				}
				if i > 0 {
					s.Meta[sink.MetaPrevLogID] = "id" + strconv.Itoa(i)
				}
				if first, last, _ := strings.Cut(blocks, "-"); first != "" {
					s.Meta[sink.MetaFirstSeq], s.Meta[sink.MetaLastSeq] = first, last
				}
				cat.Segments = append(cat.Segments, s)
			}
			p, err := cat.Plan(backup.At{})
			if err != nil {
				t.Fatal(err)
			}
			end := backup.EndSource
			if c.want < len(c.segments) {
				end = backup.EndGap
			}
			if len(p.Segments) != c.want || p.End != end {
				t.Errorf("%v: %d segments count, to the %s (%s); want %d, to the %s", c.segments, len(p.Segments), p.End, p.Why, c.want, end)
			}
			if w := cat.Windows(); len(w) != 1 || w[0].Segments != c.want || (w[0].Gap != "") != (end == backup.EndGap) {
				t.Errorf("%v: windows %+v", c.segments, w)
			}
		})
	}
}
