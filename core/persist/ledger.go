package persist

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// ledger is the manifest in force, and the numbers that were drawn. Every manifest
// that is committed is committed here.
//
// writing is held from reading the manifest in force until its successor is
// committed, across I/O, and guards later; mu guards the fields below it, is taken
// second, and held for nothing but [ancestry]. Who only reads needs no lock:
// current returns what nobody changes.
type ledger struct {
	fs      vfs.FS
	store   *manifest.Store
	own     *ancestry // is told of every manifest and every number
	now     func() time.Time
	version string // of the engine

	writing vfs.IOLock
	later   garbage // to be removed once it is certain which manifest is on disk

	mu       sync.Mutex
	manifest *manifest.Manifest // in force; nobody changes it
	// The numbers to draw next: at least the manifest's, and higher where some
	// were drawn that no manifest on disk has reserved yet.
	nextGeneration, nextSegment uint64

	whole uint64           // segments below this ID are sealed
	sizes map[uint64]int64 // of these
}

// newLedger returns an empty one: a start reads what is on disk and installs it.
func newLedger(disk vfs.FS, own *ancestry, now func() time.Time, version string) *ledger {
	l := &ledger{
		fs: disk, store: manifest.NewStore(disk, now), own: own, now: now, version: version,
		writing: vfs.NewIOLock(), manifest: &manifest.Manifest{}, nextGeneration: 1, nextSegment: 1, sizes: make(map[uint64]int64),
	}
	own.numbers = l.numbers
	return l
}

// current is the manifest in force, which nobody changes.
func (l *ledger) current() *manifest.Manifest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.manifest
}

// numbers are those that are drawn next.
func (l *ledger) numbers() (generation, segment uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nextGeneration, l.nextSegment
}

// drawGeneration draws the number of a checkpoint. The next rotation reserves it.
func (l *ledger) drawGeneration() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own.above(&l.nextGeneration, &l.nextSegment)
	l.nextGeneration++
	return l.nextGeneration - 1
}

// rotate commits a manifest that reserves the generations drawn so far, so that
// no later life of the data directory uses them again, and, if there is to be
// one, the next segment of the log, pre-created, before any write can reach
// that. A segment that does not follow on what is on disk, because there was no
// log or it has failed, is not named: it joins the manifest only together with
// the base that it follows, and until then a start must not see it.
func (l *ledger) rotate(segment, named bool) (next manifest.Segment, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	m := l.current().Clone()
	l.fork(m)
	if segment {
		if next, err = l.reserve(); err != nil {
			return manifest.Segment{}, err
		}
		if named {
			if n := len(m.Segments); n > 0 {
				next.PrevLogID = m.Segments[n-1].LogID
			}
			m.Segments = append(m.Segments, next)
		}
	}
	if err := l.commit(m); err != nil {
		if segment && !errors.Is(err, manifest.ErrUnknownOutcome) {
			l.unreserve(next)
		}
		return manifest.Segment{}, err
	}
	return next, nil
}

// part gives the data directory a lineage of its own when the one it has is found
// to be shared. A checkpoint that has found that out ends with it: a process that
// dies before its next rotation would not know any more. The caller holds writing.
func (l *ledger) part() error {
	m := l.current().Clone()
	if !l.fork(m) {
		return nil
	}
	return l.commit(m)
}

// fork gives m a lineage of its own if the one it has is found to be shared, and
// tells whether it did.
func (l *ledger) fork(m *manifest.Manifest) bool {
	f, shared := l.own.fork()
	if shared {
		m.Follows, m.Lineage = sink.AddFollow(m.Ancestry(), f), manifest.NewLineage()
	}
	return shared
}

// reserve draws the number of the next segment and creates its file.
func (l *ledger) reserve() (next manifest.Segment, err error) {
	l.mu.Lock()
	l.own.above(&l.nextGeneration, &l.nextSegment)
	next.ID = l.nextSegment
	l.nextSegment++ // a file of this name may stay behind whatever comes
	l.mu.Unlock()
	next.Path = manifest.SegmentPath(next.ID)
	if next.LogID, err = wal.Create(l.fs, next.Path, l.now()); err != nil {
		l.unreserve(next)
	}
	l.own.created(next)
	return next, err
}

