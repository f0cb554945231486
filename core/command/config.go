package command

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Param is one run-time parameter of CONFIG GET and CONFIG SET.
type Param struct {
	Name string
	// Get returns the value in force, in Redis's spelling.
	Get func() string
	// Set validates and applies a value; nil makes the parameter immutable at
	// run time. Its error's text follows Redis's "- " in the reply.
	Set func(value string) error
}

// Config is the table of run-time parameters. The engine and the server
// register theirs at start; it is safe for concurrent use.
type Config struct {
	mu     sync.Mutex
	params map[string]Param
}

// NewConfig returns an empty table.
func NewConfig() *Config { return &Config{params: make(map[string]Param)} }

// Register adds parameters, replacing those of the same name.
func (c *Config) Register(params ...Param) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range params {
		c.params[p.Name] = p
	}
}

// Get returns name/value pairs, sorted by name, of every parameter that
// matches any of the glob patterns, case-insensitively.
func (c *Config) Get(patterns ...string) [][2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out [][2]string
	for name, p := range c.params {
		for _, pat := range patterns {
			if GlobMatch([]byte(strings.ToLower(pat)), []byte(name), true) {
				out = append(out, [2]string{name, p.Get()})
				break
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

// Set applies name/value pairs, all or none: when one is refused, those before
// it are put back. The error's text is Redis's, without its code.
func (c *Config) Set(pairs ...[2]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := make(map[string]bool, len(pairs))
	for _, kv := range pairs {
		name := strings.ToLower(kv[0])
		p, ok := c.params[name]
		switch {
		case !ok:
			return fmt.Errorf("Unknown option or number of arguments for CONFIG SET - '%s'", kv[0])
		case p.Set == nil:
			return failed(kv[0], errors.New("can't set immutable config"))
		case seen[name]:
			return failed(kv[0], errors.New("duplicate parameter"))
		}
		seen[name] = true
	}
	type undo struct {
		p   Param
		old string
	}
	var done []undo
	for _, kv := range pairs {
		p := c.params[strings.ToLower(kv[0])]
		old := p.Get()
		if err := p.Set(kv[1]); err != nil {
			for i := len(done) - 1; i >= 0; i-- {
				_ = done[i].p.Set(done[i].old) // a value that was in force is valid
			}
			return failed(kv[0], err)
		}
		done = append(done, undo{p, old})
	}
	return nil
}

func failed(name string, err error) error {
	return fmt.Errorf("CONFIG SET failed (possibly related to argument '%s') - %w", name, err) // Redis's wording
}
