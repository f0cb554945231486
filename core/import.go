package core

import (
	"context"
	"io"

	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Import loads what Redis wrote into the keyspace (see apply.Import), until ctx
// ends. Nothing is logged: a checkpoint makes it durable. It is for a tool that
// has the engine, which has recovered, for itself; after an error the keyspace
// holds a part of the input.
func (db *DB) Import(ctx context.Context, r io.Reader, name string, o apply.ImportOptions) (apply.Imported, error) {
	if db.opts.ReadOnly {
		return apply.Imported{}, ErrReadOnly
	}
	return apply.Import(db.ks, vfs.ContextReader(ctx, r), name, o)
}
