package command

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/spillwaydb/spillway/core/param"
)

// Config is the table of the parameters of an engine that runs, and of the server
// around it. They register theirs at start; it is safe for concurrent use.
type Config struct {
	mu     sync.Mutex
	params map[string]live // by every name
}

// live is a parameter and where the value in force is.
type live struct {
	*param.Param
	param.Var
}

// NewConfig returns an empty table.
func NewConfig() *Config { return &Config{params: make(map[string]live)} }

// Register adds a parameter by all its names. v keeps the value in force; its Set
// is not called if p is fixed.
func (c *Config) Register(p *param.Param, v param.Var) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range p.Names() {
		c.params[name] = live{p, v}
	}
}

// Secret tells whether the values of the parameter of some name are not shown.
func (c *Config) Secret(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.params[strings.ToLower(name)]
	return ok && p.Secret
}

// Show writes the field of INFO that shows the value of a parameter.
func (c *Config) Show(w *InfoWriter, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.params[name]; ok && p.Info != "" {
		w.Field(p.Info, p.String())
	}
}

// Get returns name/value pairs, sorted by name, of every parameter that one of
// the patterns names or, with *, ? or [, matches, each once. Case does not matter,
// and a name is returned as it was given, as in Redis.
func (c *Config) Get(patterns ...string) [][2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[string]string) // by the name in lower case, as it is returned
	for _, pattern := range patterns {
		lower := strings.ToLower(pattern)
		if !strings.ContainsAny(pattern, "[*?") {
			if _, ok := c.params[lower]; ok && found[lower] == "" {
				found[lower] = pattern
			}
			continue
		}
		for name, p := range c.params {
			if !p.Hidden && found[name] == "" && GlobMatch([]byte(lower), []byte(name), true) {
				found[name] = name
			}
		}
	}
	out := make([][2]string, 0, len(found))
	for name, as := range found {
		out = append(out, [2]string{as, c.params[name].String()})
	}
	sort.Slice(out, func(i, j int) bool { return strings.ToLower(out[i][0]) < strings.ToLower(out[j][0]) })
	return out
}

// Set applies name/value pairs, all or none: when one is refused, those before
// it are put back. The error's text is Redis's, without its code.
func (c *Config) Set(pairs ...[2]string) error {
	return c.set(pairs, func(p *param.Param, text string) (string, error) { return p.Type.Parse(text) })
}

// Put is Set of values as options hold them, which may be finer than CONFIG SET takes
// them: a configuration file that was read again.
func (c *Config) Put(pairs ...[2]string) error {
	return c.set(pairs, func(_ *param.Param, text string) (string, error) { return text, nil })
}

func (c *Config) set(pairs [][2]string, parse func(*param.Param, string) (string, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := make(map[string]bool, len(pairs))
	for _, kv := range pairs {
		name := strings.ToLower(kv[0])
		p, ok := c.params[name]
		switch {
		case !ok:
			return fmt.Errorf("Unknown option or number of arguments for CONFIG SET - '%s'", kv[0])
		case p.Protected:
			return failed(kv[0], errors.New("can't set protected config"))
		case p.Fixed:
			return failed(kv[0], errors.New("can't set immutable config"))
		case seen[name]:
			return failed(kv[0], errors.New("duplicate parameter"))
		}
		seen[name] = true
	}
	var done []undo
	for _, kv := range pairs {
		p := c.params[strings.ToLower(kv[0])]
		old := p.String()
		v, err := parse(p.Param, kv[1])
		if err == nil {
			err = p.Set(v)
		}
		if err != nil {
			takeBack(done)
			return failed(strings.ToLower(kv[0]), err)
		}
		done = append(done, undo{p, old})
	}
	for i, d := range done {
		if staged, ok := d.p.Var.(param.Staged); ok {
			if err := staged.Commit(); err != nil {
				takeBack(done)
				return failed(strings.ToLower(pairs[i][0]), err)
			}
		}
	}
	return nil
}

// undo is a value that was set, and the one before it.
type undo struct {
	p   live
	old string
}

// takeBack undoes what was set, the last first.
func takeBack(done []undo) {
	for i := len(done) - 1; i >= 0; i-- {
		if staged, ok := done[i].p.Var.(param.Staged); ok {
			staged.Rollback()
			continue
		}
		_ = done[i].p.Set(done[i].old) // a value that was in force is valid
	}
}

func failed(name string, err error) error {
	return fmt.Errorf("CONFIG SET failed (possibly related to argument '%s') - %w", name, err) // Redis's wording
}
