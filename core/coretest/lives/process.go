package lives

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

var (
	ctx = context.Background()

	errKilled   = errors.New("the process was killed")
	errInjected = errors.New("injected: the connection broke")
)

// process is one life of a daemon's process: what it did is asked of it later.
type process struct {
	d     *daemon
	n     int
	disk  *memfs.FS
	fs    *faultfs.FS
	chain past // itself, and those whose disk it has gone on with

	mu       sync.Mutex
	killIn   int // operations until it dies; 0: it does not
	seed     int64
	dead     bool
	left     *memfs.FS // of its disk
	fault    string    // the kind of call that fails next, "" for none
	times    int
	starting bool // nobody else changes its place meanwhile
	late     bool // it fails although it was done
	dies     bool // it is the process's last
	// What the manifest has said: the lineage, and the one before.
	lineage, before string
	logs            map[string]bool // of all segments that were in its directory
	// When it started, and the numbers it had to draw then.
	began                       int
	nextGeneration, nextSegment uint64
}

func (pr *process) String() string { return fmt.Sprintf("daemon %d, process %d", pr.d.n, pr.n) }

// past is whose a data directory was, and until which publication: what a
// process did after the directory was copied is not the copy's.
type past map[*process]int

func (p past) has(pr *process) bool { _, ok := p[pr]; return ok }

// made tells whether a set was published by one of them, in time.
func (p past) made(r *record) bool { until, ok := p[r.by]; return ok && r.seq <= until }

// newProcess goes on with the daemon's disk.
func newProcess(d *daemon) *process {
	d.processes++
	pr := &process{d: d, n: d.processes, disk: d.disk, chain: maps.Clone(d.past)}
	pr.chain[pr] = math.MaxInt
	pr.logs = map[string]bool{}
	d.w.mu.Lock() // other daemons' archives publish by themselves
	pr.began = d.w.seq
	d.w.mu.Unlock()
	if m, err := manifest.Read(d.disk); err == nil {
		pr.nextGeneration, pr.nextSegment = m.NextGeneration, m.NextSegment
	}
	pr.fs = faultfs.New(pr.disk, func(faultfs.Op) error { return pr.alive() })
	return pr
}

// alive counts an operation, and says whether the process still lives.
func (pr *process) alive() error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.dead {
		return errKilled
	}
	if pr.killIn > 0 {
		if pr.killIn--; pr.killIn == 0 {
			pr.die(pr.seed)
			return errKilled
		}
	}
	return nil
}

// die ends the process; seed says what is left of its disk. The caller holds mu.
func (pr *process) die(seed int64) {
	pr.dead, pr.left = true, pr.disk.CrashClone(seed)
}

func (pr *process) isDead() bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.dead
}

// failing tells whether a call of this kind fails, and whether it is done first.
func (pr *process) failing(kind string) (fails, late bool) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.fault != kind || pr.times == 0 {
		return false, false
	}
	pr.times--
	if pr.dies {
		pr.die(memfs.KeepAll)
	}
	return true, pr.late
}

// known reads of the disk whose lineage the process goes by now.
func (pr *process) known() (now, before string) {
	m, err := manifest.Read(pr.disk)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if err == nil && m.Lineage != pr.lineage {
		pr.lineage, pr.before = m.Lineage, pr.lineage
	}
	if err == nil {
		for _, s := range slices.Concat(m.Owed, m.Segments) {
			pr.logs[s.LogID] = true
		}
	}
	return pr.lineage, pr.before
}

// of tells whether the process is, or was until just now, of that lineage.
func (pr *process) of(lineage string) bool {
	now, before := pr.known()
	return lineage != "" && (lineage == now || lineage == before)
}

// enter begins a call that changes the store, and returns what ends it.
func (p *Place) enter(pr *process) func() {
	pr.mu.Lock()
	alone := pr.starting
	pr.mu.Unlock()
	if alone {
		return func() {}
	}
	p.changing.RLock()
	return p.changing.RUnlock
}

// holds tells whether a checkpoint is in the data directory.
func (pr *process) holds(id sink.SetID) bool {
	return slices.ContainsFunc(pr.localSets(), func(r *record) bool { return r.set.ID == id })
}

// client is a process's view of a place.
type client struct {
	sink.Sink
	p    *Place
	pr   *process
	keep sink.Retention
	seen []*record // what was published when it was listed last
}

var _ sink.Sweeper = (*client)(nil)

// call is one that may fail or be the process's last.
func (c *client) call(kind string, do func() error) error {
	if err := c.pr.alive(); err != nil {
		return err
	}
	fails, late := c.pr.failing(kind)
	if fails && !late {
		return errInjected
	}
	err := do()
	if err == nil && fails {
		err = errInjected
	}
	if c.pr.isDead() {
		return errKilled
	}
	return err
}

