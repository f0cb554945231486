package wal

import (
	"errors"
	"fmt"
)

// ErrClosed is what Commit returns for appends that came after Close.
var ErrClosed = errors.New("the log is closed")

// FailedError is the sticky failure of a log: its segment is not written to
// any more and appends are dropped, until Cut has gone on in a fresh segment.
type FailedError struct {
	Path string // the segment
	Op   string // what was being done to it: "write", "fsync", "open" …
	Err  error  // the first cause
}

// Error implements error.
func (e *FailedError) Error() string {
	return fmt.Sprintf("log segment %s: %s failed: %v; free or repair the disk, a checkpoint then re-establishes the log", e.Path, e.Op, e.Err)
}

// Unwrap is the first cause.
func (e *FailedError) Unwrap() error { return e.Err }

// CorruptError is damage that no crash explains: starting would lose data that
// was promised to be durable.
type CorruptError struct {
	Path   string
	Offset int64 // of the block that is bad
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("log segment %s is corrupt at offset %d: %s; restore the file from a copy, or start from an older checkpoint", e.Path, e.Offset, e.Reason)
}
