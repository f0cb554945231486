package lives

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// mayPrune says why the process may not remove a published set that it has not
// just made, "" if it may. local are the checkpoints in its data directory. The
// caller holds the world's mu.
func (c *client) mayPrune(r *record, local []*record) (why string) {
	lineage := r.set.Lineage()
	switch {
	case !c.pr.of(lineage):
		return "it is of another lineage"
	case !c.pr.chain.made(r) && !c.pr.had(&r.set) && !c.pr.belated(r):
		return "it belongs to a directory that goes on elsewhere, and the remover knows nothing of it"
	case c.keep.All():
		return "everything is to be kept"
	}
	checkpoints := checkpointsOf(c.p.here(lineage))
	for _, o := range checkpointsOf(c.seen) { // what another has removed since then, in its own right, and what is not known for certain
		if o.set.Lineage() == lineage && (o.gone || !o.sure) {
			checkpoints = append(checkpoints, o)
		}
	}
	if r.set.ID.Kind != sink.KindSegment {
		if keeps(c.keep, checkpoints, r) {
			return "its retention keeps it: " + c.keep.String()
		}
		return ""
	}
	// What has come since the remover looked cannot count for a segment.
	checkpoints = nil
	for _, o := range checkpointsOf(c.seen) {
		if o.set.Lineage() == lineage {
			checkpoints = append(checkpoints, o)
		}
	}
	for _, l := range local {
		if l.set.Lineage() == lineage {
			checkpoints = append(checkpoints, l)
		}
	}
	begun := false
	for _, k := range checkpoints {
		first, err := strconv.ParseUint(k.set.Meta[sink.MetaSegment], 10, 64)
		if err != nil || !keeps(c.keep, checkpoints, k) && !newest(checkpoints, k) {
			continue
		}
		if begun = true; r.set.ID.Generation >= first {
			return "checkpoint " + k.set.ID.String() + ", which is kept, goes on with it"
		}
	}
	if !begun {
		return "no checkpoint says that it is not needed"
	}
	return ""
}

// had tells whether the archived segment was in the process's own directory: two
// copies of it tell nobody which of them wrote its end.
func (pr *process) had(s *sink.Set) bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return s.ID.Kind == sink.KindSegment && pr.logs[s.Meta[sink.MetaLogID]]
}

// belated tells whether the set is one that no start can tell from the directory's
// own: a copy published it under a number that this directory had used by then,
// and the process that would have noticed is gone.
func (pr *process) belated(r *record) bool {
	next := pr.nextGeneration
	if r.set.ID.Kind == sink.KindSegment {
		next = pr.nextSegment
	}
	return r.seq <= pr.began && r.set.ID.Generation < next
}

func checkpointsOf(all []*record) (checkpoints []*record) {
	for _, r := range all {
		if r.set.ID.Kind != sink.KindSegment {
			checkpoints = append(checkpoints, r)
		}
	}
	return checkpoints
}

// keeps works out whether a retention keeps one of the checkpoints of a lineage,
// from its words: those that are newer are counted, each moment once.
func keeps(keep sink.Retention, checkpoints []*record, r *record) bool {
	newer := make(map[sink.SetID]bool)
	for _, o := range checkpoints {
		// Two of one number are a copy's and the original's, of one moment or not.
		if o.set.ID.Generation >= r.set.ID.Generation && o.set.ID != r.set.ID {
			newer[o.set.ID] = true
		}
	}
	if len(newer) < max(keep.Last, 1) {
		return true
	}
	for _, rule := range []struct {
		n      int
		moment func(time.Time) string
	}{
		{keep.Hourly, func(t time.Time) string { return t.Truncate(time.Hour).String() }},
		{keep.Daily, func(t time.Time) string { return t.Format("2006/002") }},
		{keep.Weekly, func(t time.Time) string { y, w := t.ISOWeek(); return strconv.Itoa(y) + "/" + strconv.Itoa(w) }},
	} {
		if rule.n > 0 && newestOf(rule.n, rule.moment, checkpoints, r) {
			return true
		}
	}
	return false
}

// newest tells whether no checkpoint has a higher number.
func newest(checkpoints []*record, r *record) bool {
	return !slices.ContainsFunc(checkpoints, func(o *record) bool { return o.set.ID.Generation > r.set.ID.Generation })
}

// newestOf tells whether r is the newest of one of the last n moments.
func newestOf(n int, moment func(time.Time) string, checkpoints []*record, r *record) bool {
	sorted := slices.Clone(checkpoints)
	slices.SortStableFunc(sorted, func(a, b *record) int { return cmp.Compare(b.set.ID.Generation, a.set.ID.Generation) })
	seen := make(map[string]bool)
	for _, o := range sorted {
		m := moment(o.set.CreatedAt.UTC())
		if o.set.ID == r.set.ID {
			return !seen[m] && len(seen) < n
		}
		seen[m] = true
	}
	return false
}

// localSets are the checkpoints in the data directory.
func (pr *process) localSets() (sets []*record) {
	found, err := sink.NewFSSink("local", pr.disk, "checkpoints").List(ctx)
	if err != nil {
		return nil
	}
	for _, s := range found {
		sets = append(sets, &record{set: s})
	}
	return sets
}
