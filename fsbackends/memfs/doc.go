// Package memfs is a filesystem in memory that can crash.
//
// It owns inodes, not names. Every inode knows two states: live, what a running
// process sees, and durable, what a power cut would leave behind. File.Sync
// moves the content of one file from live to durable; SyncDir moves the entries
// of one directory. Nothing else does.
//
//	directory inode                     file inode
//	  live    name → inode                live     pages of 16 KiB, size
//	  durable name → inode                durable  pages of 16 KiB, size
//	  pending edits of the FS, in order   dirty    one bit per 512-byte block
//
// CrashClone(seed) returns a second, independent FS as it might look after the
// machine lost power now; KillClone one as the next process finds it when only
// the process died. The original goes on unharmed, so one run can be crashed at
// every operation.
//
// The rules of a power cut, names first:
//
//   - What SyncDir covered stays. Of the rest each create, rename and remove is
//     kept or lost by itself, except that edits of one name keep their order: a
//     later one never without the earlier.
//   - A rename is kept or lost as a whole, so no crash sees neither of its names
//     nor, within one directory, both.
//   - SyncDir of one of two directories makes that half of a rename durable and
//     no more, as POSIX has it: sync both, or, having synced the old directory
//     only, find the file nowhere. A directory moves as a whole even then.
//   - A removed name that comes back has the content its inode had.
//
// And the content of a file that was not synced:
//
//   - Each block of 512 bytes that changed is the new or the old one, all of
//     them, none, a prefix, or any mixture, also by groups of 4 KiB.
//   - The size is the synced one, one it had since, or what a block that was
//     written needs; blocks that were lost read as zeros where there were none.
//     Behind a truncation the old bytes may be there or not.
//   - A block that was appended to in steps may look as after any of them.
//   - A failed fsync (FailSync) drops the dirty pages: readers go on seeing them,
//     until Evict takes them out of memory, a later fsync returns nil, and a
//     crash does not have them.
//   - Files keep living while they are open, whatever happens to their names.
//
// What it leaves out: of a block that was overwritten twice between two syncs
// the version in the middle, and what a failed fsync may have written after all.
//
// The POSIX rules afero.MemMapFs bends are kept: O_EXCL, O_APPEND, O_TRUNC and
// access modes, ENOTEMPTY, EISDIR and ENOTDIR, no parents made by Rename. There
// are no symbolic links and permission bits are stored, not enforced. SetQuota
// limits the bytes of all files: writes past it are short and end in ENOSPC.
//
// An FS implements afero.Fs, vfs.FS and vfs.Locker and is safe for concurrent
// use.
package memfs
