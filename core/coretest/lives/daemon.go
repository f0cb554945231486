package lives

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// clock is a daemon's own: those of two machines differ, and are set back.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// NewTicker implements core.Clock with real ticks.
func (c *clock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// config is what a daemon is configured to do.
type config struct {
	shards   int
	required bool // the target
	archive  bool
	log      bool
	keep     sink.Retention
}

// daemon is a machine with a data directory, of which one process at a time is
// the engine.
type daemon struct {
	w     *world
	n     int
	clock *clock
	place *Place
	cfg   config

	directory
	copies []directory

	processes int
	pr        *process // nil: it does not run
	db        *core.DB
	sess      *core.Session
	faulty    bool // a fault was injected since it has started
	swapped   bool // it has started at another place
	saved     bool // the process has taken a snapshot and said OK
	written   int
}

// directory is a data directory, and what is known of it.
type directory struct {
	disk  *memfs.FS
	past  past             // whose it was
	seen  map[*record]bool // what its owner was shown: by a restore, or by adopting
	state *state
	maybe *state // or this one: of a write that nobody answered
	floor *state // or, without a log, one since this one
	// restored: it goes on from what a place held, from its next start on.
	restored bool
}

func newDirectory(w *world) directory {
	return directory{disk: memfs.New(), past: past{}, seen: map[*record]bool{}, state: w.states[""], floor: w.states[""]}
}

// copy is a copy of the directory as it is now.
func (d *daemon) copy() directory {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	c := d.directory
	c.disk, c.past, c.seen = d.disk.CrashClone(memfs.KeepAll), past{}, maps.Clone(d.seen)
	for p, until := range d.past {
		c.past[p] = min(until, d.w.seq)
	}
	return c
}

func newDaemon(w *world, n int) *daemon {
	return &daemon{
		w: w, n: n, place: w.places[0], directory: newDirectory(w), cfg: config{shards: 2, required: true, log: true, keep: sink.Retention{Last: 2}},
		clock: &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
}

// lineage is the directory's, "" when it has none yet.
func (d *directory) lineage() string {
	m, err := manifest.Read(d.disk)
	if err != nil {
		return ""
	}
	return m.Lineage
}

func (d *daemon) options(adopt bool) core.Options {
	o := core.Options{
		FS: d.pr.fs, Shards: d.cfg.shards, NoLog: !d.cfg.log, ContinueOnSaveError: true, Clock: d.clock, ManualTick: true, Adopt: adopt,
		Targets: []sink.Target{{Name: "mirror", Sink: d.client(), Required: d.cfg.required, Keep: d.cfg.keep}},
	}
	if d.cfg.archive && d.cfg.log {
		o.Archive = core.Archive{Targets: []sink.Target{{Name: "vault", Sink: d.client(), Keep: d.cfg.keep}}, ShutdownWait: time.Millisecond}
	}
	return o
}

func (d *daemon) client() *client {
	return &client{Sink: d.place.store.Open(), p: d.place, pr: d.pr, keep: d.cfg.keep}
}

// start starts the daemon, unless it runs.
func (d *daemon) start(adopt bool) error {
	if d.pr != nil {
		return nil
	}
	// Others stand still until it is clear what it has seen of them.
	d.place.changing.Lock()
	standstill := sync.OnceFunc(d.place.changing.Unlock)
	defer standstill()
	expect, why := d.expect(adopt)
	armed := d.place.armed()
	d.pr = newProcess(d)
	d.past[d.pr] = math.MaxInt
	d.pr.starting = true
	db, err := core.Open(d.options(adopt))
	if d.pr.isDead() {
		if err == nil {
			_ = db.Close()
		}
		d.buried()
		return nil
	}
	var state *core.SinkStateError
	switch {
	case errors.As(err, &state):
		d.buried()
		if expect == starts && !armed {
			return fmt.Errorf("daemon %d is not started, though %s: %w", d.n, why, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("daemon %d: %w", d.n, err)
	}
	d.db, d.sess, d.faulty, d.swapped, d.saved = db, db.Session(), armed, false, false
	d.pr.known()
	if expect == refused && !armed {
		return fmt.Errorf("daemon %d is started, though %s", d.n, why)
	}
	if err := d.recognise(); err != nil {
		return err
	}
	d.goesOn(adopt)
	d.pr.mu.Lock()
	d.pr.starting = false
	d.pr.mu.Unlock()
	standstill()
	return d.quiet()
}

// recognise compares what the engine holds with what its directory must.
func (d *daemon) recognise() error {
	got, err := d.w.read(d.db)
	if err != nil {
		return fmt.Errorf("daemon %d: %w", d.n, err)
	}
	if got != d.maybe && !(d.state.from(got) && got.from(d.floor)) {
		return fmt.Errorf("daemon %d is in state %s, not in %s", d.n, got, d.state)
	}
	d.isIn(got)
	return nil
}

// isIn takes in the state that the daemon is in. A checkpoint that a start begins by
// itself may be at its cut.
func (d *daemon) isIn(s *state) {
	d.w.mu.Lock()
	d.state, d.maybe = s, nil
	d.w.mu.Unlock()
}

// read finds the state that an engine is in.
func (w *world) read(db *core.DB) (*state, error) {
	sess := db.Session()
	get := func(key string) (string, error) {
		v, err := sess.Do("GET", key)
		return v.Text(), err
	}
	id, err := get("last")
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	s := w.states[id]
	w.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("it is in a state %q that nobody was ever in", id)
	}
	for i := range keys {
		key := fmt.Sprint("k", i)
		if v, err := get(key); err != nil || v != s.keys[key] {
			return nil, fmt.Errorf("in state %q %s is %q, not %q (%v)", id, key, v, s.keys[key], err)
		}
	}
	return s, nil
}

// keys is how many there are.
const keys = 6

// write changes a key, and says under which name the state is known then.
func (d *daemon) write() error {
	if d.db == nil {
		return nil
	}
	d.written++
	next := &state{id: fmt.Sprintf("%d.%d", d.n, d.written), before: d.state, keys: maps.Clone(d.state.keys)}
	if next.keys == nil {
		next.keys = map[string]string{}
	}
	key := fmt.Sprint("k", d.written%keys)
	next.keys[key] = next.id
	d.w.mu.Lock()
	d.w.states[next.id] = next
	d.w.mu.Unlock()
	d.maybe = next
	for _, args := range [][]string{{"MULTI"}, {"SET", key, next.id}, {"SET", "last", next.id}} {
		if _, err := d.sess.Do(args...); err != nil {
			return err
		}
	}
	v, err := d.sess.Do("EXEC")
	if d.pr.isDead() {
		d.buried()
		return nil
	}
	if err != nil || v.Kind == resp.KindError {
		return fmt.Errorf("daemon %d: EXEC: %v %w", d.n, v, err)
	}
	d.isIn(next)
	if d.cfg.log {
		d.floor = next
	}
	return nil
}

// save takes a snapshot, and holds the answer against what is there then.
func (d *daemon) save() error {
	if d.db == nil {
		return nil
	}
	if err := d.quiet(); err != nil || d.db == nil {
		return err
	}
	fenced := d.fenced()
	before := d.count()
	v, err := d.sess.Do("SAVE")
	if d.pr.isDead() {
		d.buried()
		return nil
	}
	if err != nil {
		return err
	}
	switch failed := v.Kind == resp.KindError; {
	case failed && !d.faulty && !d.swapped && !(d.cfg.required && d.fenced()):
		return fmt.Errorf("daemon %d: SAVE: %s", d.n, v)
	case !failed && fenced && d.cfg.required:
		return fmt.Errorf("daemon %d has saved to a place where what it was restored from goes on", d.n)
	case fenced && d.count() > before:
		return fmt.Errorf("daemon %d has published where what it was restored from goes on", d.n)
	default:
		d.saved = d.saved || !failed
	}
	return d.quiet()
}

// count is how many checkpoints the process has published at its place.
func (d *daemon) count() (n int) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, r := range d.place.sets {
		if r.by == d.pr && r.set.ID.Kind != sink.KindSegment { // for those an answer counts a minute
			n++
		}
	}
	return n
}

// hang is how long anything may take before it counts as hung.
const hang = time.Minute

// quiet lets what is under way come to its end, and looks at what the engine
// says of it.
func (d *daemon) quiet() error {
	for began := time.Now(); d.db != nil; time.Sleep(20 * time.Microsecond) {
		d.db.Tick()
		if d.pr.isDead() {
			d.buried()
			return nil
		}
		if inFlight, _ := d.db.Checkpoints(); !inFlight {
			break
		}
		if time.Since(began) > hang {
			return fmt.Errorf("daemon %d: a checkpoint does not end", d.n)
		}
	}
	if d.db == nil {
		return nil
	}
	d.noteFork()
	m, err := manifest.Read(d.pr.disk)
	if err != nil || m.Base == nil {
		return nil //nolint:nilerr // there is none yet
	}
	if cut := d.w.committed(d, m.Base.ID); cut.from(d.floor) {
		d.floor = cut
	}
	v, err := d.db.Session().Do("INFO", "persistence")
	if err != nil {
		return err
	}
	upToDate := d.cfg.required || strings.Contains(v.Text(), "sink_mirror:role=best-effort,pending=0")
	if !d.saved || !upToDate {
		return nil // what an earlier process owed may not be queued yet
	}
	return d.has(m)
}

// has wants the checkpoint in force to have come to the daemon's place.
func (d *daemon) has(m *manifest.Manifest) error {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if r := d.place.sets[m.Base.ID]; r == nil || !r.sure {
		return fmt.Errorf("daemon %d says that its sink has everything, and %s is not there", d.n, m.Base.ID)
	}
	return nil
}

// noteFork takes in that the engine has taken another lineage.
func (d *daemon) noteFork() {
	now, before := d.pr.known()
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if before == "" || now == before || d.w.follows[now] != nil {
		return
	}
	d.w.descends(now, d.place)
	d.w.note("%s goes on as %.8s, no longer as %.8s", d.pr, now, before)
}

// drain lets time pass until the archive has everything, or does not get it.
func (d *daemon) drain() error {
	for try := 0; d.db != nil && try < 12; try++ {
		d.clock.add(20 * time.Second)
		for range 40 {
			if err := d.quiet(); err != nil || d.db == nil {
				return err
			}
			if s := d.db.Archive(); s.Waiting == 0 && s.Lag == 0 && !s.Sealing && try > 0 {
				return d.archived()
			}
			time.Sleep(30 * time.Microsecond)
		}
	}
	return nil
}

// archived wants what the engine says is archived to be there, by its own hand.
func (d *daemon) archived() error {
	m, err := manifest.Read(d.pr.disk)
	if err != nil || !d.cfg.archive || !d.cfg.log || len(m.Segments) == 0 {
		return nil //nolint:nilerr // there is none
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, s := range m.Segments[:len(m.Segments)-1] {
		found := false
		for _, r := range d.place.sets {
			if r.set.ID.Kind == sink.KindSegment && r.set.ID.Generation == s.ID && r.set.Meta[sink.MetaLogID] == s.LogID && r.sure && !r.gone && d.past.made(r) {
				found = true
			}
		}
		if !found {
			return fmt.Errorf("daemon %d says that everything is archived, and segment %d, %s, is not there", d.n, s.ID, s.LogID)
		}
	}
	return nil
}

// kill ends the process now; seed says what is left of the disk.
func (d *daemon) kill(seed int64) {
	if d.pr == nil {
		return
	}
	d.pr.mu.Lock()
	if !d.pr.dead {
		d.pr.die(seed)
	}
	d.pr.mu.Unlock()
	d.buried()
}

// buried takes in that the process is gone.
func (d *daemon) buried() {
	if d.db != nil {
		_ = d.db.Close()
	}
	if d.pr.left != nil {
		d.disk = d.pr.left
	}
	d.w.ended(d.pr)
	d.pr, d.db, d.sess = nil, nil, nil
}

// stop ends the process as SIGTERM does.
func (d *daemon) stop() error {
	if d.pr == nil {
		return nil
	}
	err := d.db.Close()
	dead, faulty := d.pr.isDead(), d.faulty
	d.db = nil
	d.buried()
	if err != nil && !dead && !faulty {
		return fmt.Errorf("daemon %d: Close: %w", d.n, err)
	}
	return nil
}
