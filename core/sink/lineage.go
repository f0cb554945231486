package sink

import (
	"slices"
	"strconv"
	"strings"
)

// A Follow says that one lineage goes on from another: its data directory was
// restored from the other's sets, or a person has had it go on beside them.
type Follow struct {
	// Lineage is the one that came before.
	Lineage string `json:"lineage"`
	// Generation and Segment are the highest numbers of its checkpoints and
	// archived segments that were seen then. When it has higher ones, it has
	// not ended there: somebody goes on with it. 0 and 0 mean that nobody has
	// looked yet.
	Generation uint64 `json:"generation"`
	Segment    uint64 `json:"segment"`
	// Parted: both may go on, since a person said so or since the two were
	// found to share a lineage. Otherwise the other one is taken for gone, and
	// higher numbers of it mean that it is not.
	Parted bool `json:"parted,omitempty"`
}

// Looked tells whether the numbers are known.
func (f Follow) Looked() bool { return f.Generation != 0 || f.Segment != 0 }

// MaxFollows bounds how many lineages are remembered; the oldest go first.
const MaxFollows = 16

// ValidLineage tells whether s can be the name of a lineage: 32 hex digits.
func ValidLineage(s string) bool { return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" }

// AddFollow puts one lineage before the others, in place of what was known of
// it. What cannot be the name of one is left out.
func AddFollow(follows []Follow, f Follow) []Follow {
	if !ValidLineage(f.Lineage) {
		return follows
	}
	rest := slices.DeleteFunc(slices.Clone(follows), func(o Follow) bool { return o.Lineage == f.Lineage })
	return append([]Follow{f}, rest[:min(len(rest), MaxFollows-1)]...)
}

// FormatFollows is the form of MetaFollows: "lineage:generation:segment", with
// commas between them. Whether they have parted is nothing to a restore.
func FormatFollows(follows []Follow) string {
	var out []string
	for _, f := range follows {
		out = append(out, f.Lineage+":"+strconv.FormatUint(f.Generation, 10)+":"+strconv.FormatUint(f.Segment, 10))
	}
	return strings.Join(out, ",")
}

// Follows are the lineages that the set's own goes on from, the latest first.
// What is not in the form of FormatFollows is left out.
func (s *Set) Follows() (follows []Follow) {
	for item := range strings.SplitSeq(s.Meta[MetaFollows], ",") {
		f := strings.Split(item, ":")
		if len(f) != 3 || !ValidLineage(f[0]) {
			continue
		}
		gen, err1 := strconv.ParseUint(f[1], 10, 64)
		seg, err2 := strconv.ParseUint(f[2], 10, 64)
		if err1 == nil && err2 == nil && len(follows) < MaxFollows {
			follows = append(follows, Follow{Lineage: f[0], Generation: gen, Segment: seg})
		}
	}
	return follows
}

// Highest are the highest numbers that a lineage has among sets, as a Follow.
func Highest(sets []Set, lineage string) Follow {
	f := Follow{Lineage: lineage}
	for i := range sets {
		switch s := &sets[i]; {
		case s.Lineage() != lineage:
		case s.ID.Kind == KindSegment:
			f.Segment = max(f.Segment, s.ID.Generation)
		default:
			f.Generation = max(f.Generation, s.ID.Generation)
		}
	}
	return f
}
