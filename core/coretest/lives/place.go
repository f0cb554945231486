package lives

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
)

// Store is where a place keeps its sets.
type Store struct {
	// Open returns a client of the store. It is called for every life of a
	// daemon, and for the observer; it may return the same one again.
	Open func() sink.Sink
	// Look returns the observer's client, where Fault would spoil what it
	// sees; nil: Open does.
	Look func() sink.Sink
	// Files shows the store's files, below any directory; nil: it cannot. The
	// bytes of SET.json and of every part are compared where it can.
	Files fs.FS
	// Fault fails one of the next operations inside the store: the n-th, none
	// for 0, and for -1 it is left as it is. It tells whether one is still to
	// fail. nil: it cannot.
	Fault func(n int) (pending bool)
}

// Make makes an empty store for one test.
type Make func(t testing.TB) Store

// Place is a store with a witness.
type Place struct {
	name  string
	store Store
	w     *world
	look  sink.Sink // the observer's

	changing sync.RWMutex // shared by calls that change the store, held alone by the observer

	// Guarded by the world's mu.
	sets   map[sink.SetID]*record
	staged map[staged]*process // who has put parts of what is not published
	raw    map[string]string   // digests of the files of published sets
}

// staged is a set as its directory names it.
type staged struct {
	generation uint64
	token      string
	segment    bool
}

func dirOf(id sink.SetID) staged {
	return staged{id.Generation, id.Token, id.Kind == sink.KindSegment}
}

// record is all that is known of a set that was published.
type record struct {
	set   sink.Set
	doc   string // its JSON, as it was published
	parts map[string]string
	by    *process
	seq   int
	// sure: Publish has said so. settled: whoever asked for the checkpoint was
	// told of it, or the process is gone, so that no job takes it back.
	sure, settled bool
	gone, going   bool
	state         *state // of a checkpoint: what a restore of it must yield; nil: not known for certain
}

func newPlace(w *world, name string, s Store) *Place {
	look := s.Look
	if look == nil {
		look = s.Open
	}
	return &Place{
		name: name, store: s, w: w, look: look(),
		sets: make(map[sink.SetID]*record), staged: make(map[staged]*process), raw: make(map[string]string),
	}
}

// armed tells whether an operation inside the store is still to fail.
func (p *Place) armed() bool { return p.store.Fault != nil && p.store.Fault(-1) }

// here are the records of what is published there now. The caller holds the world's mu.
func (p *Place) here(lineage string) (sets []*record) {
	for _, r := range p.sets {
		if !r.gone && !r.going && r.sure && (lineage == "" || r.set.Lineage() == lineage) {
			sets = append(sets, r)
		}
	}
	return sets
}

// observe reads the store anew and compares it with everything ever published.
func (p *Place) observe() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	listed, err := p.look.List(ctx)
	if err != nil {
		return fmt.Errorf("%s: the observer cannot list it: %w", p.name, err)
	}
	there := make(map[sink.SetID]bool)
	for _, s := range listed {
		there[s.ID] = true
		r := p.sets[s.ID]
		if r == nil || r.gone {
			p.w.accuse("%s is listed, and nobody has published it", s.ID)
			continue
		}
		if doc := document(s); doc != r.doc {
			p.w.accuse("%s has changed: it was published as\n%s\nand is now\n%s", s.ID, r.doc, doc)
		}
		for _, sp := range s.Parts {
			if sum, err := digest(p.look, sp); err != nil || sum != r.parts[sp.Part.Name] {
				p.w.accuse("%s of %s has changed: its digest was %s and is %s (%v)", sp.Part.Name, s.ID, r.parts[sp.Part.Name], sum, err)
			}
		}
	}
	for id, r := range p.sets {
		switch {
		case !there[id] && r.sure && !r.gone && !r.going:
			p.w.accuse("%s, published by %s, has disappeared", id, r.by)
			r.gone = true
		case !there[id] && (r.going || !r.sure):
			// A removal, or a publication, whose outcome was not known.
		case there[id] && !r.sure && !r.gone:
			r.sure = true // its outcome was not known
		}
	}
	p.compareFiles(there)
	return p.w.guilty()
}

// compareFiles compares the bytes of every published set with those at the
// first look. The caller holds the world's mu.
func (p *Place) compareFiles(there map[sink.SetID]bool) {
	if p.store.Files == nil {
		return
	}
	now := make(map[string]string)
	err := fs.WalkDir(p.store.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		id, ok := sink.ParseDirName(path.Base(path.Dir(name)))
		if !ok || !published(there, id) {
			return nil
		}
		b, err := fs.ReadFile(p.store.Files, name)
		if err == nil {
			now[name] = sumOf(b)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		p.w.accuse("reading its files: %v", err)
		return
	}
	for name, sum := range now {
		if old, seen := p.raw[name]; seen && old != sum {
			p.w.accuse("the file %s has changed", name)
		}
		p.raw[name] = sum
	}
	for name := range p.raw {
		id, _ := sink.ParseDirName(path.Base(path.Dir(name)))
		if _, ok := now[name]; !ok && published(there, id) {
			p.w.accuse("the file %s of a published set is gone", name)
		}
	}
}

func published(there map[sink.SetID]bool, dir sink.SetID) bool {
	rewrite := dir
	rewrite.Kind = sink.KindRewrite
	return there[dir] || dir.Kind != sink.KindSegment && there[rewrite]
}

// document is what a set says of itself.
func document(s sink.Set) string {
	b, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digest reads a stored part to its end.
func digest(s sink.Sink, sp sink.SetPart) (string, error) {
	r, err := s.Open(ctx, sp.Part, sp.SinkReceipt)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		return "", err
	}
	return sumOf(b.Bytes()), nil
}
