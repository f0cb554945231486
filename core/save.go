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

// RewriteAOF is Save with a rewrite checkpoint: one that is made of commands.
func (db *DB) RewriteAOF(ctx context.Context) error {
	return db.runJob(ctx, sink.KindRewrite, "rewrite")
}

func (db *DB) runJob(ctx context.Context, kind sink.Kind, why string) error {
	out, err := db.persist.Begin(ctx, kind, why)
	if err != nil {
		return replyError(err)
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
