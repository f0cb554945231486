package crashtest

import (
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// transfers moves money between two accounts, with a snapshot on the way. That
// replies are right and that nothing acknowledged is lost is checked by itself.
func transfers(r *coretest.Run) {
	r.MustDo("MSET", "alice", "100", "bob", "0")
	r.Always(func(do func(args ...string) string) error {
		if sum := do("MGET", "alice", "bob"); sum != `["100" "0"]` && sum != `["70" "30"]` && sum != `["40" "60"]` {
			return fmt.Errorf("money came or went: %s", sum)
		}
		return nil
	})
	for range 2 {
		r.Do("MULTI")
		r.Do("DECRBY", "alice", "30")
		r.Do("INCRBY", "bob", "30")
		r.Do("EXEC")
		r.Save()
	}
}

func TestNoCrashLosesMoney(t *testing.T) { coretest.EveryCrashPoint(t, transfers) }

func TestNoFaultLosesMoney(t *testing.T) { coretest.EveryFault(t, transfers) }
