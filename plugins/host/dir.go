package host

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dirPrefix = "spillway-plugins-"
	lockFile  = "lock"
	// unlockedFor is how old a directory without a lock has to be before it
	// is taken for a dead host's: another may be about to lock it.
	unlockedFor = time.Minute
)

// privateDir is where a host's sockets live: nobody else can enter it. A lock
// tells whether the host is alive, so that what a killed one left is found.
type privateDir struct {
	path string
	lock *os.File
}

// newPrivateDir makes the directory under parent, and removes those of hosts
// that are no longer alive.
func newPrivateDir(parent string) (*privateDir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	sweepDirs(parent)
	path, err := os.MkdirTemp(parent, dirPrefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("a directory for the plugins' sockets: %w", err)
	}
	lock, err := lockDir(path)
	if err != nil {
		_ = os.RemoveAll(path)
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &privateDir{path: path, lock: lock}, nil
}

// lockDir makes the lock of a directory. It gets its name when it is locked: a host that starts at the same
// time and found it free would take the directory for a dead host's.
func lockDir(path string) (*os.File, error) {
	name := filepath.Join(path, lockFile)
	lock, err := os.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = os.Rename(lock.Name(), name)
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// sub makes a directory inside.
func (d *privateDir) sub(name string) (string, error) {
	path := filepath.Join(d.path, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", fmt.Errorf("a directory for a plugin's sockets: %w", err)
	}
	return path, nil
}

func (d *privateDir) remove() error {
	err := os.RemoveAll(d.path)
	_ = d.lock.Close()
	return err
}

// sweepDirs removes the directories of dead hosts of this user. What cannot be
// removed stays: it is in nobody's way.
func sweepDirs(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	for _, dir := range dirs {
		var st unix.Stat_t
		if unix.Lstat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			if fi, err := os.Stat(dir); err == nil && time.Since(fi.ModTime()) > unlockedFor {
				_ = os.RemoveAll(dir)
			}
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
