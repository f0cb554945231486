package repair

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// ErrNoManifest is wrapped where a data directory has data and no manifest.
var ErrNoManifest = errors.New(manifest.FileName + " is missing")

// DamagedError is why a start refuses a data directory: something that was
// promised to be durable is missing or not what was written. Nothing on disk
// was changed. [Examine] says more; [CutLog] and [GoBack] repair what can be.
type DamagedError struct {
	Err  error
	Kept []sink.SetID // older checkpoints that the manifest names, newest first; nil without a manifest
}

// Error implements error.
func (e *DamagedError) Error() string {
	kept := ""
	if len(e.Kept) > 0 {
		var names []string
		for _, id := range e.Kept {
			names = append(names, manifest.SetDir(id))
		}
		kept = "; older checkpoints are kept in " + strings.Join(names, ", ")
	}
	return e.Err.Error() + " (nothing was changed on disk" + kept + ")"
}

// Unwrap is what is damaged.
func (e *DamagedError) Unwrap() error { return e.Err }

// Damaged makes err a *DamagedError if it tells of damage, and leaves it as it is
// if it tells of a disk that does not work or a stage that is not configured. m is
// the manifest in force, nil without one. A start calls it on what it could not load.
func Damaged(err error, m *manifest.Manifest) error {
	var inLog *wal.CorruptError
	var inManifest *manifest.CorruptError
	if err == nil || !errors.As(err, &inLog) && !errors.As(err, &inManifest) &&
		!errors.Is(err, sink.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) && !vfs.IsNotRegular(err) && !errors.Is(err, ErrNoManifest) {
		return err
	}
	d := &DamagedError{Err: err}
	if m != nil {
		d.Kept = slices.Clone(m.History)
	}
	return d
}

// LastWithBlocks is the index of the last segment of m that has blocks, 0 if none
// has: only from there on may the log end in a torn tail.
func LastWithBlocks(data vfs.FS, m *manifest.Manifest) (int, error) {
	return wal.LastWithBlocks(data, len(m.Segments), func(i int) (path, id string) {
		return m.Segments[i].Path, m.Segments[i].LogID
	})
}
