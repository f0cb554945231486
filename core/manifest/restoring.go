package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spillwaydb/spillway/core/vfs"
)

// LockFile is the file in the data directory that its owner holds locked.
const LockFile = "LOCK"

// RestoringFile marks a data directory that is being filled from elsewhere. It
// is there before anything else and goes after the manifest was committed: a
// directory that has it is not whole, and no engine starts on it.
const RestoringFile = "RESTORE.json"

// Restoring is what the mark says.
type Restoring struct {
	// Command finishes what was begun when it is run again.
	Command string `json:"command"`
	// What tells one piece of work from another: only the same goes on in the
	// directory. It is for people too.
	What string `json:"what"`
}

// UnfinishedError is why an engine does not start on a marked directory.
type UnfinishedError struct{ Restoring }

// Error implements error.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("the directory is half filled (%s is there): %s was begun and did not come to its end; run `%s` to finish it, or empty the directory",
		RestoringFile, e.What, e.Command)
}

// Mark makes the mark, durably.
func Mark(fs vfs.FS, r Restoring) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("mark the data directory: %w", err)
	}
	if err := vfs.WriteFileAtomic(fs, RestoringFile, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("mark the data directory: %w", err)
	}
	return nil
}

// Unmark takes the mark away, durably.
func Unmark(fs vfs.FS) error {
	if err := vfs.RemoveIfExists(fs, RestoringFile); err != nil {
		return fmt.Errorf("unmark the data directory: %w", err)
	}
	if err := fs.SyncDir("."); err != nil {
		return fmt.Errorf("unmark the data directory: sync it: %w", err)
	}
	return nil
}

// Marked returns what the mark says, nil without one. A mark that cannot be
// understood is one.
func Marked(fs vfs.FS) (*Restoring, error) {
	b, err := vfs.ReadSmall(fs, RestoringFile, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(Restoring)
	if err := json.Unmarshal(b, r); err != nil {
		return &Restoring{Command: "spillway restore", What: "a restore that left an unreadable mark"}, nil
	}
	return r, nil
}

// RefuseMarked is an *UnfinishedError for a directory that is marked.
func RefuseMarked(fs vfs.FS) error {
	r, err := Marked(fs)
	if err == nil && r != nil {
		err = &UnfinishedError{*r}
	}
	return err
}
