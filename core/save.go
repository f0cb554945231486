package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/sink"
)

// Save returns once a snapshot checkpoint of
// this moment or later is committed and durable.
func (db *DB) Save() error { return db.runJob(sink.KindSnapshot, "SAVE") }

// RewriteAOF is BGREWRITEAOF that waits for the commit. For embedders and tests.
func (db *DB) RewriteAOF() error { return db.runJob(sink.KindRewrite, "rewrite") }

func (db *DB) runJob(kind sink.Kind, why string) error {
	out, err := db.persist.Begin(context.Background(), kind, why)
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
