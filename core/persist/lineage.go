package persist

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// ancestry is who this data directory is among those whose sets a sink may
// hold: its lineage, the lineages that it follows, and the numbers that it has
// drawn. A lineage is the life of one directory; a restore begins another one,
// which follows it.
//
// Of a set of our own lineage on a sink there are three cases. We know it: our
// manifest is beyond its number. We do not, and it is the first look: then this
// directory is older than the sink, because it was rolled back or because a copy
// of it goes on elsewhere. Or we looked before, and it came since: then somebody
// goes on with a copy of this directory right now, a twin, and neither can be
// told to be the right one. Both go on, and this one under a lineage of its own
// from its next rotation on (see rotate).
type ancestry struct {
	log     hclog.Logger
	now     func() time.Time
	numbers func() (generation, segment uint64) // that are to be drawn next
	adopt   bool                                // Options.Adopt

	mu      sync.Mutex
	lineage string
	follows []sink.Follow
	// What this process has drawn: of each generation the token, of each
	// segment its log ID. The oldest are forgotten, see remember.
	tokens, logIDs           map[uint64]string
	sinceGeneration, sinceID uint64 // what is not in the maps from here on is not ours
	// The first numbers that this process may draw; set by begin.
	firstGeneration, firstSegment uint64
	// The checkpoints of our lineage, with numbers below those, that sinks held when they
	// were first asked, and those that the manifest named: an earlier process has made
	// them. What turns up later under such a number is somebody else's.
	before map[sink.SetID]bool
	// Beyond these is whatever a sink was seen to hold.
	generations, segments uint64
	twin                  *sink.Follow // the lineage is shared: what others have made of it
	// The active segment as it was found, and its last block.
	tail    string
	lastSeq uint64
}

// remembered is how many numbers this process recognises as its own.
const remembered = 4096

