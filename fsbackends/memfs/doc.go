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
// machine lost power now. For each file whose content was not synced it keeps
// everything, nothing, a prefix, or any mixture of 512-byte blocks, and the old
// size, the new one or one in between (a lost block may read as zeros); each
// create, rename and remove that was not covered by SyncDir is kept or lost. The
// original goes on unharmed, so one run can be crashed at every operation.
//
// The rules it lives by:
//
//   - Edits of one name are kept in order: a later one never without the earlier.
//   - A rename inside one directory is kept or lost as a whole. Between two
//     directories each half belongs to its directory: sync both.
//   - A removed name that comes back has the content its inode had.
//   - A failed fsync (FailSync) drops the dirty pages: readers go on seeing them,
//     a later fsync returns nil, and a crash does not have them.
//   - Files keep living while they are open, whatever happens to their names.
//
// The POSIX rules afero.MemMapFs bends are kept: O_EXCL, O_APPEND, O_TRUNC and
// access modes, ENOTEMPTY, EISDIR and ENOTDIR, no parents made by Rename. There
// are no symbolic links and permission bits are stored, not enforced. SetQuota
// limits the bytes of all files: writes past it are short and end in ENOSPC.
//
// An FS implements afero.Fs, vfs.FS and vfs.Locker and is safe for concurrent
// use.
package memfs