// unreserve takes back a segment that no manifest has named: what is archived is
// to have numbers without gaps. Where its file cannot be removed the number is
// gone; the sweep of the next start takes the file.
func (l *ledger) unreserve(next manifest.Segment) {
	err := l.fs.Remove(next.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nextSegment == next.ID+1 {
		l.nextSegment = next.ID
	}
}

// commit makes m the manifest on disk and in memory. An error that wraps
// ErrUnknownOutcome leaves open which one is on disk. The caller holds writing.
func (l *ledger) commit(m *manifest.Manifest) error {
	l.mu.Lock()
	m.NextGeneration = max(m.NextGeneration, l.nextGeneration)
	m.NextSegment = max(m.NextSegment, l.nextSegment)
	l.mu.Unlock()
	m.CreatedAt = l.now().UTC()
	m.CreatedBy = "spillway " + l.version
	err := l.store.Commit(m)
	if err != nil {
		return err
	}
	l.install(m)
	return nil
}

// install makes m the manifest in memory. Numbers that were drawn meanwhile
// stay drawn.
func (l *ledger) install(m *manifest.Manifest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextGeneration = max(l.nextGeneration, m.NextGeneration)
	l.nextSegment = max(l.nextSegment, m.NextSegment)
	l.manifest = m
	l.own.become(m)
}

// adopt makes the manifest on disk that in memory, after a commit of unknown
// outcome. When it cannot be read the old one stays, until a later commit
// succeeds. The caller holds writing.
func (l *ledger) adopt() {
	if on, err := l.store.Load(); err == nil {
		l.install(on)
	}
}

// adoptOnDisk is adopt for those who do not hold writing.
func (l *ledger) adoptOnDisk() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.adopt()
}

// removable is what may be removed now that a commit has certainly succeeded: what
// it has retired, and what earlier commits of unknown outcome have. The caller
// holds writing.
func (l *ledger) removable(gone garbage) garbage {
	gone.add(l.later)
	l.later = garbage{}
	return gone
}

// seal notes that the segments below this ID are sealed, and tells whether that is
// news. The first that it hears of is the start's, and none.
func (l *ledger) seal(id uint64) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news = l.whole > 0 && id > l.whole
	l.whole = max(l.whole, id)
	return news
}

// isSealed tells whether a segment is sealed, as far as was noted.
func (l *ledger) isSealed(id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return id < l.whole
}

// sizeOf is the size of a segment that is not written to any more, 0 if it
// cannot be told. It is asked for at every tick.
func (l *ledger) sizeOf(s manifest.Segment) int64 {
	l.mu.Lock()
	size, ok := l.sizes[s.ID]
	l.mu.Unlock()
	if ok {
		return size
	}
	st, err := l.fs.Stat(s.Path)
	if err != nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.whole > s.ID {
		l.forgetSizes()
		l.sizes[s.ID] = st.Size()
	}
	return st.Size()
}

// forgetSizes keeps the sizes of those that the manifest names, once there are many
// others. The caller holds mu.
func (l *ledger) forgetSizes() {
	if len(l.sizes) <= 2*len(l.manifest.Segments)+16 {
		return
	}
	named := make(map[uint64]bool, len(l.manifest.Segments))
	for _, s := range l.manifest.Segments {
		named[s.ID] = true
	}
	for id := range l.sizes {
		if !named[id] {
			delete(l.sizes, id)
		}
	}
}

// garbage is on disk, or on a sink, and of no use to the manifest any more.
type garbage struct {
	segments []string
	sets     []sink.SetID // that were committed: targets keep theirs, see Prune
	staged   []sink.SetID // that may have been committed, and turned out not to be
}

func (g *garbage) add(o garbage) {
	g.segments = append(g.segments, o.segments...)
	g.sets = append(g.sets, o.sets...)
	g.staged = append(g.staged, o.staged...)
}