// begin takes in what recovery has found: m, and the last block of its log.
func (a *ancestry) begin(m *manifest.Manifest, lastSeq uint64) {
	a.become(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens, a.logIDs = make(map[uint64]string), make(map[uint64]string)
	a.before = make(map[sink.SetID]bool)
	for _, id := range m.Sets() {
		a.tokens[id.Generation] = id.Token
		a.before[id] = true
	}
	a.sinceGeneration, a.sinceID = m.NextGeneration, m.NextSegment
	a.firstGeneration, a.firstSegment = m.NextGeneration, m.NextSegment
	if n := len(m.Segments); n > 0 {
		a.tail, a.lastSeq = m.Segments[n-1].LogID, lastSeq
	}
}

// become takes in the manifest in force.
func (a *ancestry) become(m *manifest.Manifest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lineage != m.Lineage {
		a.twin = nil
	}
	a.lineage, a.follows = m.Lineage, m.Ancestry()
}

// drew notes a set that this process is about to make.
func (a *ancestry) drew(id sink.SetID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	remember(a.tokens, &a.sinceGeneration, id.Generation, id.Token)
}

// created notes a segment of this process's.
func (a *ancestry) created(s manifest.Segment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	remember(a.logIDs, &a.sinceID, s.ID, s.LogID)
}

func remember(names map[uint64]string, since *uint64, n uint64, name string) {
	if names == nil {
		return // before begin
	}
	names[n] = name
	if n >= remembered && n-remembered >= *since {
		*since = n - remembered + 1
		maps.DeleteFunc(names, func(old uint64, _ string) bool { return old < *since })
	}
}

// above raises the numbers to be drawn next beyond those that sinks hold.
func (a *ancestry) above(generation, segment *uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*generation, *segment = max(*generation, a.generations), max(*segment, a.segments)
}

// fork is what m's successor has to follow because its lineage is shared; ok is
// false when it is not.
func (a *ancestry) fork() (f sink.Follow, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.twin == nil {
		return f, false
	}
	return *a.twin, true
}

// verdict is what a target's sets mean to this engine.
type verdict struct {
	target string
	passed bool // an earlier one let us in
	adopt  bool
	ours   bool // there are sets of this lineage, or of one that it follows

	later     []sink.Set   // of this lineage, and unknown to it
	before    []sink.SetID // of this lineage, made by earlier processes
	goneOn    []sink.Set   // of lineages that it follows, beyond what was there then
	strangers []sink.Follow
	newest    map[string]sink.Set // of each lineage
	count     map[string]int      // its checkpoints

	highest map[string]sink.Follow
}

// judge looks at what a target holds.
func (a *ancestry) judge(target string, sets []sink.Set, passed bool) *verdict {
	nextGeneration, nextSegment := a.numbers()
	a.mu.Lock()
	defer a.mu.Unlock()
	v := &verdict{
		target: target, passed: passed, adopt: a.adopt,
		newest: make(map[string]sink.Set), count: make(map[string]int), highest: make(map[string]sink.Follow),
	}
	for _, s := range sets {
		l := s.Lineage()
		if l == "" {
			continue // of a version that knew no lineages
		}
		v.add(l, s)
		followed := slices.IndexFunc(a.follows, func(f sink.Follow) bool { return f.Lineage == l })
		switch {
		case l == a.lineage:
			v.ours = true
			switch {
			case a.unknown(&s, nextGeneration, nextSegment) || passed && a.late(&s):
				v.later = append(v.later, s)
			case !passed && a.earlier(&s):
				v.before = append(v.before, s.ID)
			}
		case followed >= 0:
			v.ours = true
			if f := a.follows[followed]; f.Looked() && !f.Parted && beyond(&s, f) {
				v.goneOn = append(v.goneOn, s)
			}
		}
	}
	for l, f := range v.highest {
		if l != a.lineage && !slices.ContainsFunc(a.follows, func(f sink.Follow) bool { return f.Lineage == l }) {
			v.strangers = append(v.strangers, f)
		}
	}
	slices.SortFunc(v.strangers, func(a, b sink.Follow) int { return strings.Compare(a.Lineage, b.Lineage) })
	return v
}

func beyond(s *sink.Set, f sink.Follow) bool {
	if s.ID.Kind == sink.KindSegment {
		return s.ID.Generation > f.Segment
	}
	return s.ID.Generation > f.Generation
}

// unknown tells whether a set of our lineage is none that this directory has
// made. The caller holds mu.
func (a *ancestry) unknown(s *sink.Set, nextGeneration, nextSegment uint64) bool {
	n := s.ID.Generation
	if s.ID.Kind != sink.KindSegment {
		token, drawn := a.tokens[n]
		return n >= nextGeneration || drawn && token != s.ID.Token || !drawn && n >= a.sinceGeneration
	}
	if n >= nextSegment || n >= a.sinceID && a.logIDs[n] != s.Meta[sink.MetaLogID] {
		return true
	}
	// Archived when it had more blocks than this directory has of it.
	last, err := strconv.ParseUint(s.Meta[sink.MetaLastSeq], 10, 64)
	return err == nil && a.tail != "" && s.Meta[sink.MetaLogID] == a.tail && n < a.sinceID && a.sinceID == nextSegment && last > a.lastSeq
}

// earlier tells whether a checkpoint of our lineage has a number that this process
// cannot have drawn. The caller holds mu.
func (a *ancestry) earlier(s *sink.Set) bool {
	return s.ID.Kind != sink.KindSegment && s.ID.Generation < a.firstGeneration
}

// late tells whether a checkpoint of our lineage that an earlier process should have made
// was on no sink when that was first asked: a copy of this directory has published it
// since, under a number that was drawn already. The caller holds mu.
func (a *ancestry) late(s *sink.Set) bool { return a.earlier(s) && !a.before[s.ID] }

// knows tells whether a set is of our lineage, and not one that somebody else has
// made in its name. Of a sink that was not asked yet it knows nothing that an earlier
// process has made.
func (a *ancestry) knows(s *sink.Set) bool {
	nextGeneration, nextSegment := a.numbers()
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.Lineage() == a.lineage && !a.unknown(s, nextGeneration, nextSegment) && !a.late(s)
}

// add counts one set of a lineage.
func (v *verdict) add(lineage string, s sink.Set) {
	f := v.highest[lineage]
	f.Lineage = lineage
	if s.ID.Kind == sink.KindSegment {
		f.Segment = max(f.Segment, s.ID.Generation)
	} else {
		f.Generation = max(f.Generation, s.ID.Generation)
		v.count[lineage]++
	}
	v.highest[lineage] = f
	if old, ok := v.newest[lineage]; !ok || old.ID.Kind == sink.KindSegment || s.ID.Kind != sink.KindSegment && s.ID.Generation >= old.ID.Generation {
		v.newest[lineage] = s
	}
}

// err is why the target may not be used, nil if it may.
func (v *verdict) err() error {
	e := &SinkStateError{Sink: v.target}
	switch {
	case v.adopt && !v.passed:
		return nil
	case len(v.goneOn) > 0:
		e.State, e.Found = SinkGoneOn, v.goneOn
	case len(v.later) > 0 && !v.passed:
		e.State, e.Found = SinkLater, v.later
	case len(v.strangers) > 0 && !v.ours && !v.passed:
		e.State = SinkForeign
		for _, f := range v.strangers {
			e.Found = append(e.Found, v.newest[f.Lineage])
			e.Checkpoints += v.count[f.Lineage]
		}
	default:
		return nil
	}
	return e
}

// learn takes in what a target holds that may be used.
func (a *ancestry) learn(v *verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range v.before {
		a.before[id] = true
	}
	for l, f := range v.highest {
		a.generations, a.segments = max(a.generations, f.Generation+1), max(a.segments, f.Segment+1)
		for i := range a.follows {
			if o := &a.follows[i]; o.Lineage == l && !o.Looked() {
				o.Generation, o.Segment = f.Generation, f.Segment
			}
		}
	}
	if len(v.later) == 0 {
		return
	}
	if a.twin == nil {
		a.log.Error("a sink holds sets of this lineage that this data directory has not made: a copy of it goes on elsewhere, or it was rolled back; it goes on under a lineage of its own",
			"sink", v.target, "lineage", a.lineage, "found", v.later[0].ID.String())
		a.twin = &sink.Follow{Lineage: a.lineage, Parted: true}
	}
	f := v.highest[a.lineage]
	a.twin.Generation, a.twin.Segment = max(a.twin.Generation, f.Generation), max(a.twin.Segment, f.Segment)
}

// goOn is the lineage that a start goes on under, and what it follows, given
// what the targets hold that it may use: with [Options.Adopt] that is also what
// speaks against it.
func (a *ancestry) goOn(verdicts []*verdict) (lineage string, follows []sink.Follow) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lineage, follows = a.lineage, a.follows
	for _, v := range verdicts {
		for _, s := range v.goneOn {
			follows = sink.AddFollow(follows, parted(v.highest[s.Lineage()]))
		}
		for _, f := range v.strangers {
			if !v.ours {
				follows = sink.AddFollow(follows, parted(f))
			}
		}
	}
	if a.twin != nil {
		lineage, follows = manifest.NewLineage(), sink.AddFollow(follows, *a.twin)
	}
	return lineage, follows
}

