package crashtest

import (
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// transfers moves money between two accounts, with snapshots on the way. That
// replies are right and that nothing acknowledged is lost is checked by itself.
func transfers(r *coretest.Run) {
	r.MustDo("MSET", "alice", "100", "bob", "0")
	r.Always(balanced)
	for range 2 {
		r.Do("MULTI")
		r.Do("DECRBY", "alice", "30")
		r.Do("INCRBY", "bob", "30")
		r.Do("EXEC")
		r.Save()
	}
}

// balanced must hold after every crash. Before MSET there is no money at all.
func balanced(do func(args ...string) string) error {
	var alice, bob int
	_, _ = fmt.Sscanf(do("MGET", "alice", "bob"), `["%d" "%d"]`, &alice, &bob)
	if sum := alice + bob; sum != 100 && sum != 0 {
		return fmt.Errorf("alice has %d and bob %d", alice, bob)
	}
	return nil
}

func TestNoCrashLosesMoney(t *testing.T) { coretest.EveryCrashPoint(t, transfers) }

func TestNoFaultLosesMoney(t *testing.T) { coretest.EveryFault(t, transfers) }
