package vfs

import "errors"

// Aside is a File of a backend that can wait for the disk without keeping a processor
// from the other goroutines of the process; a goroutine in a system call keeps one for up to
// 20 ms. Its methods may wake a thread: they are for who writes a log or a checkpoint and
// has nobody waiting.
//
// Their errors are those of File's methods.
type Aside interface {
	// SyncAside is Sync, and promises as much.
	SyncAside() error
	// WriteAside is Write.
	WriteAside(b []byte) (int, error)
	// PushAside has the disk begin to write those of the n bytes at off that it was not
	// given before, and waits until it has those that it was. Who pushes while he writes, each time from
	// where the last push but one ended, has the disk write beside him, and knows how much it has
	// still to write. Nothing is durable by it: that is what Sync is for. An error is
	// errors.ErrUnsupported, and nothing was done, or a failure of the disk, of which no
	// later Sync need tell.
	PushAside(off, n int64) error
}

// SyncAside is f.Sync, aside where f is Aside.
func SyncAside(f File) error {
	if a, ok := f.(Aside); ok {
		return a.SyncAside()
	}
	return f.Sync()
}

// WriteAside is f.Write, aside where f is Aside.
func WriteAside(f File, b []byte) (int, error) {
	if a, ok := f.(Aside); ok {
		return a.WriteAside(b)
	}
	return f.Write(b)
}

// PushAside is f.PushAside where f is Aside, and else errors.ErrUnsupported.
func PushAside(f File, off, n int64) error {
	if a, ok := f.(Aside); ok {
		return a.PushAside(off, n)
	}
	return errors.ErrUnsupported
}
