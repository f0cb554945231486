package core

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

// loading is how far Recover has come. Its counters may be read at any time.
type loading struct {
	began time.Time
	total atomic.Int64 // bytes to read: the base as it was encoded, and the log
	done  atomic.Int64
}

// Loading tells whether Recover has yet to return.
func (db *DB) Loading() bool { return db.loading.Load() != nil }

// LoadProgress tells how many bytes Recover has read, and how many it has to read;
// total is zero before that is known, and both are when it has returned.
func (db *DB) LoadProgress() (done, total int64) {
	l := db.progress()
	return l.done.Load(), l.total.Load()
}

// progress is where a load counts: what INFO shows while the engine starts, or,
// for DEBUG RELOAD, during which nobody can ask, nowhere.
func (db *DB) progress() *loading {
	if l := db.loading.Load(); l != nil {
		return l
	}
	return new(loading)
}

// info adds Redis's fields about a load to INFO's Persistence.
func (l *loading) info(w *command.InfoWriter, now time.Time) {
	total, done := l.total.Load(), l.done.Load()
	perc, eta := 0.0, int64(1)
	if total > 0 {
		perc = float64(done) * 100 / float64(total)
	}
	if done > 0 {
		eta = int64(now.Sub(l.began).Seconds() * float64(total-done) / float64(done))
	}
	w.Field("loading_start_time", l.began.Unix())
	w.Field("loading_total_bytes", total)
	w.Field("loading_loaded_bytes", done)
	w.Field("loading_loaded_perc", fmt.Sprintf("%.2f", perc))
	w.Field("loading_eta_seconds", eta)
}

// reader counts what passes.
func (l *loading) reader(r io.Reader) io.Reader { return &loadReader{r, l} }

type loadReader struct {
	src io.Reader
	l   *loading
}

func (r *loadReader) Read(b []byte) (int, error) {
	n, err := r.src.Read(b)
	r.l.done.Add(int64(n))
	return n, err
}
