package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/sink"
)

// Save takes a snapshot checkpoint of this moment, and returns once it is committed
// and durable. When ctx ends before that, the checkpoint is given up: the one before
// it and the log are as they were. While another checkpoint is in flight it is
// refused.
func (db *DB) Save(ctx context.Context) error { return db.runJob(ctx, sink.KindSnapshot, "SAVE") }

// SaveNext is Save that does not refuse while another checkpoint is in flight, but waits
// for the end of that, and of what is begun before it.
func (db *DB) SaveNext(ctx context.Context) error {
	for {
		err := db.Save(ctx)
		if !errors.Is(err, persist.ErrInFlight) {
			return err
		}
		select {
		case <-db.persist.Ended():
		case <-ctx.Done():
			return notBegun{ctx.Err()}
		}
	}
}

// ErrNotBegun is wrapped by the error of a checkpoint that was refused before it began,
// which no event tells of.
var ErrNotBegun = errors.New("the checkpoint has not begun")

// notBegun adds it to an error, which stays as it reads: clients are shown it.
type notBegun struct{ error }

func (e notBegun) Unwrap() []error { return []error{e.error, ErrNotBegun} }

// RewriteAOF is Save with a rewrite checkpoint: one that is made of commands.
func (db *DB) RewriteAOF(ctx context.Context) error {
	return db.runJob(ctx, sink.KindRewrite, "rewrite")
}

func (db *DB) runJob(ctx context.Context, kind sink.Kind, why string) error {
	out, err := db.persist.Begin(ctx, kind, why)
	if err != nil {
		return notBegun{replyError(err)}
	}
	if err := <-out; err != nil {
		return fmt.Errorf("ERR %w", err)
	}
	return nil
}

// replyError gives an error the code a client expects.
func replyError(err error) error {
	if errors.Is(err, persist.ErrShuttingDown) || errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("ERR %w", err)
	}
	return err
}
