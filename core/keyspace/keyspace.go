package keyspace

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// Allocator names where keys and values live, for INFO.
const Allocator = arena.Name

// Config is what a Keyspace is made of.
type Config struct {
	Shards    int // at least 1
	Databases int // at least 1; in every shard
	// Now, in Unix milliseconds, is when keys count as accessed that are
	// loaded or replayed before the first Get with a time.
	Now int64
}

// Keyspace is all data of an engine. A key lives in the shard that ShardOf
// names, under that shard's lock.
type Keyspace struct {
	shards []*Shard
	gate   gate
	seed   maphash.Seed
	lfu    atomic.Bool
	spins  bool // more than one goroutine can run at once, see TryLockSoon

	lfuScale atomic.Pointer[lfuScale]
	empty    int64 // see EmptyBytes
	heapRoom atomic.Int64
	limits   atomic.Pointer[Limits]

	pool   *arena.Pool // where the elements of large collections are
	reaper reaper      // of those that are gone

	libraries atomic.Pointer[[]Library] // written under the lock of shard 0
	following atomic.Pointer[Following] // as well
}

// New returns an empty keyspace.
func New(cfg Config) *Keyspace {
	k := &Keyspace{seed: maphash.MakeSeed(), pool: arena.NewPool(), spins: runtime.GOMAXPROCS(0) > 1, shards: make([]*Shard, min(max(cfg.Shards, 1), numSlots))}
	k.SetLimits(DefaultLimits())
	k.libraries.Store(new([]Library))
	k.lfuScale.Store(defaultLFUScale)
	k.following.Store(new(Following))
	for i := range k.shards {
		s := &Shard{ks: k, epoch: 1, now: cfg.Now, dbs: make([]*DB, max(cfg.Databases, 1))}
		s.spares.pool = k.pool
		for n := range s.dbs {
			s.dbs[n] = &DB{ks: k, st: newStore(s)}
		}
		k.shards[i] = s
	}
	sizes := reflect.TypeFor[Keyspace]().Size() + uintptr(len(k.shards))*(reflect.TypeFor[Shard]().Size()+
		uintptr(max(cfg.Databases, 1))*(reflect.TypeFor[DB]().Size()+reflect.TypeFor[store]().Size()))
	k.empty = int64(sizes)
	return k
}

// NumShards returns how many shards there are.
func (k *Keyspace) NumShards() int { return len(k.shards) }

// Shard returns shard i.
func (k *Keyspace) Shard(i int) *Shard { return k.shards[i] }

// EmptyBytes is what an empty keyspace takes.
func (k *Keyspace) EmptyBytes() int64 { return k.empty }

// SetHeapRoom says by how many percent of what lives in it the Go heap may grow before it
// is collected. Large collections lie there: the room that they are given so is memory
// of the process, and counts as used. A shard counts it from its next Unlock on. Without
// a call there is none.
func (k *Keyspace) SetHeapRoom(percent int) { k.heapRoom.Store(int64(percent) << roomShift / 100) }

// roomShift is by how many bits Keyspace.heapRoom is scaled.
const roomShift = 10

// UsedBytes is what the keyspace takes in all: keys, values and their index, and
// EmptyBytes.
func (k *Keyspace) UsedBytes() int64 {
	n := k.empty
	for _, s := range k.shards {
		n += s.UsedBytes()
	}
	return n
}

// LockAll locks every shard, in ascending order: everybody who locks several
// does it in this order. It waits for a script that runs, however long.
func (k *Keyspace) LockAll() {
	k.EnterSeveral(true)
	for _, s := range k.shards {
		s.Lock()
	}
}

// UnlockAll undoes LockAll.
func (k *Keyspace) UnlockAll() {
	for i := len(k.shards) - 1; i >= 0; i-- {
		k.shards[i].Unlock()
	}
	k.LeaveSeveral()
}

// FreezeAll freezes every shard, at one instant: the caller holds all their locks.
// It releases the views when it holds none, those that come with an error too.
func (k *Keyspace) FreezeAll() (views []*View, err error) {
	for i := range k.NumShards() {
		v, err := k.Shard(i).Freeze()
		if err != nil {
			return views, err
		}
		views = append(views, v)
	}
	return views, nil
}

// ShardOf returns the number of the shard that key lives in: keys of one Slot
// share a shard.
func (k *Keyspace) ShardOf(key []byte) int {
	if len(k.shards) == 1 {
		return 0
	}
	return k.ShardOfSlot(Slot(key))
}

// ShardOfSlot returns the number of the shard that has the keys of a Slot.
func (k *Keyspace) ShardOfSlot(slot int) int { return slot * len(k.shards) / numSlots }

// Slot returns the Redis Cluster slot of key.
func (k *Keyspace) Slot(key []byte) int { return Slot(key) }

// Expect is told that data of about so many bytes, as a file has it, is going to be stored: memory for it may be
// taken in another way.
func (k *Keyspace) Expect(size int64) { arena.Expect(size) }

// Close empties the keyspace and gives its memory back. Views that are still
// alive keep theirs until they are released.
func (k *Keyspace) Close() { k.Empty() }

// Empty removes all keys, and what is no key. It locks one shard after the other:
// nobody else may be at the keyspace.
func (k *Keyspace) Empty() {
	for i, s := range k.shards {
		s.Lock()
		if i == 0 {
			k.SetLibraries(nil)
			k.SetFollowing(Following{})
		}
		for _, d := range s.dbs {
			d.Flush()
		}
		s.Unlock()
	}
}

// IsEmpty tells whether there is neither a key, be it past its deadline, nor a library. Nobody
// else may be at the keyspace.
func (k *Keyspace) IsEmpty() bool {
	for _, s := range k.shards {
		if slices.ContainsFunc(s.dbs, func(d *DB) bool { return d.Len() > 0 }) {
			return false
		}
	}
	return len(k.Libraries()) == 0
}

func (k *Keyspace) hash(key []byte) uint64 { return maphash.Bytes(k.seed, key) }

// checkDB returns an error for a database number that does not exist.
func (k *Keyspace) checkDB(n int) error {
	if have := len(k.shards[0].dbs); n < 0 || n >= have {
		return fmt.Errorf("keyspace: database %d does not exist: there are %d; configure more", n, have)
	}
	return nil
}

// NumDatabases returns how many logical databases there are.
func (k *Keyspace) NumDatabases() int { return len(k.shards[0].dbs) }

// DefaultShards is how many shards an engine has unless told: one per CPU.
func DefaultShards() int { return runtime.NumCPU() }
