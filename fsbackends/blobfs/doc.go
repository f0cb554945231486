// Package blobfs is an object store as a filesystem, through gocloud.dev/blob:
//
//	s3://BUCKET/PREFIX?region=eu-central-1
//	gs://BUCKET/PREFIX
//	azblob://CONTAINER/PREFIX?storage_account=ACCOUNT
//
// The query and the credentials are as for the sink "blob".
//
// # What it promises
//
// What a Close or a Sync has said is there survives a crash (Durable), and so do
// names (SyncDir has nothing to do). That is all: objects are no inodes.
//
//   - A file is written once, from its beginning to its Sync or Close, and takes
//     its name then, whole. Nobody can append to it, change a part of it, or read
//     what was not closed; each of these is errors.ErrUnsupported. What was there
//     under that name stays until then. A file that is created with O_EXCL has its
//     name at once, and is empty.
//   - A write streams, in pieces of 8 MiB of which a few are on their way at once,
//     so that memory is bounded however long the file is.
//   - A file that is read stays the one that was opened: when its name comes to
//     mean another, reading fails with ESTALE, instead of going on in that.
//   - A rename copies and deletes. Of a file nobody ever sees neither of the names;
//     both are there for a moment. Of a directory it is as many steps as there are
//     files in it. S3 copies up to 5 GiB in one step, and no more.
//   - There are no modes, owners or times to set, and there is no lock.
//
// So it is no place for a data directory, as vfs.RequireData says, and a good one
// for whole files: sink.NewFSSink works on it.
//
// # Directories
//
// A directory is there when something is below it, or when it was made: that
// leaves an empty object named .spillway-dir in it, which is never listed.
//
// Each call is bounded: an answer has a minute to come, and so has the progress of
// a transfer. An upload that fails is given up; S3 keeps pieces of one that was
// cut off until a lifecycle rule removes them (AbortIncompleteMultipartUpload).
package blobfs
