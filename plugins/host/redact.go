package host

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

// secretName is what the names of secrets look like.
var secretName = regexp.MustCompile(`(?i)(secret|passw|passphrase|token|credential|api_?key|private_?key|access_?key|identit)`)

// minSecret is the shortest value that is looked for in text.
const minSecret = 6

// redactor takes the secrets that the operator gave a plugin out of what the
// plugin says: log lines and errors.
type redactor struct {
	mu     sync.Mutex
	values []string
	repl   *strings.Replacer
}

func newRedactor(env map[string]string) *redactor {
	r := &redactor{}
	for k, v := range env {
		if secretName.MatchString(k) {
			r.add(v)
		}
	}
	return r
}

// addConfig learns the secrets of a component's configuration.
func (r *redactor) addConfig(config []byte) {
	var v any
	if json.Unmarshal(config, &v) == nil {
		r.walk(v, false)
	}
}

func (r *redactor) walk(v any, secret bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			r.walk(e, secret || secretName.MatchString(k))
		}
	case []any:
		for _, e := range v {
			r.walk(e, secret)
		}
	case string:
		if secret {
			r.add(v)
		}
	}
}

func (r *redactor) add(v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range strings.Split(v, "\n") { // log lines hold no more than one
		if line = strings.TrimSpace(line); len(line) >= minSecret {
			r.values = append(r.values, line, "[redacted]")
			r.repl = nil
		}
	}
}

func (r *redactor) clean(s string) string {
	r.mu.Lock()
	if r.repl == nil {
		r.repl = strings.NewReplacer(r.values...)
	}
	repl := r.repl
	r.mu.Unlock()
	return repl.Replace(s)
}
