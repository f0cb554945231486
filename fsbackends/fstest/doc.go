// Package fstest is the conformance suite of filesystem backends.
//
// It owns what every backend must do alike, written down as tests: a backend's
// own test is one call of Run. Agree adds what a list of tests cannot: it does
// the same random operations on two backends and wants the same results. What
// only a backend can know (crashes, faults, containment of links) is tested
// where it lives.
//
// It refuses to weaken a rule for a backend: a promise that Caps does not make
// is not tested, one that it makes is. An append log is asked only of a backend
// with Append, a directory sync of one with SyncDir, that readers never see a gap
// of one with AtomicReplace, and a write in the middle of a file, or a mode, of one
// with Inodes. That a nil from Sync survives a power cut, no
// suite can test from inside a process; memfs is how that is tested.
package fstest
