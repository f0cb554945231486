package coretest

import (
	"hash/fnv"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// slowDisk is a disk in a bubble of testing/synctest: every operation takes some
// of the bubble's time. How long depends on the seed and on which operation of
// which file it is, not on who is first: so the seed decides how the goroutines
// of the engine interleave, and the same seed decides it the same way again.
//
// It loses power, or fails, when it is told to.
type slowDisk struct {
	mem  *memfs.FS
	fs   *faultfs.FS
	seed uint64

	mu    sync.Mutex
	seen  map[string]uint64 // how often each kind of operation on each file
	trace []string

	crash     int64 // operations that change the disk until the power goes, 0: it does not
	crashSeed int64
	left      *memfs.FS // what the power loss has left
	dead      bool
	died      time.Time

	fault  int64 // operations until the first that fails, 0: none
	times  int64 // how many fail
	err    string
	struck int // faults so far
}

func newSlowDisk(mem *memfs.FS, seed uint64) *slowDisk {
	d := &slowDisk{mem: mem, seed: seed, seen: map[string]uint64{}}
	d.fs = faultfs.New(mem, d.inject)
	return d
}

// delay is how long an operation takes: microseconds, and now and then long
// enough for a lot to happen meanwhile. The caller holds the lock.
func (d *slowDisk) delay(op faultfs.Op) time.Duration {
	name := string(op.Kind) + " " + drawn.ReplaceAllString(op.Path, "")
	d.seen[name]++
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	n := mix(h.Sum64() ^ mix(d.seed^d.seen[name]<<32))
	if n%16 == 0 {
		return time.Duration(n>>8%30_000_000) * time.Nanosecond
	}
	return time.Duration(1000+n>>8%200_000) * time.Nanosecond
}

// drawn is the part of a set's name that is another one each time, see sink.SetID:
// a history that is played again must meet the same delays.
var drawn = regexp.MustCompile(`-[0-9a-f]{8}-[0-9a-f]{8}`)

// mix is the finalizer of SplitMix64: a small change of n changes everything.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func (d *slowDisk) inject(op faultfs.Op) error {
	d.mu.Lock()
	dead, wait := d.dead, time.Duration(0)
	if !dead && op.Kind != faultfs.OpStat && op.Kind != faultfs.OpLock { // INFO asks for sizes with every shard locked
		wait = d.delay(op)
	}
	d.mu.Unlock()
	time.Sleep(wait)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errNoPower
	}
	d.trace = append(d.trace, op.String())
	if d.crash > 0 && op.Kind.Mutates() {
		if d.crash--; d.crash == 0 {
			d.pullPlug()
			return errNoPower
		}
	}
	if d.fault > 1 {
		d.fault--
	} else if err := d.faulty(op); d.fault == 1 && err != nil {
		if d.times--; d.times == 0 {
			d.fault = 0
		}
		d.struck++
		d.trace = append(d.trace, "  fails: "+err.Error())
		return err
	}
	return nil
}

// pullPlug takes the power away. The caller holds the lock.
func (d *slowDisk) pullPlug() {
	d.dead, d.died = true, time.Now()
	d.left = d.mem.CrashClone(d.crashSeed)
}

// faulty is the error that an operation gets, nil for one that cannot have it.
func (d *slowDisk) faulty(op faultfs.Op) error {
	switch d.err {
	case "EIO":
		return syscall.EIO
	case "ENOSPC", "EROFS":
		if !op.Kind.Mutates() {
			return nil
		}
		if d.err == "EROFS" {
			return syscall.EROFS
		}
		return syscall.ENOSPC
	case "EMFILE":
		if op.Kind == faultfs.OpCreate || op.Kind == faultfs.OpOpen {
			return syscall.EMFILE
		}
	case "short":
		if op.Kind == faultfs.OpWrite {
			return &faultfs.Short{N: op.N / 2, Err: syscall.ENOSPC}
		}
	case "late":
		if op.Kind.Mutates() {
			return &faultfs.After{Err: syscall.EIO}
		}
	}
	return nil
}

// with runs f while nothing can happen to the disk.
func (d *slowDisk) with(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}
