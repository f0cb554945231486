package command

import (
	"fmt"
	"strings"
	"sync"
)

// InfoWriter collects the fields of one INFO section.
type InfoWriter struct{ b strings.Builder }

// Field adds one "name:value" line.
func (w *InfoWriter) Field(name string, value any) { fmt.Fprintf(&w.b, "%s:%v\r\n", name, value) }

// InfoSection is one section of INFO: its name in Redis's spelling
// ("Persistence"), whether plain INFO shows it, and what fills it.
type InfoSection struct {
	Name    string
	Default bool
	Fill    func(*InfoWriter)
}

// InfoRegistry holds INFO's sections in the order of their first registration.
// Several fillers may add to one section: the engine and the server both have
// facts for "Stats". It is safe for concurrent use.
type InfoRegistry struct {
	mu       sync.Mutex
	sections []InfoSection
}

// Register adds a filler.
func (r *InfoRegistry) Register(sections ...InfoSection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sections = append(r.sections, sections...)
}

// Render returns the text of the named sections; no name means the default
// ones, "all" and "everything" mean every one.
func (r *InfoRegistry) Render(names ...string) string {
	r.mu.Lock()
	sections := append([]InfoSection(nil), r.sections...)
	r.mu.Unlock()
	wanted := func(s InfoSection) bool {
		if len(names) == 0 {
			return s.Default
		}
		for _, n := range names {
			switch n = strings.ToLower(n); {
			case n == "all" || n == "everything" || n == strings.ToLower(s.Name):
				return true
			case n == "default" && s.Default:
				return true
			}
		}
		return false
	}
	var order []string
	bodies := make(map[string]*InfoWriter)
	for _, s := range sections {
		if !wanted(s) {
			continue
		}
		w, ok := bodies[s.Name]
		if !ok {
			w = new(InfoWriter)
			bodies[s.Name] = w
			order = append(order, s.Name)
		}
		s.Fill(w)
	}
	var out strings.Builder
	for i, name := range order {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString("# " + name + "\r\n" + bodies[name].b.String())
	}
	return out.String()
}
