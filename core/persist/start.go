package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// LoadManifest reads the manifest of the data directory, and makes it durable; an
// error that wraps fs.ErrNotExist is a directory without one.
func (p *Persister) LoadManifest() (*manifest.Manifest, error) { return p.ledger.store.Load() }

// Accept is the first change on disk of a start that Settle let go on: what
// onDisk, the manifest that was loaded, does not name is removed and returned, and
// what Settle has decided is committed.
func (p *Persister) Accept(onDisk *manifest.Manifest) (swept []string, err error) {
	if swept, err = p.ledger.store.Sweep(onDisk, nil); err != nil {
		return nil, fmt.Errorf("sweeping leftovers: %w", err)
	}
	if err := p.commitLineage(onDisk); err != nil {
		return nil, err
	}
	p.savedAt(p.ledger.current())
	return swept, nil
}

// Show takes in the manifest of a directory that is only looked at.
func (p *Persister) Show(m *manifest.Manifest) {
	p.savedAt(m)
	p.ledger.install(m)
}

func (p *Persister) savedAt(m *manifest.Manifest) {
	if m.LastSave > 0 {
		p.mu.Lock()
		p.lastSave = time.Unix(m.LastSave, 0)
		p.mu.Unlock()
	}
}

// Start is the end of a start: it opens the log, if there is to be one, and goes
// on, in the background, with what an earlier process has left to be done.
func (p *Persister) Start(logged bool) error {
	found := p.ledger.current()
	if logged {
		if err := p.openActive(); err != nil {
			return err
		}
	}
	owed := p.ledger.current().Owed
	archive := p.archive.Load()
	if archive.found(owed); archive == nil && len(owed) > 0 {
		p.logger.Warn("log segments wait for an archive, and none is configured: the next checkpoint removes them", "segments", len(owed))
	}
	p.catchUp()
	p.baseAfterRestore(found)
	return nil
}

// baseAfterRestore begins a checkpoint at the first start of a restored directory.
// Such a directory has a lineage of its own, and its base is of the lineage that it
// was restored from: the sinks hold no checkpoint yet that the new log continues, so
// nothing written from now on could be restored from them. With an archive this is
// not needed: it asks for a checkpoint by itself (see wantsBase). m is what the
// start found.
func (p *Persister) baseAfterRestore(m *manifest.Manifest) {
	restored := m.Base != nil && m.Lineage != "" && m.Base.Lineage() != m.Lineage
	if !restored || len(p.route.Load().guards) == 0 || p.archive.Load() != nil {
		return
	}
	if _, err := p.start(context.Background(), sink.KindSnapshot, "the directory was restored", false); err != nil {
		p.logger.Warn("the first checkpoint after a restore was not started", "error", err)
	}
}