// Put implements sink.Sink.
func (c *client) Put(cx context.Context, part sink.Part, src io.Reader) (receipt sink.Receipt, err error) {
	p, id := c.p, part.ID()
	p.w.mu.Lock()
	p.w.note("%s puts %s", c.pr, id)
	if r := p.sets[id]; r != nil && !c.pr.chain.made(r) {
		p.w.accuse("%s puts into %s, which %s has published", c.pr, id, r.by)
	}
	if by := p.staged[dirOf(id)]; by != nil && !c.pr.chain.has(by) {
		p.w.accuse("%s puts into %s, which is staged by %s", c.pr, id, by)
	}
	p.staged[dirOf(id)] = c.pr
	if id.Kind != sink.KindSegment {
		p.w.cut(c.pr.d, id)
	}
	p.w.mu.Unlock()
	h := sha256.New()
	err = c.call("put", func() error {
		receipt, err = c.Sink.Put(cx, part, io.TeeReader(src, h))
		return err
	})
	if err == nil {
		p.w.putDigest(p, id, part.Name, hex.EncodeToString(h.Sum(nil)))
	}
	return receipt, err
}

// Publish implements sink.Sink.
func (c *client) Publish(cx context.Context, set sink.Set) error {
	p := c.p
	defer p.enter(c.pr)()
	p.w.mu.Lock()
	p.w.note("%s publishes %s of lineage %.8s", c.pr, set.ID, set.Lineage())
	local := c.pr.holds(set.ID) // what another life of it has made, on its way to a further sink
	r := &record{set: *set.Clone(), doc: document(set), by: c.pr, parts: p.w.digests(p, set.ID)}
	if old := p.sets[set.ID]; old != nil && old.sure && !old.gone && old.doc != r.doc {
		p.w.accuse("%s publishes another %s", c.pr, set.ID)
	} else if old == nil || !old.sure || old.gone {
		p.w.seq++
		r.seq = p.w.seq
		if set.ID.Kind != sink.KindSegment { // those come by themselves, while d goes on
			r.state = p.w.cut(c.pr.d, set.ID)
		}
		p.sets[set.ID] = r
	}
	r = p.sets[set.ID]
	if !c.pr.of(set.Lineage()) && !local {
		p.w.accuse("%s publishes %s of lineage %s, which is none of its own", c.pr, set.ID, set.Lineage())
	}
	p.w.mu.Unlock()
	err := c.call("publish", func() error { return c.Sink.Publish(cx, set) })
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if err == nil {
		r.sure = true
		if set.ID.Kind == sink.KindSegment {
			r.settled = true // the archive takes nothing back that is there
		}
		r.settled = r.settled || p.w.acknowledged[set.ID]
		delete(p.staged, dirOf(set.ID))
	} else {
		p.w.note("  which fails: %v", err)
	}
	return err
}

// List implements sink.Sink.
func (c *client) List(cx context.Context) (sets []sink.Set, err error) {
	err = c.call("list", func() error {
		sets, err = c.Sink.List(cx)
		return err
	})
	if errors.Is(err, errInjected) || errors.Is(err, errKilled) {
		return nil, err
	}
	c.p.w.mu.Lock()
	defer c.p.w.mu.Unlock()
	c.seen = c.p.here("")
	for _, s := range sets {
		// It is there, and its Publish has not returned. A job of the process's own may take it back yet.
		if r := c.p.sets[s.ID]; r != nil && !r.sure && !r.gone && !r.going && (r.by != c.pr || c.p.w.acknowledged[s.ID]) {
			c.seen = append(c.seen, r)
		}
	}
	return sets, err
}

// Remove implements sink.Sink.
func (c *client) Remove(cx context.Context, id sink.SetID) error {
	p := c.p
	defer p.enter(c.pr)()
	local := c.pr.localSets()
	p.w.mu.Lock()
	r := p.sets[id]
	p.w.note("%s removes %s", c.pr, id)
	switch {
	case r == nil || r.gone || !r.sure && c.pr.chain.has(r.by): // at most staged, or not known to be more
		c.mayUnstage(id)
	case r.by == c.pr && !r.settled: // a job that failed
		r.going = true
	default:
		if why := c.mayPrune(r, local); why != "" {
			p.w.accuse("%s removes %s of lineage %.8s, published by %s: %s", c.pr, id, r.set.Lineage(), r.by, why)
		}
		r.going = true
	}
	p.w.mu.Unlock()
	err := c.call("remove", func() error { return c.Sink.Remove(cx, id) })
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if err == nil {
		delete(p.staged, dirOf(id))
		if r != nil {
			r.gone = true
		}
	}
	return err
}

// mayUnstage accuses the process when what it removes is somebody else's.
func (c *client) mayUnstage(id sink.SetID) {
	by := c.p.staged[dirOf(id)]
	if by != nil && by != c.pr && !c.pr.chain.has(by) && !c.pr.of(by.stagedAs(id)) {
		c.p.w.accuse("%s removes %s, which %s has staged", c.pr, id, by)
	}
}

// stagedAs is the lineage that the process has staged the set under.
func (pr *process) stagedAs(id sink.SetID) string {
	now, before := pr.known()
	if id.Of(before) {
		return before
	}
	return now
}

// Sweep implements sink.Sweeper.
func (c *client) Sweep(cx context.Context, keep func(sink.SetID) bool) (removed []string, err error) {
	sw, ok := c.Sink.(sink.Sweeper)
	if !ok {
		return nil, nil
	}
	p := c.p
	defer p.enter(c.pr)()
	err = c.call("sweep", func() error {
		removed, err = sw.Sweep(cx, func(id sink.SetID) bool {
			if keep(id) {
				return true
			}
			p.w.mu.Lock()
			defer p.w.mu.Unlock()
			p.w.note("%s sweeps %s", c.pr, id)
			c.mayUnstage(id)
			return false
		})
		return err
	})
	return removed, err
}
