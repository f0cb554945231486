package core

import (
	"context"
	"errors"

	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/session"
)

// Replacement is other pipelines, ready to take the place of those in force: they are
// with Apply, and not after Discard. One of the two must be called.
type Replacement struct {
	db *DB
	*persist.Replacement
}

// PreparePipelines makes other pipelines than those that the engine was opened with.
// What is to stay as it is has to be the same Go value as before. A target that is new
// is asked what it holds, and refused as at a start ([SinkStateError]), or when it is a
// required one and does not answer. Nothing is in force before Apply.
func (db *DB) PreparePipelines(ctx context.Context, p Pipelines) (*Replacement, error) {
	if db.Loading() {
		return nil, errors.New(session.ErrLoading)
	}
	r, err := db.persist.Prepare(ctx, p)
	if err != nil {
		return nil, err
	}
	return &Replacement{db, r}, nil
}

// Apply puts the pipelines in force, for whatever begins from now on: a checkpoint in
// flight goes on with what it began with. released is called, on any goroutine, when
// nobody uses what is not in force any more; it must not wait for anything.
//
// What a best-effort sink was owed that stays, it is owed still. One that is new gets
// the newest checkpoint, and a target of the archive all of the log that is still
// there. When the stages are others, a checkpoint is begun, behind the one in flight if
// there is one: so a start does not need those of before.
func (r *Replacement) Apply(released func()) {
	r.db.swapping.Lock()
	defer r.db.swapping.Unlock()
	r.Replacement.Apply(released)
}
