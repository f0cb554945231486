package keyspace

import (
	"sync"
	"testing"
)

// TestLeases: scripts that take shards in any order, those who lock several and those
// who lock one exclude each other, and nobody waits for ever.
func TestLeases(t *testing.T) {
	const shards, rounds = 4, 300
	ks := New(Config{Shards: shards, Databases: 1})
	var counts [shards]int // each guarded by its shard
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { // a script: one shard declared, others later, downwards
			for i := range rounds {
				l := ks.Exclusive()
				held := []int{(w + i) % shards}
				ks.Take(l, held[0])
				for n := shards - 1; n >= 0; n-- {
					if n != held[0] {
						ks.Take(l, n)
						held = append(held, n)
					}
				}
				for n := range counts {
					counts[n]++
				}
				ks.End(l, held)
			}
		})
		wg.Go(func() {
			for range rounds {
				ks.LockAll()
				for n := range counts {
					counts[n]++
				}
				ks.UnlockAll()
			}
		})
		wg.Go(func() {
			for range rounds {
				ks.Shard(w).Lock()
				counts[w]++
				ks.Shard(w).Unlock()
			}
		})
	}
	wg.Wait()
	for n, got := range counts {
		if want := 2*4*rounds + rounds; got != want {
			t.Errorf("shard %d was counted %d times, want %d", n, got, want)
		}
	}
}

// TestTryLockSoon: it gets what comes free soon, gives up on what does not, and does not wait for a script.
func TestTryLockSoon(t *testing.T) {
	ks := New(Config{Shards: 1, Databases: 1})
	for _, spins := range []bool{true, false} {
		ks.spins = spins
		s := ks.Shard(0)
		if !s.TryLockSoon() {
			t.Fatal("a free shard is not to be had")
		}
		if s.TryLockSoon() {
			t.Fatal("a shard is to be had that is locked")
		}
		s.Unlock()
		l := ks.Exclusive()
		ks.Take(l, 0)
		if s.TryLockSoon() || !s.mu.TryLock() {
			t.Fatal("a shard is to be had that belongs to a script, or its mutex is kept")
		}
		s.mu.Unlock()
		ks.End(l, []int{0})
	}
	ks.spins = true
	s, held := ks.Shard(0), make(chan bool)
	for got := false; !got; { // how long the other goroutine takes to be at its Unlock is not known
		go func() {
			s.Lock()
			held <- true
			s.Unlock()
		}()
		<-held
		got = s.TryLockSoon()
		if !got {
			s.Lock()
		}
		s.Unlock()
	}
}

// TestBusyLease: who waits for a shard, or for the gate, of a script that becomes busy
// is let go, and who does not mind waits for its end.
func TestBusyLease(t *testing.T) {
	ks := New(Config{Shards: 2, Databases: 1})
	l := ks.Exclusive()
	ks.Take(l, 1)
	results := make(chan bool, 3)
	go func() { results <- ks.Shard(1).LockUnlessBusy() }()
	go func() { results <- ks.EnterSeveral(false) }()
	go func() { results <- ks.Exclusive() != nil }()
	waits := make(chan struct{})
	go func() {
		ks.LockAll()
		close(waits)
		ks.UnlockAll()
	}()
	if !ks.Shard(0).LockUnlessBusy() {
		t.Fatal("a shard that the script does not have is not to be had")
	}
	ks.Shard(0).Unlock()
	l.SetBusy()
	l.SetBusy()
	for range 3 {
		if <-results {
			t.Error("a busy script has let somebody in")
		}
	}
	select {
	case <-waits:
		t.Error("all shards are locked while a script has one")
	default:
	}
	ks.End(l, []int{1})
	<-waits
	if ks.Script() != nil {
		t.Error("the script goes on")
	}
}
