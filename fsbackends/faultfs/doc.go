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
// would; an injected error on close still closes. FailNth, FailKind and Quota
// are ready-made inject functions, and Trace tells what was done in which order.
//
// It refuses to simulate a crash: that is memfs.CrashClone, best called from
// inject.
package faultfs
