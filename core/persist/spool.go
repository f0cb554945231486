package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Export writes all keys, as they are at one moment, and what is no key, as one RDB
// file and returns how many keys there are. Writes go on meanwhile. It waits for the
// views of a checkpoint, and a checkpoint for its. What was written is worth nothing
// after an error.
func (p *Persister) Export(ctx context.Context, out io.Writer) (keys int64, err error) {
	return p.export(ctx, out, func() {})
}

// export is Export that calls began before the moment has come.
func (p *Persister) export(ctx context.Context, out io.Writer, began func()) (keys int64, err error) {
	if err := p.lockViews(ctx); err != nil {
		return 0, err
	}
	defer p.views.Unlock()
	began()
	var views []*keyspace.View
	defer func() {
		for _, v := range views {
			v.Release()
		}
	}()
	at := p.clock.Now()
	p.env.Barrier(func() {
		views, err = p.ks.FreezeAll()
		at = p.clock.Now()
	})
	if err != nil {
		return 0, fmt.Errorf("freezing the keyspace: %w", err)
	}
	w := rdb.NewWriter(out)
	if slices.ContainsFunc(views, (*keyspace.View).Dated) {
		w.DatedHeader(rdb.HeaderAt(at))
	} else {
		w.Header(rdb.HeaderAt(at))
	}
	for _, v := range views {
		n, err := v.Encode(w, nil)
		keys += n
		if err != nil {
			return keys, err
		}
	}
	return keys, w.End()
}

// lockViews takes the shards' views, of which there is one each at a time, unless ctx
// ends before.
func (p *Persister) lockViews(ctx context.Context) error {
	select {
	case p.views <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Snapshot is one RDB file for a client, complete before its first byte is read. It
// pins nothing of the data: a client that is slow, or stops, costs the disk space of
// the file until Close, which must be called. Any number of them may share a file.
type Snapshot struct {
	*io.SectionReader
	close func()
	once  sync.Once
}

// Close lets go of the file.
func (s *Snapshot) Close() error {
	s.once.Do(s.close)
	return nil
}

// ErrSnapshots is the refusal of a snapshot for a client while others still read
// theirs.
var ErrSnapshots = fmt.Errorf("%d snapshots are being read by other clients; try again when one of them is done", maxSpools)

// maxSpools is how many files there are for clients, at most.
const maxSpools = 2

// spools are the snapshots for clients. Each is a file of the data directory that has
// no name: it is gone with the last client that reads it, and with the process.
type spools struct {
	ctx context.Context // ends with the engine
	end context.CancelFunc

	mu   sync.Mutex
	next *spool // whose moment has not come: who asks now gets that
	live int    // files, those that are not begun included
}

// spool is one file, and who waits for it or reads it.
type spool struct {
	of    *spools
	users int // guarded by spools.mu
	done  chan struct{}

	// When done is closed.
	file vfs.File
	size int64
	err  error
}

// Snapshot returns all keys, and what is no key, as they are at a moment between call
// and return. It waits for views of a checkpoint that is under way, and then for the
// file to be written, with no lock held: the caller holds none either. Clients that wait at
// the same time share a file, and of these there are two at most (ErrSnapshots).
func (p *Persister) Snapshot() (*Snapshot, error) {
	if p.env.ReadOnly {
		return nil, ErrReadOnly
	}
	s := &p.spools
	s.mu.Lock()
	sp := s.next
	if sp == nil {
		if s.live == maxSpools {
			s.mu.Unlock()
			return nil, ErrSnapshots
		}
		sp = &spool{of: s, done: make(chan struct{})}
		if !p.bg.run(func() { p.fill(sp) }) {
			s.mu.Unlock()
			return nil, ErrShuttingDown
		}
		s.next = sp
		s.live++
	}
	sp.users++
	s.mu.Unlock()
	<-sp.done
	if sp.err != nil {
		sp.leave()
		return nil, sp.err
	}
	return &Snapshot{SectionReader: io.NewSectionReader(sp.file, 0, sp.size), close: sp.leave}, nil
}

// fill writes the file of a spool.
func (p *Persister) fill(sp *spool) {
	s := &p.spools
	begun := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.next == sp {
			s.next = nil
		}
	}
	defer close(sp.done)
	defer begun()
	f, err := p.unnamed()
	if err != nil {
		sp.err = fmt.Errorf("snapshot for a client: %w", err)
		return
	}
	sp.file = f
	w := &spoolWriter{ctx: s.ctx, to: sink.Steadily(f)}
	keys, err := p.export(s.ctx, w, begun)
	if s.ctx.Err() != nil {
		err = ErrShuttingDown
	}
	if err != nil {
		sp.err = fmt.Errorf("snapshot for a client: %w", err)
		p.jobLog.Error("snapshot for a client failed", "error", err)
		return
	}
	sp.size = w.n
	p.jobLog.Info("snapshot for a client", "keys", keys, "bytes", w.n)
}

// unnamed creates a file and removes its name. A crash in between leaves one that the
// next start sweeps.
func (p *Persister) unnamed() (vfs.File, error) {
	name := fmt.Sprintf("snapshot-%d%s", p.spooled.Add(1), vfs.TempSuffix)
	f, err := p.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := vfs.RemoveIfExists(p.fs, name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// leave ends one use of the file.
func (sp *spool) leave() {
	s := sp.of
	s.mu.Lock()
	sp.users--
	last := sp.users == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if sp.file != nil {
		_ = sp.file.Close() // it has no name: nothing of it is to be kept
	}
	s.mu.Lock() // the file is gone before another may be begun
	s.live--
	s.mu.Unlock()
}

// spoolWriter counts what is written, and ends with ctx.
type spoolWriter struct {
	ctx context.Context
	to  io.Writer
	n   int64
}

// Write implements io.Writer.
func (w *spoolWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.to.Write(b)
	w.n += int64(n)
	return n, err
}

// Libraries returns an RDB file without data: it has the function libraries, or nothing.
func (p *Persister) Libraries(functions bool) (*Snapshot, error) {
	var out bytes.Buffer
	w := rdb.NewWriter(&out)
	w.Header(rdb.HeaderAt(p.clock.Now()))
	if functions {
		for _, l := range p.ks.Libraries() {
			w.Function(l.Code)
		}
	}
	if err := w.End(); err != nil {
		return nil, err
	}
	return &Snapshot{SectionReader: io.NewSectionReader(bytes.NewReader(out.Bytes()), 0, int64(out.Len())), close: func() {}}, nil
}
