// Package sftpfs is a directory on an SFTP server as a filesystem:
//
//	sftp://USER@HOST:PORT/DIRECTORY      an absolute path
//	sftp://USER@HOST/~/DIRECTORY         below the home directory
//
// # What it promises
//
// All that a local disk does, through OpenSSH's extensions: Sync is
// fsync@openssh.com, Replace is posix-rename@openssh.com, SyncDir is an fsync of
// the opened directory; files are inodes of the server, which are written
// anywhere, appended to and truncated. A server without these extensions is
// refused at the first call. It has no lock that dies with its holder: that is
// why a data directory is refused here (vfs.RequireData), and not only that a
// group commit would wait for the network.
//
// Host keys, keys and passwords are as for the sink "sftp": the host key must be
// in known_hosts; see internal/sftpconn. It connects at the first call, and again
// at the next call after a connection was lost. Open files do not survive that.
// A call that stands still for Timeout cuts the connection.
//
// # How it differs
//
// The protocol (draft-ietf-secsh-filexfer-02) has one number for most failures:
// why a call failed is asked for afterwards, so that the errors are those of
// other backends (ENOTDIR, EISDIR, ENOTEMPTY …). A rename looks first at what is
// at the target. Symbolic links are followed, on the server, wherever they lead:
// containment is by the text of the path only. A new file exists for an instant
// with the mode that the server's umask gives it, and then with 0600.
package sftpfs
