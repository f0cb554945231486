package coretest

import (
	"math/rand/v2"
	"time"

	"github.com/spillwaydb/spillway/core/coretest/model"
)

// generate makes the history of a seed.
func generate(seed uint64, steps int) []step {
	rng := rand.New(rand.NewPCG(seed, 0x5b111))
	cfg := randomSetup(rng)
	out := []step{{verb: "open", setup: cfg}}
	// Every history has a temper of its own: some crash all the time, some
	// never, so that long undisturbed stretches occur as well.
	crashes, faults, checkpoints, configs := rng.IntN(8), rng.IntN(8), 1+rng.IntN(10), rng.IntN(5)
	for len(out) < steps {
		s := step{verb: "command"}
		switch n := rng.IntN(100); {
		case n < crashes:
			s.verb, s.in, s.disk = "crash", int64(rng.IntN(40)), int64(rng.IntN(1000))
			if rng.IntN(4) == 0 {
				s.in = 0
			}
		case n < 8+faults:
			if n < 8 {
				s.args = model.Random(rng)
				break
			}
			s.verb, s.in, s.times = "fault", int64(1+rng.IntN(30)), 1
			s.err = pick(rng, "EIO", "ENOSPC", "EROFS", "EMFILE", "short", "late")
			s.other = cfg.sink != "none" && rng.IntN(4) == 0
			if rng.IntN(3) == 0 {
				s.times = int64(1 + rng.IntN(60))
			}
		case n < 16+checkpoints:
			s.args = []string{pick(rng, "SAVE", "BGSAVE", "BGSAVE", "BGREWRITEAOF")}
		case n < 26+configs:
			if n < 26 {
				s.args = model.Random(rng)
				break
			}
			s.args = append([]string{"CONFIG", "SET"}, randomConfig(rng)...)
		case n < 33:
			s.verb = "advance"
			s.d = time.Duration(1+rng.IntN(3000)) * time.Millisecond
			if rng.IntN(4) == 0 {
				s.d = time.Duration(rng.IntN(20)) * time.Second
			}
		case n < 35:
			s.verb = "wait"
		case n < 39:
			s.verb = "served"
			s.args, s.by = model.RandomServed(rng)
		case n < 41:
			s.verb = "restart"
			if cfg = randomSetup(rng); rng.IntN(3) == 0 {
				cfg = setup{cfg.shards, "always", "yes", cfg.stages, cfg.sink}
			}
			s.setup = cfg
		default:
			s.args = model.Random(rng)
		}
		out = append(out, s)
	}
	return out
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

func randomSetup(rng *rand.Rand) setup {
	s := setup{
		shards: 1 + rng.IntN(8),
		fsync:  pick(rng, "always", "always", "everysec", "no"),
		log:    pick(rng, "yes", "yes", "yes", "yes", "yes", "no"),
		stages: pick(rng, "none", "none", "none", "zstd", "age", "zstd+age"),
		sink:   pick(rng, "none", "none", "required", "besteffort"),
	}
	return s
}

func randomConfig(rng *rand.Rand) []string {
	switch rng.IntN(6) {
	case 0:
		return []string{"save", pick(rng, "", "1 1", "2 5", "10 1")}
	case 1:
		return []string{"appendonly", pick(rng, "yes", "yes", "no")}
	case 2:
		return []string{"auto-aof-rewrite-percentage", pick(rng, "0", "50", "100"), "auto-aof-rewrite-min-size", pick(rng, "1", "500", "5kb")}
	case 3:
		return []string{"stop-writes-on-bgsave-error", pick(rng, "yes", "no")}
	}
	return []string{"appendfsync", pick(rng, "always", "always", "everysec", "no")}
}
