// Package aside makes system calls that keep no processor of Go's while they wait, for a
// disk or for memory.
//
// A goroutine in a system call has one of Go's processors until sysmon takes that away, which
// may look every 10 ms only, and has to find the call twice. An fsync takes that long, and a write
// may as well: to a file on ext4 it waits while the journal is committed, which any fsync
// has begun. A server with one processor served nobody for up to 20 ms of each.
// So the runtime is told beforehand that the call is going to wait, as it
// is where it waits itself.
package aside
