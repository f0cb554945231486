package coretest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/coretest/linear"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// noTicks is a clock whose tickers never tick: under everysec nothing becomes
// durable by itself.
type noTicks struct{ core.Clock }

func (noTicks) NewTicker(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// slowSyncs lets other clients run while one waits for the disk.
func slowSyncs(inner vfs.FS) vfs.FS {
	return faultfs.New(inner, func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			time.Sleep(50 * time.Microsecond)
		}
		return nil
	})
}

// lives plays a history of clients on an engine that loses power again and again,
// in the middle of their work, and comes back with another number of shards. disk
// draws what of the disk is left.
func lives(t *testing.T, seed uint64, n, clients int, disk func(*rand.Rand) int64, change func(*core.Options)) *linear.History {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	shards := 1 + rng.IntN(5)
	h := coretest.New(t, func(o *core.Options) {
		o.Shards = shards
		change(o)
	})
	h.Wrap(slowSyncs)
	h.Reopen()
	history := linear.New()
	for range n {
		var done atomic.Int64
		var clientsOver sync.WaitGroup
		reached := make(chan struct{})
		enough := int64(20 + rng.IntN(30*clients))
		for id := range clients {
			crng := rand.New(rand.NewPCG(seed, rng.Uint64()))
			s := h.DB.Session()
			clientsOver.Add(1)
			go func() {
				defer clientsOver.Done()
				history.Client(id, s, crng, func() {
					if done.Add(1) == enough {
						close(reached)
					}
				})
			}()
		}
		if rng.IntN(2) == 0 {
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		<-reached
		left := h.FS
		lost := history.Power(func() { left = h.FS.CrashClone(disk(rng)) })
		clientsOver.Wait()
		_ = h.DB.Close() // on a disk that nobody has any more
		lost.Settle()
		h.FS = left
		shards = 1 + rng.IntN(5)
		h.Open()
		if err := history.Look(h.DB.Session()); err != nil {
			t.Fatal(err)
		}
	}
	return history
}

// TestLinearizable: under appendfsync always what concurrent clients are told is
// linearizable, transactions, WATCH and RENAME across shards included, through
// power losses in the middle of it.
func TestLinearizable(t *testing.T) {
	histories, n := 3, 8
	if os.Getenv("SPILLWAY_LAB") == "long" {
		histories, n = 300, 20
	}
	first := rand.Uint64()
	operations, unknown := 0, 0
	for i := range uint64(histories) {
		h := lives(t, first+i, n, 5, (*rand.Rand).Int64, func(*core.Options) {})
		h.Check(t)
		all, open := h.Len()
		operations, unknown = operations+all, unknown+open
		if t.Failed() {
			t.Fatalf("seed %d", first+i)
		}
	}
	t.Logf("%d histories of %d lives: %d operations, %d of them in flight when the power went", histories, n, operations, unknown)
	if unknown == 0 {
		t.Error("no power loss met an operation")
	}
}

// TestLinearizableControl: the same clients under everysec, on a disk that has
// what was fsynced and nothing else, are not: what was acknowledged is gone.
func TestLinearizableControl(t *testing.T) {
	for seed := range uint64(3) {
		h := lives(t, seed, 1, 3, func(*rand.Rand) int64 { return memfs.LoseAll }, func(o *core.Options) {
			o.Fsync, o.Clock = wal.EverySec, noTicks{o.Clock}
		})
		switch ok, err := h.Linearizable(); {
		case err != nil:
			t.Fatal(err)
		case !ok:
			return
		}
	}
	t.Fatal(errors.New("acknowledged writes were lost, and nobody has noticed"))
}
