package host

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestHostsThatStartAtOnce: hosts that start and end at the same time leave each other's directories alone, and those of
// dead ones are gone afterwards.
func TestHostsThatStartAtOnce(t *testing.T) {
	parent := t.TempDir()
	dead, err := newPrivateDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.lock.Close() // as its end does, while the directory stays
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				d, err := newPrivateDir(parent)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := d.sub("1"); err != nil {
					t.Error(err)
				}
				if err := d.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(parent, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(dead.path); err == nil {
		t.Error("what a dead host has left is still there")
	}
}
