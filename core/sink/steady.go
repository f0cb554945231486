package sink

import (
	"errors"
	"io"

	"github.com/spillwaydb/spillway/core/vfs"
)

const (
	// pushBytes is how much of a part the disk is given at once. It has at most twice as much
	// of it to write: an fsync of the log waits for that.
	pushBytes = 1 << 20
	// syncBytes bounds what a disk, or a filesystem that makes little of a push, may have kept back
	// when the part ends.
	syncBytes = 64 << 20
	// steadyBytes is the same where nothing can be pushed: what Redis gives the disk
	// (rdb-save-incremental-fsync).
	steadyBytes = 4 << 20
)

// Steadily returns a writer to f, which is empty, that has the disk write f while it is
// written. The end of the file is not fsynced.
func Steadily(f vfs.File) io.Writer { return &steadyWriter{f: f, sync: syncBytes} }

// steadyWriter has the disk write a file while it is written. A disk that gets all of a
// large part in one fsync keeps every other fsync waiting for so long, that of
// the log too, which clients wait for.
//
// It pushes (vfs.PushAside), which, unlike an fsync, commits no journal of the filesystem, for which
// whoever writes would wait. One step is encoded while the disk writes the one before it:
//
//	0             before          pushed          size
//	│ has reached   │ is on its way │ is given to   │
//	│ the disk      │ and waited for│ the disk      │
//
// Where nothing can be pushed it fsyncs.
type steadyWriter struct {
	f      vfs.File
	size   int64 // written
	before int64 // size at the last push but one
	pushed int64 // at the last push
	synced int64 // at the last fsync
	sync   int64 // how much may be written behind that
	fsyncs bool  // nothing can be pushed
}

// Write implements io.Writer.
func (w *steadyWriter) Write(b []byte) (int, error) {
	n, err := vfs.WriteAside(w.f, b)
	w.size += int64(n)
	if err == nil && !w.fsyncs && w.size-w.pushed >= pushBytes {
		err = w.push()
	}
	if err == nil && w.size-w.synced >= w.sync {
		w.synced, err = w.size, vfs.SyncAside(w.f)
	}
	return n, err
}

func (w *steadyWriter) push() error {
	err := vfs.PushAside(w.f, w.before, w.size-w.before)
	if errors.Is(err, errors.ErrUnsupported) {
		w.fsyncs, w.sync = true, steadyBytes
		return nil
	}
	w.before, w.pushed = w.pushed, w.size
	return err
}
