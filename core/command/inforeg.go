package command

import (
	"fmt"
	"math"
	"strings"
	"sync"
)

// InfoWriter collects the fields of one INFO section.
type InfoWriter struct {
	fields []InfoField
	visit  func(shard int, f func()) bool
}

// Visit calls f while a shard is locked, for fields that are about what is in it. When
// it is false INFO ends without a reply, see [Ctx.Visit].
func (w *InfoWriter) Visit(shard int, f func()) bool {
	if w.visit == nil {
		f()
		return true
	}
	return w.visit(shard, f)
}

// ordered are the fields in Redis's order, with the last value of each.
func (w *InfoWriter) ordered() []InfoField {
	at := make(map[string]int, len(w.fields))
	out := w.fields[:0]
	for _, f := range w.fields {
		if i, ok := at[f.Name]; ok {
			out[i].Value = f.Value
			continue
		}
		at[f.Name] = len(out)
		out = append(out, f)
	}
	byInfoRank(out, func(f InfoField) string { return f.Name })
	return out
}

// InfoField is one line of INFO. Value is shown as fmt's %v does.
type InfoField struct {
	Name  string
	Value any
}

// Field adds one "name:value" line.
func (w *InfoWriter) Field(name string, value any) {
	w.fields = append(w.fields, InfoField{name, value})
}

// InfoSection is one section of INFO: its name in Redis's spelling
// ("Persistence"), whether plain INFO shows it, and what fills it. Named says that it
// is shown to whoever names it only, for what takes long to be found out.
type InfoSection struct {
	Name    string
	Default bool
	Named   bool
	Fill    func(*InfoWriter)
}

// InfoRegistry holds INFO's sections, and shows them in Redis's order. Several
// fillers may add to one section: the engine and the server both have facts for
// "Stats". A field that a later one fills too has its value. It is safe for
// concurrent use.
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
// ones, "all" and "everything" mean every one. visit is how the caller locks shards,
// one at a time, see [InfoWriter.Visit]; nil where nobody changes anything.
func (r *InfoRegistry) Render(visit func(shard int, f func()) bool, names ...string) string {
	order, bodies := r.fill(visit, names)
	var out strings.Builder
	for i, name := range order {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString("# " + name + "\r\n")
		for _, f := range bodies[name].ordered() {
			fmt.Fprintf(&out, "%s:%v\r\n", f.Name, f.Value)
		}
	}
	return out.String()
}

// Fields returns what Render shows of the named sections, for programs that
// read numbers: metrics.
func (r *InfoRegistry) Fields(visit func(shard int, f func()) bool, names ...string) []InfoField {
	var all []InfoField
	order, bodies := r.fill(visit, names)
	for _, name := range order {
		all = append(all, bodies[name].ordered()...)
	}
	return all
}

// fill has the wanted sections filled.
func (r *InfoRegistry) fill(visit func(shard int, f func()) bool, names []string) (order []string, bodies map[string]*InfoWriter) {
	r.mu.Lock()
	sections := append([]InfoSection(nil), r.sections...)
	r.mu.Unlock()
	bodies = make(map[string]*InfoWriter)
	for _, s := range sections {
		if !wantedSection(s, names) {
			continue
		}
		w, ok := bodies[s.Name]
		if !ok {
			w = &InfoWriter{visit: visit}
			bodies[s.Name] = w
			order = append(order, s.Name)
		}
		s.Fill(w)
	}
	byInfoRank(order, func(name string) string { return name })
	return order, bodies
}

func wantedSection(s InfoSection, names []string) bool {
	if len(names) == 0 {
		return s.Default
	}
	for _, n := range names {
		switch n = strings.ToLower(n); {
		case (n == "all" || n == "everything") && !s.Named, n == strings.ToLower(s.Name):
			return true
		case n == "default" && s.Default, n == "module_list" && s.Name == "Modules":
			return true
		}
	}
	return false
}

// HumanBytes is a size as INFO shows it to people: "967.77K".
func HumanBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	exp := min(int(math.Log2(float64(n))/10), 5)
	return fmt.Sprintf("%.2f%c", float64(n)/math.Pow(1024, float64(exp)), "BKMGTP"[exp])
}