func parted(f sink.Follow) sink.Follow {
	f.Parted = true
	return f
}

// The states of a sink that an engine does not start with.
const (
	SinkForeign = "foreign"   // it holds sets of other data directories only
	SinkLater   = "later"     // it holds a later state of this directory
	SinkGoneOn  = "gone on"   // a lineage that this directory follows goes on there
	SinkUnknown = "no answer" // it cannot be asked, and this directory is empty
)

// SinkStateError says that a sink holds what this data directory must not be
// taken for: nothing was changed. [Options.Adopt] goes on in spite of it.
type SinkStateError struct {
	Sink  string
	State string // one of the constants above
	// Empty: the data directory holds no key.
	Empty bool
	// Found are sets that show it: the newest of each lineage, or those that
	// are beyond what this directory knows.
	Found []sink.Set
	// Checkpoints counts those of other directories.
	Checkpoints int
	// Err is why it cannot be asked.
	Err error
}

// Error implements error.
func (e *SinkStateError) Error() string {
	this := "this data directory has none there"
	if e.Empty {
		this = "this data directory is empty"
	}
	switch e.State {
	case SinkForeign:
		return fmt.Sprintf("sink %q holds %d checkpoints of another data directory (%s), and %s", e.Sink, e.Checkpoints, describe(e.Found), this)
	case SinkLater:
		return fmt.Sprintf("sink %q holds a later state of this data directory (%s): the directory was rolled back, or a copy of it goes on elsewhere", e.Sink, describe(e.Found))
	case SinkGoneOn:
		return fmt.Sprintf("sink %q holds more of the data directory that this one was restored from than the restore had (%s): that one goes on, or not everything was restored", e.Sink, describe(e.Found))
	}
	return fmt.Sprintf("sink %q cannot be asked whether it holds backups, and %s: %v", e.Sink, this, e.Err)
}

// Unwrap is why the sink could not be asked.
func (e *SinkStateError) Unwrap() error { return e.Err }

// describe names the newest of the sets.
func describe(sets []sink.Set) string {
	newest := slices.MaxFunc(sets, func(a, b sink.Set) int { return a.CreatedAt.Compare(b.CreatedAt) })
	s := fmt.Sprintf("%s of lineage %s, taken %s", newest.ID, newest.Lineage(), newest.CreatedAt.UTC().Format(time.RFC3339))
	if newest.ID.Kind != sink.KindSegment {
		s += fmt.Sprintf(", %d keys", newest.Keys())
	}
	return s
}
