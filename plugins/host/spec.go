package host

import (
	"os"
	"regexp"
	"time"
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

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

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
