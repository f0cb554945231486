package sink

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SetID names a set, unlike any other set of any engine.
type SetID struct {
	// Generation is the set's number, which rises within one life of a data
	// directory. It does not name a set by itself: a life that begins anew, a
	// directory that was rolled back and a copy of one draw the same numbers.
	Generation uint64 `json:"generation"`
	// Kind says what the parts hold.
	Kind Kind `json:"kind"`
	// Token is drawn for each job: whoever knows it made the set, or has read
	// it from where the set is recorded. It begins with the first digits of
	// the lineage that made the set, so that what a crash left staged tells
	// whose it is. Sets of early versions have none.
	Token string `json:"token,omitempty"`
}

// NewSetID returns the ID of a set that a job of that lineage is about to make.
func NewSetID(generation uint64, kind Kind, lineage string) SetID {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return SetID{Generation: generation, Kind: kind, Token: lineageMark(lineage) + "-" + hex.EncodeToString(random[:])}
}

// lineageMark is what the tokens of a lineage begin with.
func lineageMark(lineage string) string {
	const none = "00000000"
	return (lineage + none)[:len(none)]
}

// Of tells whether a job of that lineage drew the ID. False is certain.
func (id SetID) Of(lineage string) bool {
	return lineage != "" && strings.HasPrefix(id.Token, lineageMark(lineage)+"-")
}

// String is "snapshot 00000042-3f9a1c2e-77b0d415".
func (id SetID) String() string { return fmt.Sprintf("%s %s", id.Kind, id.number()) }

// number is the generation and the token.
func (id SetID) number() string {
	if id.Token == "" {
		return fmt.Sprintf("%08d", id.Generation)
	}
	return fmt.Sprintf("%08d-%s", id.Generation, id.Token)
}

// CheckToken returns an error unless token can be a set's: nothing, or two
// groups of eight hex digits. It becomes part of a path.
func CheckToken(token string) error {
	if token == "" || isToken(token) {
		return nil
	}
	return Permanent(fmt.Errorf("%.40q cannot be the token of a set", token))
}

func isToken(s string) bool {
	if len(s) != 17 || s[8] != '-' {
		return false
	}
	return strings.Trim(s[:8], "0123456789abcdef") == "" && strings.Trim(s[9:], "0123456789abcdef") == ""
}

const segmentPrefix = "segment-"

// SetsDir is the directory of all sets, in every sink that has directories.
const SetsDir = "checkpoints"

// DirName is the name of a set's directory, in every sink that has some:
// "00000042-3f9a1c2e-77b0d415", or "segment-00000007-…".
func DirName(id SetID) string {
	if id.Kind == KindSegment {
		return segmentPrefix + id.number()
	}
	return id.number()
}

// ParseDirName is DirName's opposite; ok is false for what is not the name of
// a set's directory. Snapshots and rewrites share the numbers, and only
// SET.json tells them apart: KindSnapshot stands for both.
func ParseDirName(name string) (id SetID, ok bool) {
	id.Kind = KindSnapshot
	number, segment := strings.CutPrefix(name, segmentPrefix)
	if segment {
		id.Kind = KindSegment
	}
	digits, token, has := strings.Cut(number, "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	id.Generation, id.Token = n, token
	return id, err == nil && fmt.Sprintf("%08d", n) == digits && has == (token != "") && CheckToken(token) == nil
}

// SharesDir tells whether two sets would lie in one directory: the same but for
// snapshot and rewrite, which only SET.json tells apart.
func (id SetID) SharesDir(o SetID) bool {
	return id.Generation == o.Generation && id.Token == o.Token && (id.Kind == KindSegment) == (o.Kind == KindSegment)
}

// SortSets puts sets in the order in which List returns them: by generation, and
// by kind where that is the same.
func SortSets(sets []Set) {
	slices.SortFunc(sets, func(a, b Set) int {
		return cmp.Or(cmp.Compare(a.ID.Generation, b.ID.Generation), cmp.Compare(a.ID.Kind, b.ID.Kind))
	})
}
