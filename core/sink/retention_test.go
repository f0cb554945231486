package sink_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/sink"
)

// TestRetention runs testdata/retention: "keep last=… hourly=… daily=…
// weekly=…" over the sets below it, one a line,
//
//	snapshot|rewrite GENERATION TIME [segment=N] [lineage=X]
//	segment          ID         TIME [lineage=X]
//
// or "every=DURATION n=N" as a line: N snapshots, the last one at its TIME. It
// prints what stays, in the order of the input, and how many go.
func TestRetention(t *testing.T) {
	datadriven.RunTest(t, "testdata/retention", func(t *testing.T, d *datadriven.TestData) string {
		var r sink.Retention
		d.MaybeScanArgs(t, "last", &r.Last)
		d.MaybeScanArgs(t, "hourly", &r.Hourly)
		d.MaybeScanArgs(t, "daily", &r.Daily)
		d.MaybeScanArgs(t, "weekly", &r.Weekly)
		sets := parseSets(t, d)
		before := fmt.Sprint(sets)
		kept := r.Kept(sets)
		reversed := slices.Clone(sets)
		slices.Reverse(reversed)
		if again := r.Kept(reversed); fmt.Sprint(again) != fmt.Sprint(kept) {
			d.Fatalf(t, "it depends on the order: %v, %v", kept, again)
		}
		if fmt.Sprint(sets) != before {
			d.Fatalf(t, "the sets were changed")
		}
		var out strings.Builder
		fmt.Fprintf(&out, "%s:\n", r)
		for _, s := range sets {
			if kept[s.ID] {
				fmt.Fprintf(&out, "%s %s\n", s.ID, s.CreatedAt.Format(time.RFC3339))
			}
		}
		fmt.Fprintf(&out, "%d go\n", len(sets)-len(kept))
		return out.String()
	})
}

func parseSets(t *testing.T, d *datadriven.TestData) (sets []sink.Set) {
	t.Helper()
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		opt := map[string]string{}
		for _, o := range f {
			if k, v, ok := strings.Cut(o, "="); ok {
				opt[k] = v
			}
		}
		at, err := time.Parse(time.RFC3339, f[2])
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		if opt["every"] != "" {
			every, err1 := time.ParseDuration(opt["every"])
			n, err2 := strconv.Atoi(opt["n"])
			if err1 != nil || err2 != nil {
				d.Fatalf(t, "%s: %v %v", line, err1, err2)
			}
			for i := range n {
				sets = append(sets, sink.Set{ID: sink.SetID{Generation: uint64(i + 1), Kind: sink.KindSnapshot}, CreatedAt: at.Add(-time.Duration(n-1-i) * every)})
			}
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		s := sink.Set{ID: sink.SetID{Generation: n, Kind: sink.Kind(f[0])}, CreatedAt: at, Meta: map[string]string{}}
		if v := opt["segment"]; v != "" {
			s.Meta[sink.MetaSegment] = v
		}
		if v := opt["lineage"]; v != "" {
			s.Meta[sink.MetaLineage] = v
		}
		sets = append(sets, s)
	}
	return sets
}
