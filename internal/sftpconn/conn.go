package sftpconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	posixRename = "posix-rename@openssh.com"
	fsync       = "fsync@openssh.com"
)

// Conn is a connection. Its methods may be called concurrently.
type Conn struct {
	// SFTP asks the server.
	SFTP *sftp.Client
	// Fsync and PosixRename say whether the server has these extensions. It has
	// both unless AllowUnsafeServer is set.
	Fsync, PosixRename bool

	net net.Conn
	ssh *ssh.Client
}

// Cut ends the connection without a word; calls that wait on it fail.
func (c *Conn) Cut() { _ = c.net.Close() }

// Close ends the connection and waits for what belongs to it.
func (c *Conn) Close() {
	c.Cut()
	_ = c.SFTP.Close()
	_ = c.ssh.Close()
	_ = c.ssh.Wait()
}

// Replace puts a file in the place of another, atomically where the server has
// PosixRename.
func (c *Conn) Replace(from, to string) error {
	if c.PosixRename {
		return c.SFTP.PosixRename(from, to)
	}
	// Without the extension a name that is taken is a failure.
	if err := c.SFTP.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.SFTP.Rename(from, to)
}

// SyncDir makes the names in a directory durable: OpenSSH opens a directory as
// open(2) does, and so fsyncs it. Without Fsync it does nothing.
func (c *Conn) SyncDir(dir string) error {
	if !c.Fsync {
		return nil
	}
	f, err := c.SFTP.Open(dir)
	if err != nil {
		return fmt.Errorf("open the directory to fsync it: %w", err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("fsync the directory: %w", err)
	}
	return nil
}

// Broken tells whether err says that a connection is of no more use. What the
// server answered with is no reason.
func Broken(err error) bool {
	var op *net.OpError // not net.Error, which every syscall.Errno is
	return errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, sftp.ErrSSHFxNoConnection) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// check looks for what a server must have.
func (d *Dialer) check(c *Conn) error {
	var lacks []string
	if _, c.PosixRename = c.SFTP.HasExtension(posixRename); !c.PosixRename {
		lacks = append(lacks, posixRename+" (a part may be lost when it is put again)")
	}
	if v, _ := c.SFTP.HasExtension(fsync); v == "1" {
		c.Fsync = true
	} else {
		lacks = append(lacks, fsync+" (what was acknowledged may be lost when the server crashes)")
	}
	if len(lacks) == 0 {
		return nil
	}
	if !d.o.AllowUnsafeServer {
		return refused(fmt.Errorf("the server does not offer %s; use OpenSSH's, or set allow_unsafe_server = true", strings.Join(lacks, " and ")))
	}
	d.warned.Do(func() {
		d.o.Logger.Warn("an SFTP server lacks what a safe backup wants; allow_unsafe_server is set", "server", d.Addr, "lacks", strings.Join(lacks, ", "))
	})
	return nil
}
