// Package faultfs wraps a filesystem and fails on demand.
//
// It owns the seam between an operation and its outcome: before each operation
// it asks an inject function, numbers the operation and records it.
//
//	inject returns   what happens
//	nil              the operation runs
//	an error         the operation does not run and returns the error
//	Short{N, err}    a write writes N bytes and returns the error
//	After{err}       the operation runs, and returns the error all the same
//
// An injected error on a sync drops the dirty pages of a memfs file, as a kernel
// would; an injected error on close still closes. FailNth, FailFrom, FailKind
// and Quota are ready-made inject functions, Chain joins them, and Trace and
// Last tell what was done in which order and what was injected.
//
// It also owns a small language for faults, since the same ones are wanted from
// tests and from a running server. A script has one rule a line (ParseScript);
// # begins a comment:
//
//	on write     path "log/*"      nth 3                fail EIO
//	on sync      path "**"         prob 0.01 seed 7     fail EIO
//	on write     path "**/*.rdb*"  every 5              short 100 then ENOSPC
//	on rename    path "MANIFEST*"  nth 1                delay 2s then EIO
//	on sync,syncdir                from 3 to 5          done then EIO
//	on read,write                                       slow 100KB/s
//	on changes                     after 500            fail EROFS
//	on any                         after 200            hang
//
//	rule    on OPS [path "GLOB"] [COUNT] [prob P seed N] ACTION
//	OPS     kinds of operations joined by commas, or any, changes, reads
//	GLOB    ** crosses directories, * does not; a rename matches by either name
//	COUNT   nth N | every N | after N | from A to B: which of the operations that
//	        this rule matches, from 1
//	ACTION  WAIT [then WAIT]… [then FAULT] | FAULT
//	WAIT    delay DURATION | slow RATE | hang (until Script.Release)
//	FAULT   fail ERROR | short BYTES then ERROR | done then ERROR (it happens and
//	        fails all the same)
//	ERROR   EIO ENOSPC EROFS EMFILE …
//
// It refuses to simulate a crash: that is memfs.CrashClone, best called from
// inject.
package faultfs
