package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
)

// ErrChecksum is wrapped when a program is not the pinned one.
var ErrChecksum = errors.New("the program is not the one that checksum pins")

// Verify checks the spec and the program: that it is there, executable, has the
// pinned checksum, and that neither it nor a directory on the way to it can be
// changed by other users than root and the one who runs this. It starts
// nothing. Errors are permanent and say what to write.
func (s Spec) Verify() error {
	prog, err := s.program()
	if err == nil {
		prog.close()
	}
	return err
}

// program is a plugin's program as it was verified. A pinned one stays open: a
// path can lead to another file by the time it is run, the descriptor cannot.
type program struct {
	path string
	file *os.File // nil for one that is not pinned
	sum  string   // of file
}

func (p *program) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}

// program opens and verifies the plugin's program.
func (s Spec) program() (*program, error) {
	fault := func(format string, args ...any) (*program, error) {
		return nil, sink.Permanent(fmt.Errorf("plugin %q: "+format, append([]any{s.Name}, args...)...))
	}
	if !validName.MatchString(s.Name) {
		return nil, sink.Permanent(fmt.Errorf("%q cannot be the name of a plugin: want letters, digits, - and _", s.Name))
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return fault("there is no command")
	}
	path, err := lookPath(s.Command[0])
	if err != nil {
		return fault("%w", err)
	}
	if err := ownWay(path); err != nil {
		return fault("%w", err)
	}
	switch {
	case s.Checksum == "" && !s.Insecure:
		sum, err := Checksum(path)
		if err != nil {
			return fault("%w", err)
		}
		return fault("%s is not pinned; write checksum = %q if that is the program you trust, or insecure = true", path, sum)
	case s.Checksum == "":
		st, err := os.Stat(path)
		if err == nil {
			err = ownFile(path, st)
		}
		if err != nil {
			return fault("%w", err)
		}
		return &program{path: path}, nil
	case s.Insecure:
		return fault("there is a checksum and insecure = true; write one of them")
	}
	want, err := wire.ParseChecksum(s.Checksum)
	if err != nil {
		return fault("%w", err)
	}
	prog, err := openProgram(path)
	if err != nil {
		return fault("%w", err)
	}
	if prog.sum != want {
		prog.close()
		return fault("%w: %s has %s, the configuration says %s", ErrChecksum, path, prog.sum, s.Checksum)
	}
	return prog, nil
}

// openProgram opens a program and reads its checksum through the descriptor by
// which it will be run.
func openProgram(path string) (*program, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold anybody up
	if err != nil {
		return nil, err
	}
	p := &program{path: path, file: f}
	st, err := f.Stat()
	if err == nil {
		err = ownFile(path, st)
	}
	if err == nil {
		p.sum, err = wire.Checksum(f)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// testVerified is called between the verification of a program and its start.
var testVerified = func(*program) {}

// heldAt is what a plugin's process finds its program open as: the first
// descriptor behind stdin, stdout and stderr.
const heldAt = "/3"

// command is what runs the program that was verified, whatever has become of
// its path since. Where a descriptor cannot be run it is a copy in dir, a
// directory that nobody else can enter.
func (p *program) command(dir string, args []string) (*exec.Cmd, error) {
	testVerified(p)
	cmd := exec.Command(p.path, args...)
	if p.file == nil {
		return cmd, nil
	}
	if _, err := os.Stat(descriptors); descriptors != "" && err == nil {
		cmd.ExtraFiles = []*os.File{p.file}
		cmd.Path = descriptors + heldAt
		return cmd, nil
	}
	copied, err := p.copy(dir)
	cmd.Path = copied
	return cmd, err
}

// copy makes a copy of the open file in dir and requires that the copy is what
// was verified.
func (p *program) copy(dir string) (string, error) {
	// A process that is forked now would hold the copy open for writing until
	// it execs, and the copy could not be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	path := filepath.Join(dir, filepath.Base(p.path))
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return "", fmt.Errorf("a copy of the program to run: %w", err)
	}
	sum, err := wire.Checksum(io.TeeReader(io.NewSectionReader(p.file, 0, math.MaxInt64), to))
	if err = errors.Join(err, to.Close()); err != nil {
		return "", fmt.Errorf("a copy of the program to run: %w", err)
	}
	if sum != p.sum {
		return "", fmt.Errorf("%w: %s has changed while it was read", ErrChecksum, p.path)
	}
	return path, nil
}

// ownWay requires that nobody but root and this user can put another file in
// the place of path: neither where the path leads through nor where it ends.
func ownWay(path string) error {
	end, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, way := range []string{path, end} {
		for dir := filepath.Dir(way); ; dir = filepath.Dir(dir) {
			st, err := os.Stat(dir)
			if err != nil {
				return err
			}
			if err := own(dir, st, st.Mode()&fs.ModeSticky != 0); err != nil {
				return fmt.Errorf("the directory of %s is not safe: %w", path, err)
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return nil
}

// ownFile requires a program that nobody but root and this user can change.
func ownFile(path string, st fs.FileInfo) error {
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if st.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not executable (mode %s); chmod +x it", path, st.Mode().Perm())
	}
	return own(path, st, false)
}

// own requires that nobody but root and this user can write to a file or, where
// they are not sticky, to a directory.
func own(path string, st fs.FileInfo, sticky bool) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d), who may change it; want root or the user that runs spillway (uid %d)", path, sys.Uid, os.Geteuid())
	}
	perm := st.Mode().Perm()
	switch {
	case sticky:
	case perm&0o002 != 0:
		return fmt.Errorf("everybody may write to %s (mode %s); chmod o-w it", path, perm)
	case ok && privateGroup(sys.Uid, sys.Gid):
	case perm&0o020 != 0:
		return fmt.Errorf("a group may write to %s (mode %s); chmod g-w it", path, perm)
	}
	return nil
}

// privateGroup tells whether a group is a user's own, as many systems give one
// to everybody: their files are made writable for it.
func privateGroup(uid, gid uint32) bool {
	u, err := osuser.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil || u.Gid != strconv.FormatUint(uint64(gid), 10) {
		return false
	}
	g, err := osuser.LookupGroupId(u.Gid)
	return err == nil && g.Name == u.Username
}

// lookPath finds the program of a command.
func lookPath(name string) (string, error) {
	if !strings.ContainsRune(name, filepath.Separator) {
		if self, err := os.Executable(); err == nil {
			beside := filepath.Join(filepath.Dir(self), name)
			if st, err := os.Stat(beside); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
				return beside, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Checksum is the digest of a file as plugins.hcl writes it.
func Checksum(path string) (string, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := wire.Checksum(f)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return sum, nil
}
