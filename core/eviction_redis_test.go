package core_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestEvictionQuality has half of many keys evicted, whose age or frequency RESTORE has
// set, and counts how many of those that are left are the ones that an exact policy
// would have kept. It is to be as good as a real redis-server, which is given the same.
func TestEvictionQuality(t *testing.T) {
	policies := []string{"allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl"}
	for _, policy := range policies[:testutil.Rounds(len(policies))] {
		t.Run(policy, func(t *testing.T) {
			theirs := keptWell(t, policy, nil, askRedis(t, testutil.Redis(t, "--maxmemory-policy", policy)()))
			h := coretest.New(t, func(o *core.Options) { o.MaxMemoryPolicy, o.Shards = policy, 4 })
			ours := keptWell(t, policy, h.DB.Tick, h.Value)
			t.Logf("of what is left, %.3f should be; of Redis's %.3f", ours, theirs)
			if ours < theirs-0.05 {
				t.Errorf("of what is left, only %.3f should be; of Redis's %.3f", ours, theirs)
			}
		})
	}
}

// keptWell is how many of the keys that are left would be left by an exact policy, as a
// part of them. tick is called while keys are evicted; it may be nil.
func keptWell(t *testing.T, policy string, tick func(), ask func(args ...string) resp.Value) float64 {
	t.Helper()
	do := func(args ...string) resp.Value {
		t.Helper()
		v := ask(args...)
		if v.Err() != nil {
			t.Fatal(args, v.Err())
		}
		return v
	}
	used := func() int64 { return usedMemory(do("INFO", "memory")) }
	const keys = 5000
	do("SET", "dumped", strings.Repeat("x", 300))
	dump := string(do("DUMP", "dumped").Str)
	do("DEL", "dumped")
	before := used()
	for _, worth := range rand.New(rand.NewPCG(1, 2)).Perm(keys) { // how dear a key is
		args := []string{"RESTORE", fmt.Sprint("k", worth), "0", dump}
		switch policy {
		case "allkeys-lru":
			args = append(args, "IDLETIME", strconv.Itoa(keys-worth))
		case "volatile-lru":
			args[2] = "100000000"
			args = append(args, "IDLETIME", strconv.Itoa(keys-worth))
		case "allkeys-lfu":
			args = append(args, "FREQ", strconv.Itoa(worth*256/keys))
		default:
			args[2] = strconv.Itoa(100_000_000 + 1000*worth)
		}
		do(args...)
	}
	limit := used() - (used()-before)/2
	do("CONFIG", "SET", "maxmemory", strconv.FormatInt(limit, 10))
	const asking = 32 << 10 // what INFO itself takes while it looks, about: redis-server has evicted before
	for deadline := time.Now().Add(testutil.Patience); used() > limit+asking; {
		if tick != nil {
			tick()
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are used, more than %d: nothing is evicted", used(), limit)
		}
	}
	left := int(do("DBSIZE").Int)
	if left < keys/4 || left > keys*3/4 {
		t.Fatalf("%d of %d keys are left", left, keys)
	}
	// Those of one frequency are as good as each other.
	should, edge := 0, keys-left
	if policy == "allkeys-lfu" {
		edge = edge * 256 / keys * keys / 256
	}
	for worth := edge; worth < keys; worth++ {
		should += int(do("EXISTS", fmt.Sprint("k", worth)).Int)
	}
	return float64(should) / float64(left)
}
