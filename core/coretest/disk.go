package coretest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// disk is a memory disk on which something happens at one operation: it loses
// power, or it fails.
type disk struct {
	mem *memfs.FS
	fs  *faultfs.FS

	mu     sync.Mutex // held while it happens, and by who must not miss it
	counts func(faultfs.Op) bool
	at     int64 // which of the operations that count
	strike func(faultfs.Op) error
	sticky bool // it goes on failing for the operations that count
	count  int64
	struck *faultfs.Op // the operation at which it happened
	dead   bool        // it has no power
}

var errNoPower = errors.New("the disk has lost power")

// newDisk returns an empty disk on which strike is called at the n-th
// operation that counts.
func newDisk(n int64, counts func(faultfs.Op) bool, strike func(d *disk, op faultfs.Op) error) *disk {
	d := &disk{mem: memfs.New(), counts: counts, at: n}
	d.strike = func(op faultfs.Op) error { return strike(d, op) }
	d.fs = faultfs.New(d.mem, d.inject)
	return d
}

func (d *disk) inject(op faultfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.dead:
		return errNoPower
	case d.at == 0 || !d.counts(op):
		return nil
	}
	d.count++
	if d.count == d.at || d.sticky && d.count > d.at {
		if d.struck == nil {
			d.struck = &op
		}
		return d.strike(op)
	}
	return nil
}

// isDead tells whether the power is gone.
func (d *disk) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// hasStruck tells whether it has happened.
func (d *disk) hasStruck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck != nil
}

// operations is how many that count were done so far.
func (d *disk) operations() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// repair makes the disk a good one.
func (d *disk) repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = 0
}

// trace shows the last operations up to where it happened.
func (d *disk) trace() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	ops := d.fs.Trace()
	end := len(ops)
	if d.struck != nil {
		for end > 0 && ops[end-1].Index > d.struck.Index {
			end--
		}
	}
	for _, op := range ops[max(0, end-12):end] {
		fmt.Fprintf(&b, "  %d %s\n", op.Index, op)
	}
	return b.String()
}
