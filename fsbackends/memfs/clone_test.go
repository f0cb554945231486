package memfs_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func TestCloneIsIndependentAndDeterministic(t *testing.T) {
	fs := memfs.New()
	script(fs, nil, "mkdir d\ncreate d/a\nwrite d/a abc\nsync d/a\nsyncdir .\ncreate d/b\nappend d/a xyz\nrename d/b d/c")
	for seed := range int64(50) {
		one, two := show(fs.CrashClone(seed)), show(fs.CrashClone(seed))
		if one != two {
			t.Fatalf("seed %d gives %s and %s", seed, one, two)
		}
	}
	before, clone := show(fs), fs.CrashClone(memfs.KeepAll)
	kept := show(clone)
	script(clone, nil, "write d/a qqqqqqqqq\ncreate new\nremove d/c")
	if show(fs) != before {
		t.Fatal("writing to the clone changed the original")
	}
	clone = fs.CrashClone(memfs.KeepAll)
	script(fs, nil, "write d/a qqqqqqqqq\nremoveall d")
	if show(clone) != kept {
		t.Fatal("writing to the original changed the clone")
	}
	if show(clone.CrashClone(memfs.LoseAll)) != kept {
		t.Fatal("what survived one crash did not survive the next")
	}
}

func TestKillCloneIsIndependent(t *testing.T) {
	fs := memfs.New()
	script(fs, nil, "mkdir d\ncreate d/a\nwrite d/a abc\nsync d/a\nsyncdir d\nsyncdir .\nappend d/a xyz\ncreate d/b\ncreate gone")
	open, err := fs.OpenFile("gone", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	script(fs, nil, "remove gone")
	kill := fs.KillClone()
	before, lost := show(kill), show(kill.CrashClone(memfs.LoseAll))
	if before != show(fs) || lost != show(fs.CrashClone(memfs.LoseAll)) {
		t.Fatalf("the clone is %s and, crashed, %s", before, lost)
	}
	if kill.Used() != fs.Used()-1000 {
		t.Fatalf("the clone uses %d bytes of %d: the open file without a name is gone with its process", kill.Used(), fs.Used())
	}
	script(fs, nil, "write d/a qqqqqqqqq\nsync d/a\nsyncdir .\nsyncdir d\nremove d/b")
	if show(kill) != before || show(kill.CrashClone(memfs.LoseAll)) != lost {
		t.Fatal("what happened to the original changed the clone")
	}
	before = show(fs)
	script(kill, nil, "write d/a zzzzzzzzzzzz\nsync d/a\nremove d/b")
	if show(fs) != before {
		t.Fatal("what happened to the clone changed the original")
	}
}

func TestCloneIsUnlocked(t *testing.T) {
	fs := memfs.New()
	if _, err := fs.Lock("LOCK"); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.CrashClone(2).Lock("LOCK"); err != nil {
		t.Fatalf("the clone is locked: %v", err)
	}
}

// TestCrashWhileWriting clones under concurrent use; the race detector watches.
func TestCrashWhileWriting(t *testing.T) {
	fs := memfs.New()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for j := range 100 {
				script(fs, nil, fmt.Sprintf("create %d-%d\nappend %d-%d abc\nsync %d-%d\nsyncdir .\nrename %d-%d same\n", i, j, i, j, i, j, i, j))
			}
		})
	}
	for seed := range int64(50) {
		c := fs.CrashClone(seed)
		script(c, nil, "create after\nappend after z\nsync after\nsyncdir .")
		show(c)
	}
	wg.Wait()
}
