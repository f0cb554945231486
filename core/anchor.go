package core

import (
	"context"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// anchor begins a checkpoint at the first start of a restored directory. Its
// base is of the life before: on further sinks nothing is there yet that the
// log of this life continues, and until there is, what is written now could not
// be restored from them. An archive asks for that checkpoint by itself. m is
// what the start found.
func (db *DB) anchor(m *manifest.Manifest) {
	restored := m.Base != nil && m.Lineage != "" && m.Base.Lineage() != m.Lineage
	if !restored || len(db.opts.Targets) == 0 || db.ckpt.archive != nil {
		return
	}
	if _, err := db.ckpt.start(context.Background(), sink.KindSnapshot, "the directory was restored", false); err != nil {
		db.logger.Warn("the first checkpoint after a restore was not started", "error", err)
	}
}
