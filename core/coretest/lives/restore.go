package lives

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// restore makes a data directory of what the place holds.
func (w *world) restore(src sink.Sink, at backup.At) (*memfs.FS, *backup.Point, error) {
	point, err := backup.Plan(ctx, src, at)
	if err != nil {
		return nil, nil, err
	}
	data := memfs.New()
	_, err = backup.Restore(ctx, data, src, point, backup.Options{
		Stages: sink.NewRegistry(), Backoff: time.Millisecond, Now: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) },
	})
	return data, point, err
}

// bringBack is what `spillway restore` does on an empty disk, of a daemon that
// does not run.
func (d *daemon) bringBack() error {
	d.place.changing.Lock()
	defer d.place.changing.Unlock()
	if d.place.armed() { // a restore that cannot read what is there is another story
		d.place.store.Fault(0)
	}
	data, point, err := d.w.restore(d.place.store.Open(), backup.At{})
	var chosen *state
	switch {
	case errors.Is(err, backup.ErrNoCheckpoint), errors.Is(err, backup.ErrLineages):
		return nil // there is none, or a person has to say which
	case err == nil:
		chosen, err = d.w.check(d.place, data, point)
	}
	if err != nil {
		return fmt.Errorf("restoring at %s: %w", d.place.name, err)
	}
	if err := d.w.mayChoose(d.place, point); err != nil {
		return err
	}
	d.directory = newDirectory(d.w)
	d.disk, d.state, d.floor, d.restored = data, chosen, chosen, true
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, r := range d.place.sets {
		d.seen[r] = true
	}
	return nil
}

// check opens what was restored: it must be a state that came at or after the
// checkpoint's cut.
func (w *world) check(p *Place, data *memfs.FS, point *backup.Point) (*state, error) {
	db, err := core.Open(core.Options{FS: data.CrashClone(memfs.KeepAll), Shards: 3, ManualTick: true})
	if err != nil {
		return nil, fmt.Errorf("what was restored of %s cannot be opened: %w", point.Set.ID, err)
	}
	defer db.Close()
	got, err := w.read(db)
	if err != nil {
		return nil, fmt.Errorf("restored of %s: %w", point.Set.ID, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := p.sets[point.Set.ID]
	switch {
	case r == nil:
		return nil, fmt.Errorf("%s was restored, which nobody has published", point.Set.ID)
	case len(point.Segments) == 0 && got != r.state:
		return nil, fmt.Errorf("%s holds state %s, and %s was restored", point.Set.ID, r.state, got)
	case !got.from(r.state):
		return nil, fmt.Errorf("%s holds state %s, and %s, restored with %d segments, does not come after it", point.Set.ID, r.state, got, len(point.Segments))
	}
	return got, nil
}

// mayChoose wants the lineage that a restore took without being told to be one
// that goes on from all others, as far as these had come.
func (w *world) mayChoose(p *Place, point *backup.Point) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	chosen := point.Set.Lineage()
	for _, r := range p.here("") {
		l := r.set.Lineage()
		if l == chosen || r.set.ID.Kind == sink.KindSegment {
			continue
		}
		if until, ok := w.follows[chosen][l]; !ok || r.seq > until {
			return fmt.Errorf("%s of lineage %.8s was taken without a word, though %s of lineage %.8s is there and not what it goes on from", point.Set.ID, chosen, r.set.ID, l)
		}
	}
	return nil
}

// checkAll restores every checkpoint of every place, and the latest state of
// every lineage.
func (w *world) checkAll() error {
	for _, p := range w.places {
		w.mu.Lock()
		sets := p.here("")
		w.mu.Unlock()
		numbers, lineages := map[string]int{}, map[string]bool{}
		for _, r := range sets {
			if r.set.ID.Kind != sink.KindSegment {
				numbers[fmt.Sprint(r.set.Lineage(), r.set.ID.Generation)]++
				lineages[r.set.Lineage()] = true
			}
		}
		for _, r := range sets {
			if r.set.ID.Kind == sink.KindSegment || numbers[fmt.Sprint(r.set.Lineage(), r.set.ID.Generation)] > 1 {
				continue
			}
			data, point, err := w.restore(p.look, backup.At{Generation: r.set.ID.Generation, Lineage: r.set.Lineage()})
			if err == nil && point.Set.ID != r.set.ID {
				err = fmt.Errorf("%s came instead", point.Set.ID)
			}
			if err == nil {
				_, err = w.check(p, data, point)
			}
			if err != nil {
				return fmt.Errorf("%s: restoring %s: %w", p.name, r.set.ID, err)
			}
		}
		for l := range lineages {
			data, point, err := w.restore(p.look, backup.At{Lineage: l})
			if err == nil {
				_, err = w.check(p, data, point)
			}
			if err != nil {
				return fmt.Errorf("%s: restoring the latest state of lineage %.8s: %w", p.name, l, err)
			}
		}
		if data, point, err := w.restore(p.look, backup.At{}); err == nil {
			if err := w.mayChoose(p, point); err != nil {
				return err
			}
			if _, err := w.check(p, data, point); err != nil {
				return err
			}
		} else if !errors.Is(err, backup.ErrLineages) && !errors.Is(err, backup.ErrNoCheckpoint) {
			return fmt.Errorf("%s: restoring the latest state: %w", p.name, err)
		}
	}
	return nil
}

// checkLatest wants the latest state of a running daemon's lineage to be its own.
func (d *daemon) checkLatest() error {
	lineage, _ := d.pr.known()
	data, point, err := d.w.restore(d.place.look, backup.At{Lineage: lineage})
	if err != nil {
		return fmt.Errorf("restoring what daemon %d has saved: %w", d.n, err)
	}
	got, err := d.w.check(d.place, data, point)
	if err == nil && got != d.state {
		err = fmt.Errorf("daemon %d is in state %s, and %s was restored of its lineage", d.n, d.state, got)
	}
	return err
}
