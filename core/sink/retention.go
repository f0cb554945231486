package sink

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the engine writes into Set.Meta, for whoever restores.
const (
	// MetaLineage names the data directory's life. Log segments continue a
	// checkpoint only within one.
	MetaLineage = "lineage"
	// MetaFollows names, of a checkpoint, the lineages that its own goes on
	// from, in the form of Follows.
	MetaFollows = "follows"
	// MetaSegment is, of a checkpoint, the ID of the log segment that begins
	// at its cut; absent when there is no log.
	MetaSegment = "segment"
	// MetaLogID is what that segment, or an archived one, calls itself.
	MetaLogID = "log_id"
	// MetaPrevLogID is, of an archived segment, the log ID of the one before
	// it; empty when it does not continue one.
	MetaPrevLogID = "prev_log_id"
	// MetaFirstSeq and MetaLastSeq number, of an archived segment, its first
	// and last block; absent when it is empty.
	MetaFirstSeq = "first_seq"
	MetaLastSeq  = "last_seq"
	// MetaFirstTime and MetaLastTime are when these were written, in the
	// form time.RFC3339Nano; absent when it is empty.
	MetaFirstTime = "first_time"
	MetaLastTime  = "last_time"
)

// Retention says which checkpoints of a lineage stay on a sink: those that any
// of its rules keeps, and always the newest. The zero value keeps all.
type Retention struct {
	// Last keeps the newest so many.
	Last int `json:"last,omitempty"`
	// Hourly keeps the newest of each of the last so many hours (of UTC)
	// that have a checkpoint; Daily and Weekly (ISO weeks) likewise.
	Hourly int `json:"hourly,omitempty"`
	Daily  int `json:"daily,omitempty"`
	Weekly int `json:"weekly,omitempty"`
}

// All tells whether r keeps everything.
func (r Retention) All() bool { return r == Retention{} }

// String is "all", or "last 3, daily 7".
func (r Retention) String() string {
	var out []string
	for _, rule := range []struct {
		name string
		n    int
	}{{"last", r.Last}, {"hourly", r.Hourly}, {"daily", r.Daily}, {"weekly", r.Weekly}} {
		if rule.n > 0 {
			out = append(out, fmt.Sprintf("%s %d", rule.name, rule.n))
		}
	}
	if r.All() {
		return "all"
	}
	return strings.Join(out, ", ")
}

// Lineage is the life of a data directory that made the set, "" when the set
// does not say.
func (s *Set) Lineage() string { return s.Meta[MetaLineage] }

// Kept says which of the sets of a sink stay: of each lineage the checkpoints
// that one of the rules keeps, and always the newest, so that no life of a data
// directory can cost another one its backups. It looks at nothing else, not even
// at the clock, so that a sink that gets no new sets loses none.
//
// Of a lineage's log segments those stay that a kept checkpoint needs to be
// continued: from the segment at the cut of the oldest kept one on. Where no
// checkpoint says so, all stay. Newest means of the highest generation: clocks
// are set back, and differ from machine to machine.
func (r Retention) Kept(sets []Set) map[SetID]bool {
	kept := make(map[SetID]bool, len(sets))
	lives := make(map[string][]*Set)
	for i := range sets {
		s := &sets[i]
		if r.All() {
			kept[s.ID] = true
		}
		lives[s.Lineage()] = append(lives[s.Lineage()], s)
	}
	if r.All() {
		return kept
	}
	for _, life := range lives {
		r.keepOf(life, kept)
	}
	return kept
}

// keepOf is Kept for the sets of one lineage.
func (r Retention) keepOf(life []*Set, kept map[SetID]bool) {
	checkpoints := slices.DeleteFunc(slices.Clone(life), func(s *Set) bool { return s.ID.Kind == KindSegment })
	slices.SortStableFunc(checkpoints, func(a, b *Set) int {
		return cmp.Or(cmp.Compare(b.ID.Generation, a.ID.Generation), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID.Token, b.ID.Token))
	})
	for _, rule := range r.rules() {
		bucket := ""
		for i, left := 0, rule.n; i < len(checkpoints) && left > 0; i++ {
			s := checkpoints[i]
			if b := rule.bucket(s); i == 0 || b != bucket {
				kept[s.ID] = true
				bucket = b
				left--
			}
		}
	}
	if len(checkpoints) > 0 {
		kept[checkpoints[0].ID] = true
	}
	first, known := uint64(0), false // the first segment that is needed
	for _, s := range checkpoints {
		n, err := strconv.ParseUint(s.Meta[MetaSegment], 10, 64)
		if err == nil && kept[s.ID] && (!known || n < first) {
			first, known = n, true
		}
	}
	for _, s := range life {
		if s.ID.Kind == KindSegment && (!known || s.ID.Generation >= first) {
			kept[s.ID] = true
		}
	}
}

// rule keeps the newest set of each of n buckets.
type rule struct {
	n      int
	bucket func(*Set) string
}

func (r Retention) rules() []rule {
	return []rule{
		{r.Last, func(s *Set) string { return s.ID.String() }},
		{r.Hourly, func(s *Set) string { return s.CreatedAt.UTC().Format("2006-01-02T15") }},
		{r.Daily, func(s *Set) string { return s.CreatedAt.UTC().Format(time.DateOnly) }},
		{r.Weekly, func(s *Set) string {
			year, week := s.CreatedAt.UTC().ISOWeek()
			return fmt.Sprint(year, "/", week)
		}},
	}
}
