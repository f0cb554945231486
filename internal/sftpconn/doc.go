// Package sftpconn connects to SFTP servers. It is what the sink in
// plugins/sftp and the filesystem in fsbackends/sftpfs have in common, which may
// not import each other: what a URL means, how a server is recognised, how we
// prove who we are, and what a server must be able to do.
//
// It refuses to talk to a server whose host key is not known, to take a password
// from a URL, and to keep connections: that is for its callers, since a file
// needs them in another way than an upload.
package sftpconn
