package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/spillwaydb/spillway/core/sink"
)

// Spec says how a plugin is run: a block plugin of plugins.hcl.
type Spec struct {
	// Name is what configuration, logs and errors call the plugin: letters,
	// digits, "-" and "_".
	Name string
	// Command is the program and its arguments. A program without a slash is
	// looked for beside the host's own, then in PATH.
	Command []string
	// Checksum pins the program: "sha256:" and 64 hex digits.
	Checksum string
	// Insecure lets the plugin run without a Checksum.
	Insecure bool
	// Env is the plugin's environment, besides PATH, HOME and TMPDIR, which
	// are the host's unless they are named here.
	Env map[string]string
	// Timeout bounds a start, and each request that carries no bytes of a
	// stage. 0 means DefaultTimeout.
	Timeout time.Duration
	// Restart says what happens after failures.
	Restart Restart
}

// Restart bounds the starts of a plugin that fails. The zero value means the
// defaults.
type Restart struct {
	// MaxAttempts is how many failures in a row are answered with another
	// start at the next use. After that, uses fail at once for MaxBackoff,
	// then one start is tried again.
	MaxAttempts int
	// Backoff is the wait after the first failure; it doubles, with jitter.
	Backoff time.Duration
	// MaxBackoff is the longest wait.
	MaxBackoff time.Duration
}

// The defaults of Spec and Restart.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxAttempts = 5
	DefaultBackoff     = 200 * time.Millisecond
	DefaultMaxBackoff  = 30 * time.Second
)

func (s Spec) withDefaults() Spec {
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Restart.MaxAttempts <= 0 {
		s.Restart.MaxAttempts = DefaultMaxAttempts
	}
	if s.Restart.Backoff <= 0 {
		s.Restart.Backoff = DefaultBackoff
	}
	if s.Restart.MaxBackoff <= 0 {
		s.Restart.MaxBackoff = DefaultMaxBackoff
	}
	s.Restart.MaxBackoff = max(s.Restart.MaxBackoff, s.Restart.Backoff)
	return s
}

// ErrChecksum is wrapped when a program is not the pinned one.
var ErrChecksum = errors.New("the program is not the one that checksum pins")

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// checksumPrefix names the only digest there is.
const checksumPrefix = "sha256:"

// Verify checks the spec and the program: that it is there, executable, not
// writable by everybody, and has the pinned checksum. It starts nothing. Errors
// are permanent and say what to write.
func (s Spec) Verify() error {
	_, err := s.program()
	return err
}

// program is the verified path of the plugin's program.
func (s Spec) program() (string, error) {
	fault := func(format string, args ...any) (string, error) {
		return "", sink.Permanent(fmt.Errorf("plugin %q: "+format, append([]any{s.Name}, args...)...))
	}
	if !validName.MatchString(s.Name) {
		return "", sink.Permanent(fmt.Errorf("%q cannot be the name of a plugin: want letters, digits, - and _", s.Name))
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return fault("there is no command")
	}
	path, err := lookPath(s.Command[0])
	if err != nil {
		return fault("%w", err)
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return fault("%w", err)
	case st.Mode().Perm()&0o002 != 0:
		return fault("everybody may write to %s (mode %s); chmod o-w it", path, st.Mode().Perm())
	case s.Checksum == "" && !s.Insecure:
		sum, err := Checksum(path)
		if err != nil {
			return fault("%w", err)
		}
		return fault("%s is not pinned; write checksum = %q if that is the program you trust, or insecure = true", path, sum)
	case s.Checksum == "":
		return path, nil
	case s.Insecure:
		return fault("there is a checksum and insecure = true; write one of them")
	}
	want, err := parseChecksum(s.Checksum)
	if err != nil {
		return fault("%w", err)
	}
	// A fresh one each time: its hash is not reset by Check.
	secure := goplugin.SecureConfig{Checksum: want, Hash: sha256.New()}
	ok, err := secure.Check(path)
	if err != nil {
		return fault("reading %s: %w", path, err)
	}
	if !ok {
		has, err := Checksum(path)
		if err != nil {
			return fault("%w", err)
		}
		return fault("%w: %s has %s, the configuration says %s", ErrChecksum, path, has, s.Checksum)
	}
	return path, nil
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

func parseChecksum(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, checksumPrefix)
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("checksum %q is not \"sha256:\" and 64 hex digits; `spillway plugins checksum FILE` prints it", s)
	}
	return sum, nil
}

// Checksum is the digest of a file as plugins.hcl writes it.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return checksumPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

// environment is what the plugin's process gets, besides what the handshake
// needs.
func (s Spec) environment() []string {
	var env []string
	for _, k := range []string{"PATH", "HOME", "TMPDIR"} {
		if _, own := s.Env[k]; own {
			continue
		}
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	for k, v := range s.Env {
		env = append(env, k+"="+v)
	}
	return env
}
