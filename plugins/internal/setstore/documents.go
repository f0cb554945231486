package setstore

import (
	"path"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
)

// maxDocuments bounds the bytes that are kept.
const maxDocuments = 32 << 20

// documents keeps what List has read: a document does not change, archived
// segments are many, and each reading is a request that costs.
type documents struct {
	mu    sync.Mutex
	docs  map[string]document
	bytes int
}

type document struct {
	version string
	doc     []byte
}

// get returns a document of that version; nil if it is not kept.
func (d *documents) get(name, version string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.docs[name]; ok && k.version == version {
		return k.doc
	}
	return nil
}

// put keeps a document, if there is room.
func (d *documents) put(name, version string, doc []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(name)
	if d.bytes+len(doc) > maxDocuments {
		return
	}
	if d.docs == nil {
		d.docs = make(map[string]document)
	}
	d.docs[name] = document{version, doc}
	d.bytes += len(doc)
}

// forget drops what is in none of dirs.
func (d *documents) forget(dirs []Dir) {
	there := make(map[string]bool, len(dirs))
	for _, dir := range dirs {
		there[path.Join(sink.SetsDir, dir.Name, sink.SetFile)] = dir.Version != ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.docs {
		if !there[name] {
			d.drop(name)
		}
	}
}

// lose drops one document: the store's clock may be too coarse to tell what is
// written next from what was.
func (d *documents) lose(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(name)
}

func (d *documents) drop(name string) {
	d.bytes -= len(d.docs[name].doc)
	delete(d.docs, name)
}
