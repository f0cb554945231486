package keyspace

import (
	"slices"
	"sync"
)

// A script may run for long, and may touch shards that it has not named. So it does
// not hold mutexes but leases: a leased shard belongs to the script, and whoever
// locks it meanwhile finds the lease under the mutex, gives the mutex back, and
// waits for the end of the script or, if it asks for that, only until the script is
// known to be busy. Nobody waits at a mutex for a script.
//
// A lease may be taken in any order, behind others that are held, without a
// deadlock. The argument: who waits for a shard while holding another is either a
// script, or one of those who lock several. These pass the gate, as readers; a
// script passes it alone, behind the last reader. While it runs, nobody else waits
// for anything with a shard, so every mutex comes free: not even a batch that holds
// several, which it got by TryLockSoon. Who locks a single shard does not know the
// gate; to it a script costs one look at a field beside the mutex.

// Lease is the run of a script, as those see it who wait for one.
type Lease struct {
	done chan struct{}
	busy chan struct{}
	once sync.Once
}

// Done is closed at the end of the script, when all its shards are free.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Busy is closed when the script has run for too long.
func (l *Lease) Busy() <-chan struct{} { return l.busy }

// SetBusy closes Busy. Any goroutine.
func (l *Lease) SetBusy() { l.once.Do(func() { close(l.busy) }) }

// IsBusy tells whether Busy is closed. Any goroutine.
func (l *Lease) IsBusy() bool {
	select {
	case <-l.busy:
		return true
	default:
		return false
	}
}

// wait returns when the script has ended, or with false when it is busy and the
// caller does not want to wait for a busy one.
func (l *Lease) wait(always bool) bool {
	if always {
		<-l.done
		return true
	}
	select {
	case <-l.done:
		return true
	case <-l.busy:
		return false
	}
}

// gate is passed by who locks several shards, and by scripts.
type gate struct {
	mu      sync.Mutex
	readers int
	script  *Lease
	drained chan struct{} // closed by the last reader, for the script that waits for it
}

// EnterSeveral must precede the locking of several shards, and LeaveSeveral follow
// it. It waits for a script that runs; with always false it returns false when that
// script is busy. The caller holds no shard.
func (k *Keyspace) EnterSeveral(always bool) bool {
	g := &k.gate
	for {
		g.mu.Lock()
		l := g.script
		if l == nil {
			g.readers++
			g.mu.Unlock()
			return true
		}
		g.mu.Unlock()
		if !l.wait(always) {
			return false
		}
	}
}

// LeaveSeveral undoes EnterSeveral.
func (k *Keyspace) LeaveSeveral() {
	g := &k.gate
	g.mu.Lock()
	if g.readers--; g.readers == 0 && g.drained != nil {
		close(g.drained)
		g.drained = nil
	}
	g.mu.Unlock()
}

// Exclusive begins the run of a script: there is no other, and nobody holds several
// shards. It returns nil when another script runs and is busy. The caller holds no
// shard.
func (k *Keyspace) Exclusive() *Lease {
	g := &k.gate
	l := &Lease{done: make(chan struct{}), busy: make(chan struct{})}
	for {
		g.mu.Lock()
		other := g.script
		if other == nil {
			break
		}
		g.mu.Unlock()
		if !other.wait(false) {
			return nil
		}
	}
	g.script = l
	if g.readers == 0 {
		g.mu.Unlock()
		return l
	}
	g.drained = make(chan struct{})
	drained := g.drained
	g.mu.Unlock()
	<-drained
	return l
}

// Script is the script that runs, nil if none does. Any goroutine.
func (k *Keyspace) Script() *Lease {
	k.gate.mu.Lock()
	defer k.gate.mu.Unlock()
	return k.gate.script
}

// Take makes shard n the script's, until End.
func (k *Keyspace) Take(l *Lease, n int) {
	s := k.shards[n]
	s.mu.Lock()
	s.lease = l
	s.mu.Unlock()
}

// End ends the run of a script, which has taken these shards.
func (k *Keyspace) End(l *Lease, shards []int) {
	for _, n := range slices.Backward(shards) {
		s := k.shards[n]
		s.mu.Lock()
		s.lease = nil
		s.Unlock()
	}
	k.gate.mu.Lock()
	k.gate.script = nil
	k.gate.mu.Unlock()
	close(l.done)
}

// TryLock takes the lock if that needs no waiting, for another or for a script.
func (s *Shard) TryLock() bool {
	if !s.mu.TryLock() {
		return false
	}
	return s.freeOfLease()
}

// freeOfLease is called with the mutex, and gives it back where the shard belongs to a script.
func (s *Shard) freeOfLease() bool {
	if s.lease != nil {
		s.mu.Unlock()
		return false
	}
	return true
}

// soon is how often TryLockSoon looks: for some microseconds, as a batch takes.
const soon = 10000

// TryLockSoon is TryLock that looks again for as long as a few commands take. Who has the lock
// is usually at a command on another processor, and done with it long before a goroutine can be put to
// sleep and woken. With one processor it looks once.
func (s *Shard) TryLockSoon() bool { return s.TryLock() || s.ks.spins && s.lookAgain() }

func (s *Shard) lookAgain() bool {
	for range soon {
		if s.mu.TryLock() {
			return s.freeOfLease()
		}
	}
	return false
}

// LockUnlessBusy is Lock that gives up, and returns false, when the shard belongs to
// a script that is busy.
func (s *Shard) LockUnlessBusy() bool {
	s.mu.Lock()
	return s.lease == nil || s.outwait(false)
}

// outwait waits for the end of the script that has the shard. The mutex is held, and
// is held again afterwards if the shard is free.
func (s *Shard) outwait(always bool) bool {
	for s.lease != nil {
		l := s.lease
		s.mu.Unlock()
		if !l.wait(always) {
			return false
		}
		s.mu.Lock()
	}
	return true
}
