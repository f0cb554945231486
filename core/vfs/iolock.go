package vfs

// IOLock is a lock to hold across I/O. It excludes as a sync.Mutex does, but is
// a channel: who waits for it can be seen to wait, so that tests may let time
// pass only when nothing else can happen (see testing/synctest). Make one with
// NewIOLock.
type IOLock chan struct{}

// NewIOLock returns an unlocked lock.
func NewIOLock() IOLock { return make(IOLock, 1) }

// Lock waits until the lock is the caller's.
func (l IOLock) Lock() { l <- struct{}{} }

// Unlock gives the lock up. Any goroutine may call it.
func (l IOLock) Unlock() { <-l }
