package lives

import (
	"math"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// What a start has to come to.
type expectation int

const (
	open    expectation = iota // either
	starts                     // nothing speaks against it
	refused                    // the place holds more than the directory
)

// expect says whether the daemon's next start has to be refused, from what was
// published at its place and by whom.
func (d *daemon) expect(adopt bool) (expectation, string) {
	lineage, follows, next := d.lineage(), d.followed(), d.nextGeneration()
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if adopt {
		return starts, "it was told to adopt what is there"
	}
	strange, known, late := "", false, false
	for _, r := range d.place.sets {
		if r.gone || !r.settled {
			continue
		}
		checkpoint := r.set.ID.Kind != sink.KindSegment
		mine := d.past.made(r) || d.seen[r]
		switch l := r.set.Lineage(); {
		case l == lineage && mine, follows[l].Lineage != "" && mine:
			known = known || checkpoint
		case !r.sure:
			return open, ""
		case l == lineage && checkpoint && r.set.ID.Generation < next:
			late = true // drawn before the directory was copied, and published since: its own, or a twin's
		case l == lineage && checkpoint:
			return refused, r.set.ID.String() + " is a later state of it"
		case follows[l].Lineage != "" && checkpoint && r.set.ID.Generation > follows[l].Generation:
			return refused, "what it was restored from goes on with " + r.set.ID.String()
		case follows[l].Lineage == "" && l != lineage && checkpoint:
			strange = r.set.ID.String()
		}
	}
	switch {
	case late:
		return open, ""
	case strange != "" && !known:
		return refused, "there are only others' sets, such as " + strange
	case strange == "" && d.onlyOurs():
		return starts, "everything there is its own"
	}
	return open, ""
}

// nextGeneration is the number that the directory draws next, 0 when it has drawn none.
func (d *directory) nextGeneration() uint64 {
	m, err := manifest.Read(d.disk)
	if err != nil {
		return 0
	}
	return m.NextGeneration
}

// onlyOurs tells whether everything at the place is by this directory, or was
// there when it was restored. The caller holds the world's mu.
func (d *daemon) onlyOurs() bool {
	for _, r := range d.place.sets {
		if !r.gone && !d.past.made(r) && !d.seen[r] {
			return false
		}
	}
	return true
}

// followed are the lineages that the directory says it follows.
func (d *directory) followed() map[string]sink.Follow {
	m, err := manifest.Read(d.disk)
	all := make(map[string]sink.Follow)
	if err != nil {
		return all
	}
	for _, f := range m.Follows {
		if f.Parted {
			f.Generation = math.MaxUint64 // it may go on as it likes
		}
		if f.Looked() {
			all[f.Lineage] = f
		}
	}
	return all
}

// fenced tells whether what the daemon was restored from, or has adopted, has
// gone on at its place.
func (d *daemon) fenced() bool {
	m, err := manifest.Read(d.pr.disk)
	if err != nil {
		return false
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, r := range d.place.sets {
		if r.gone || d.past.made(r) || d.seen[r] || r.set.Lineage() == m.Lineage {
			continue
		}
		for _, f := range m.Follows {
			limit := f.Generation
			if r.set.ID.Kind == sink.KindSegment {
				limit = f.Segment
			}
			if f.Lineage == r.set.Lineage() && f.Looked() && !f.Parted && r.set.ID.Generation > limit && r.sure {
				return true
			}
		}
	}
	return false
}

// goesOn takes in that the daemon has started: what is at its place was known to
// whoever let it, if it was restored from there or told to adopt it.
func (d *daemon) goesOn(adopt bool) {
	if !adopt && !d.restored {
		return
	}
	lineage, _ := d.pr.known()
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.descends(lineage, d.place)
	if adopt {
		for _, r := range d.place.sets {
			d.seen[r] = true
		}
	}
}
