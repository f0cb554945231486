package faultfs

import (
	"slices"
	"sync/atomic"
	"syscall"
)

// FailNth fails the nth operation (from 1) that matches, once; a nil match takes
// every operation.
func FailNth(n int64, match func(Op) bool, err error) func(Op) error {
	var seen atomic.Int64
	return func(op Op) error {
		if match != nil && !match(op) || seen.Add(1) != n {
			return nil
		}
		return err
	}
}

// FailFrom fails the nth matching operation and every one after it, as a disk
// that went away does.
func FailFrom(n int64, match func(Op) bool, err error) func(Op) error {
	var seen atomic.Int64
	return func(op Op) error {
		if match != nil && !match(op) || seen.Add(1) < n {
			return nil
		}
		return err
	}
}

// FailKind fails every operation of the kinds.
func FailKind(err error, kinds ...OpKind) func(Op) error {
	return func(op Op) error {
		if slices.Contains(kinds, op.Kind) {
			return err
		}
		return nil
	}
}

// Quota lets bytes be written in total; then writes are short and end in ENOSPC.
// Removing files gives nothing back (memfs has a quota that does).
func Quota(bytes int64) func(Op) error {
	var used atomic.Int64
	return func(op Op) error {
		if op.Kind != OpWrite {
			return nil
		}
		if over := used.Add(op.N) - bytes; over > 0 {
			return &Short{N: op.N - over, Err: syscall.ENOSPC}
		}
		return nil
	}
}

// Chain asks each function in turn and takes the first error.
func Chain(injects ...func(Op) error) func(Op) error {
	return func(op Op) error {
		for _, inject := range injects {
			if err := inject(op); err != nil {
				return err
			}
		}
		return nil
	}
}
