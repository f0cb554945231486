package memfs_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

var seedFlag = flag.Uint64("seed", 0, "replay TestModel with this seed only")

// TestModel takes random scripts to memfs and to the model: CrashClone leaves
// nothing but what the model says a disk may hold, and of that every choice of
// names and every content of each file.
func TestModel(t *testing.T) {
	first, scripts := uint64(time.Now().UnixNano()), uint64(150)
	if *seedFlag != 0 {
		first, scripts = *seedFlag, 1
	}
	compared, total := 0, 0
	for seed := first; seed < first+scripts; seed++ {
		fs, m := memfs.New(), newModel()
		text := randomScript(rand.New(rand.NewPCG(seed, 7)))
		script(fs, m, text)
		possible, ok := m.states(1000)
		if !ok {
			continue // too many to meet them all
		}
		_, odd, missed := states(fs, possible, partsOf(possible))
		if len(odd)+len(missed) > 0 {
			t.Fatalf("after\n%s\nCrashClone gives what no disk can hold: %q\nand never what one may: %q\nreplay: go test -run TestModel -seed %d",
				text, odd, missed, seed)
		}
		compared, total = compared+1, total+len(possible)
	}
	if *seedFlag == 0 && total < 400 {
		t.Fatalf("only %d scripts with %d states were compared", compared, total)
	}
	t.Logf("%d scripts with %d states compared", compared, total)
}

// partsOf returns a function that takes a state apart: its names, and each file
// with its content. Files that may have more than a few contents are left out,
// since it would take too many seeds to meet them all.
func partsOf(possible map[string]bool) func(state string) []string {
	split := func(state string) (names string, files [][2]string) {
		for _, f := range strings.Fields(state) {
			name, content, isFile := strings.Cut(f, "=")
			names += " " + name
			if isFile {
				files = append(files, [2]string{name, content})
			}
		}
		return names, files
	}
	contents := map[string]map[string]bool{}
	for state := range possible {
		_, files := split(state)
		for _, f := range files {
			if contents[f[0]] == nil {
				contents[f[0]] = map[string]bool{}
			}
			contents[f[0]][f[1]] = true
		}
	}
	return func(state string) []string {
		names, files := split(state)
		out := []string{names}
		for _, f := range files {
			if len(contents[f[0]]) <= 20 {
				out = append(out, f[0]+"="+f[1])
			}
		}
		return out
	}
}

// randomScript makes operations of which some fail. Between two syncs of a file
// it overwrites no block twice: of such a block memfs knows the last version
// and the synced one only.
func randomScript(rng *rand.Rand) string {
	var b strings.Builder
	clean := map[string]bool{}
	names := []string{"f", "g", "d/f", "e/g"}
	pick := func() string { return names[rng.IntN(len(names))] }
	letters := func(n int) string { return "abcdefghijklmnopqrstuvwxyz"[rng.IntN(20):][:n] }
	b.WriteString("mkdir d\nmkdir e\ncreate f\ncreate d/f\n")
	if rng.IntN(4) > 0 {
		b.WriteString("syncdir .\n")
	}
	for range 4 + rng.IntN(9) {
		name := pick()
		switch rng.IntN(14) {
		case 0, 1:
			fmt.Fprintf(&b, "create %s\n", name)
		case 2, 3:
			fmt.Fprintf(&b, "append %s %s\n", name, letters(1+rng.IntN(2)))
			clean[name] = false
		case 4:
			fmt.Fprintf(&b, "half %s %s\n", name, letters(1))
			clean[name] = false
		case 5:
			if clean[name] {
				fmt.Fprintf(&b, "write %s %s\n", name, letters(1+rng.IntN(3)))
				clean[name] = false
			}
		case 6:
			if clean[name] {
				fmt.Fprintf(&b, "truncate %s\n", name)
				clean[name] = false
			}
		case 7, 8:
			fmt.Fprintf(&b, "sync %s\n", name)
			clean[name] = true
		case 9, 10:
			to := pick()
			fmt.Fprintf(&b, "rename %s %s\n", name, to)
			clean[name], clean[to] = false, false
		case 11:
			fmt.Fprintf(&b, "%s %s\n", []string{"remove", "removeall"}[rng.IntN(2)], slices.Concat(names, []string{"d", "e"})[rng.IntN(6)])
		case 12:
			fmt.Fprintf(&b, "rename %s %s\n", []string{"d", "e"}[rng.IntN(2)], []string{"d", "e", "k", "d/k", "e/k"}[rng.IntN(5)])
		case 13:
			fmt.Fprintf(&b, "syncdir %s\n", []string{".", "d", "e"}[rng.IntN(3)])
		}
	}
	return b.String()
}
