package backup_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// together is a source whose segments open only when as many of them as want are being
// opened.
type together struct {
	sink.Sink
	want int

	mu          sync.Mutex
	changed     *sync.Cond
	opened      int
	under, most int
	late        bool
}

func newTogether(t *testing.T, src sink.Sink, want int) *together {
	s := &together{Sink: src, want: want}
	s.changed = sync.NewCond(&s.mu)
	guard := time.AfterFunc(time.Minute, func() { // ends what would hang
		s.mu.Lock()
		defer s.mu.Unlock()
		s.late = true
		s.changed.Broadcast()
	})
	t.Cleanup(func() { guard.Stop() })
	return s
}

// Open implements sink.Sink.
func (s *together) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	if p.Kind != sink.KindSegment {
		return s.Sink.Open(ctx, p, r)
	}
	s.mu.Lock()
	s.opened++
	s.under++
	s.most = max(s.most, s.under)
	s.changed.Broadcast()
	for s.opened < s.want && !s.late {
		s.changed.Wait()
	}
	s.mu.Unlock()
	rc, err := s.Sink.Open(ctx, p, r)
	if err != nil {
		return nil, err
	}
	return &leaving{rc, s}, nil
}

type leaving struct {
	io.ReadCloser
	s *together
}

func (l *leaving) Close() error {
	l.s.mu.Lock()
	l.s.under--
	l.s.mu.Unlock()
	return l.ReadCloser.Close()
}

// TestSmallSegmentsTogether: an archive's small segments are fetched and verified more at
// once than large parts would be, and no more than that; with a Parallel of 1 they come
// one after the other.
func TestSmallSegmentsTogether(t *testing.T) {
	w := newWorld(t, seeded(t))
	w.save()
	for range 9 {
		w.do("SET", "k", "v")
		w.rotate()
	}
	ctx := context.Background()
	p, err := backup.Plan(ctx, w.src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	n := len(p.Segments)
	if n < 9 {
		t.Fatalf("there are %d segments only", n)
	}
	for _, c := range []struct{ parallel, want, most int }{{2, 8, 8}, {3, n, n}, {1, 1, 1}} {
		src := newTogether(t, w.src, c.want)
		o := w.options()
		o.Parallel = c.parallel
		res, err := backup.Restore(ctx, memfs.New(), src, p, o)
		if err != nil || res.Segments != n {
			t.Fatalf("%d of %d segments: %v", res.Segments, n, err)
		}
		if src.late || src.most > c.most {
			t.Errorf("restore, %d parallel: %d segments at once", c.parallel, src.most)
		}
		src = newTogether(t, w.src, c.want)
		states, err := backup.Verify(ctx, src, p.Segments, backup.VerifyOptions{Stages: o.Stages, Parallel: c.parallel})
		if err != nil || len(states) != n || states[0].Damage != "" {
			t.Fatalf("verify: %v, %+v", err, states)
		}
		if src.late || src.most > c.most {
			t.Errorf("verify, %d parallel: %d segments at once", c.parallel, src.most)
		}
	}
}
