package config

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// running is what a configuration runs, on a disk in memory.
type running struct {
	t  *testing.T
	db *core.DB
}

func run(t *testing.T, c *Config) running {
	t.Helper()
	o := c.Engine
	o.FS, o.ManualTick = memfs.New(), true
	if o.ACLFile != "" {
		if err := vfs.WriteFileAtomic(o.FS, o.ACLFile, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := core.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	server.New(db, c.Server)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return running{t, db}
}

// get is what CONFIG GET says of a parameter by each of its names.
func (r running) get(p *param.Param) string {
	r.t.Helper()
	value := ""
	for i, name := range p.Names() {
		got := r.db.Admin().Config().Get(name)
		if len(got) != 1 || got[0][0] != name || i > 0 && got[0][1] != value {
			r.t.Errorf("CONFIG GET %s: %q, want %q", name, got, value)
			return ""
		}
		value = got[0][1]
	}
	return value
}

// written is a value as plugins.hcl has it.
func written(p *param.Param, text string) string {
	switch p.Type.(type) {
	case param.Bool:
		return map[string]string{"yes": "true", "no": "false"}[text]
	case param.Int:
		return text
	case param.Duration:
		return fmt.Sprintf("%q", text+"s")
	case param.List:
		return fmt.Sprintf("[%q]", text)
	}
	return fmt.Sprintf("%q", text)
}

// inFile is the configuration of a file that sets one parameter.
func inFile(p *param.Param, value string) (*Config, *File) {
	return Parse("test.hcl", fmt.Appendf(nil, "server {\n  %s = %s\n}\n", p.HCL, value))
}

// examples are, for types that have no obvious ones, a value and one that is none.
var examples = map[string][2]string{
	"shutdown-on-sigterm":               {"nosave", "loudly"},
	"shutdown-on-sigint":                {"save now", "save nosave"},
	"oom-score-adj":                     {"absolute", "perhaps"},
	"oom-score-adj-values":              {"1 2 3", "1 2"},
	"save":                              {"60 1 5 100", "60"},
	"notify-keyspace-events":            {"AKE", "KEy"},
	"latency-tracking-info-percentiles": {"0 99.99 100", "101"},
	"client-output-buffer-limit":        {"normal 3145728 2 1", "normal x 0 0"},
	"cluster-announce-hostname":         {"node-1.example", "node_1"},
}

// example is a value of a parameter that is not its default, as CONFIG GET has it.
func example(t *testing.T, p *param.Param) string {
	t.Helper()
	pick := func(values ...string) string {
		for _, v := range values {
			if v != p.Default {
				return v
			}
		}
		return ""
	}
	switch typ := p.Type.(type) {
	case param.Bool:
		return pick("no", "yes")
	case param.Int:
		return pick(strconv.FormatInt(typ.Min+2, 10), strconv.FormatInt(typ.Min+3, 10))
	case param.Memory:
		return pick(strconv.FormatInt(typ.Min+3<<20, 10))
	case param.MemoryShare:
		return pick("7%")
	case param.OneOf:
		return pick(typ...)
	case param.Duration:
		return pick("77", "78")
	case param.Text:
		return pick("some text")
	}
	if examples[p.Name][0] == "" {
		t.Fatalf("%s: the test has no example of a %T", p.Name, p.Type)
	}
	return examples[p.Name][0]
}

// wrong is what is no value of a parameter, as Redis spells values, and what a
// refusal names: the bounds.
func wrong(p *param.Param) (values []string, bounds []string) {
	switch typ := p.Type.(type) {
	case param.Bool:
		return []string{"perhaps"}, nil
	case param.Int:
		if typ.Min > math.MinInt64 {
			values = append(values, strconv.FormatInt(typ.Min-1, 10))
		}
		if typ.Max < math.MaxInt64 {
			values = append(values, strconv.FormatInt(typ.Max+1, 10))
			bounds = append(bounds, strconv.FormatInt(typ.Max, 10))
		}
		return values, append(bounds, strconv.FormatInt(typ.Min, 10))
	case param.Memory:
		if typ.Min > 0 {
			values = append(values, strconv.FormatInt(typ.Min-1, 10))
		}
		return append(values, "-1", "lots"), nil
	case param.MemoryShare:
		return []string{"101%", "-1", "lots"}, nil
	case param.OneOf:
		return []string{"nonsense"}, nil
	case param.Duration:
		return []string{strconv.FormatInt(typ.Max+1, 10), "-1"}, nil
	case param.Text:
		return nil, nil
	}
	return []string{examples[p.Name][1]}, nil
}

// TestParamsAreDeclared: an entry of the table is whole, and one that can change
// can be given at the start too.
func TestParamsAreDeclared(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	unique := func(p *param.Param, name string) {
		if other, twice := seen[name]; twice {
			t.Errorf("%s and %s are both called %s", other, p.Name, name)
		}
		seen[name] = p.Name
	}
	for _, p := range Params() {
		for _, name := range p.Names() {
			unique(p, "CONFIG "+name)
		}
		if p.HCL != "" {
			unique(p, "HCL "+p.HCL)
		} else if !p.Fixed && p.Auto == "" {
			t.Errorf("%s can change, and has no name in HCL", p.Name)
		}
		if len(p.Doc) < 10 || !strings.HasSuffix(p.Doc, ".") || strings.Contains(p.Doc, ". ") || p.Doc[0] < 'A' || p.Doc[0] > 'Z' {
			t.Errorf("%s: %q is not a sentence", p.Name, p.Doc)
		}
		if p.Auto != "" {
			if p.Default != "" {
				t.Errorf("%s has two defaults", p.Name)
			}
		} else if v, err := p.Type.Parse(p.Default); err != nil || v != p.Default {
			t.Errorf("%s: the default %q is read as %q, %v", p.Name, p.Default, v, err)
		}
	}
}

// TestParamDefaults: what runs without a file and without flags is what the table
// says, and so is what a file and flags give that spell the defaults out.
func TestParamDefaults(t *testing.T) {
	t.Parallel()
	flags := Default()
	var file strings.Builder
	for _, p := range Params() {
		if p.HCL == "" || p.Auto != "" {
			continue
		}
		fmt.Fprintf(&file, "  %s = %s\n", p.HCL, written(p, p.Default))
		if err := flags.SetFlag(p, p.Default); err != nil {
			t.Error(err)
		}
	}
	spelt, diags := Parse("test.hcl", []byte("server {\n"+file.String()+"}\n"))
	if spelt == nil {
		t.Fatal(diags.Diagnostics())
	}
	for what, cfg := range map[string]*Config{"nothing": Default(), "the file": spelt, "flags": flags} {
		r := run(t, cfg)
		for _, p := range Params() {
			if got := r.get(p); p.Auto == "" && got != p.Default {
				t.Errorf("%s: %s is %q, want %q", what, p.Name, got, p.Default)
			}
		}
	}
}

// TestParamsRoundTrip: a value given by CONFIG SET, by the file and by a flag is
// the same one, and CONFIG GET shows it; INFO too, where it has a field.
func TestParamsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, p := range Params() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if p.HCL == "" {
				if !p.Fixed {
					return // it is the listeners', and has tests of its own
				}
				want := "can't set immutable config"
				if p.Protected {
					want = "can't set protected config"
				}
				if err := run(t, Default()).db.Admin().Config().Set([2]string{p.Name, p.Default}); err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("CONFIG SET: %v", err)
				}
				return
			}
			value := example(t, p)
			cfg, file := inFile(p, written(p, value))
			if cfg == nil {
				t.Fatal(file.Diagnostics())
			}
			flags := Default()
			if err := flags.SetFlag(p, value); err != nil {
				t.Fatal(err)
			}
			want := run(t, cfg).get(p)
			if !strings.HasPrefix(want, value) { // client-output-buffer-limit goes on with the other classes
				t.Errorf("the file: %q, want %q", want, value)
			}
			if got := run(t, flags).get(p); got != want {
				t.Errorf("the flag: %q, want %q", got, want)
			}
			r := run(t, Default())
			for i, name := range p.Names() {
				err := r.db.Admin().Config().Set([2]string{strings.ToUpper(name), value})
				if p.Fixed {
					if err == nil || !strings.HasSuffix(err.Error(), "can't set immutable config") {
						t.Errorf("CONFIG SET %s: %v", name, err)
					}
					return
				}
				if err != nil {
					t.Errorf("CONFIG SET %s: %v", name, err)
				}
				if p.Name == "appendonly" {
					r.db.Tick() // carries it out
				}
				if got := r.get(p); got != want {
					t.Errorf("CONFIG SET %s: %q, want %q", name, got, want)
				}
				if line := "\r\n" + p.Info + ":" + want + "\r\n"; p.Info != "" && !strings.Contains(r.db.Admin().Info().Render(nil, "everything"), line) {
					t.Errorf("INFO lacks %q", line)
				}
				if i == 0 {
					if err := r.db.Admin().Config().Set([2]string{name, p.Default}); err != nil {
						t.Errorf("CONFIG SET %s to its default: %v", name, err)
					}
				}
			}
		})
	}
}

// TestParamsRefuse: what is no value of a parameter is refused by CONFIG SET, by
// the file at its place and by the flag, and each names the bounds.
func TestParamsRefuse(t *testing.T) {
	t.Parallel()
	r := run(t, Default())
	for _, p := range Params() {
		values, bounds := wrong(p)
		for _, value := range values {
			if p.HCL == "" {
				continue
			}
			said := make(map[string]string)
			before := r.get(p)
			if err := r.db.Admin().Config().Set([2]string{p.Name, value}); err != nil {
				said["CONFIG SET"] = err.Error()
			}
			if got := r.get(p); got != before {
				t.Errorf("CONFIG SET %s %s, which was refused, made it %s", p.Name, value, got)
			}
			if err := Default().SetFlag(p, value); err != nil {
				said["the flag"] = err.Error()
			}
			cfg, file := inFile(p, written(p, value))
			if _, isBool := p.Type.(param.Bool); isBool {
				cfg, file = inFile(p, strconv.Quote(value))
			}
			if all := file.Diagnostics(); cfg == nil && len(all) == 1 && all[0].File == "test.hcl" && all[0].Line == 2 && all[0].Column == len(p.HCL)+6 {
				said["the file"] = all[0].Detail
			}
			if len(said) != 3 {
				t.Errorf("%s %q is not refused by all: %q; %v", p.Name, value, said, file.Diagnostics())
			}
			if !strings.HasPrefix(said["the file"], strconv.Quote(p.HCL)) || !strings.HasPrefix(said["the flag"], "--"+p.Name) || !strings.Contains(said["CONFIG SET"], "'"+p.Name+"'") {
				t.Errorf("a refusal does not say of what: %q", said)
			}
			for who, text := range said {
				for _, bound := range bounds {
					if !p.Fixed && !strings.Contains(text, bound) || p.Fixed && who != "CONFIG SET" && !strings.Contains(text, bound) {
						t.Errorf("%s %s: %s says %q, and not %s", p.Name, value, who, text, bound)
					}
				}
			}
		}
	}
}

// TestSecretParams: a secret parameter is masked in diagnostics by its own name,
// and in SLOWLOG.
func TestSecretParams(t *testing.T) {
	t.Parallel()
	const hush = "hunter2-Zebra"
	for _, p := range Params() {
		if p.Secret != secretName.MatchString(p.HCL) {
			t.Errorf("%s is declared a secret: %v; what its name looks like is another thing", p.HCL, p.Secret)
		}
		if !p.Secret {
			continue
		}
		_, file := inFile(p, fmt.Sprintf("[%q]", hush))
		var out bytes.Buffer
		if errs, err := file.Report(&out, 100, false); errs != 1 || err != nil || strings.Contains(out.String(), hush) {
			t.Errorf("%s: %d errors, %v:\n%s", p.HCL, errs, err, out.String())
		}
		s := run(t, Default()).db.Session()
		for _, cmd := range [][]string{{"CONFIG", "SET", "slowlog-log-slower-than", "0"}, {"CONFIG", "SET", "maxmemory", "1gb", strings.ToUpper(p.Name), hush}} {
			if v, err := s.Do(cmd...); err != nil || v.String() != `"OK"` {
				t.Fatalf("%s: %s, %v", cmd, v, err)
			}
		}
		slow, err := s.Do("SLOWLOG", "GET")
		if text := slow.String(); err != nil || strings.Contains(text, hush) || !strings.Contains(text, `"1gb"`) || !strings.Contains(text, "(redacted)") {
			t.Errorf("%s: %v: %s", p.Name, err, text)
		}
	}
}

// TestConfigurationDoc: docs/configuration.md has the table as it is declared.
// go test ./cmd/spillway/config -run TestConfigurationDoc -rewrite writes it.
func TestConfigurationDoc(t *testing.T) {
	testutil.Document(t, "../../../docs/configuration.md", "parameters", documentation())
}

// documentation is the table of parameters in Markdown.
func documentation() string {
	var b strings.Builder
	b.WriteString("| `CONFIG` | `plugins.hcl` | flag | values | default | a change counts | |\n|---|---|---|---|---|---|---|\n")
	for _, p := range Params() {
		name, hcl, option, def, counts := "`"+p.Name+"`", "", "", "`"+p.Default+"`", "at once"
		for _, a := range p.Aliases {
			name += ", `" + a + "`"
		}
		if p.HCL != "" {
			hcl = "`" + p.HCL + "`"
		}
		if p.Flag() != "" {
			option = "`--" + p.Flag() + "`"
		}
		if p.Fixed {
			counts = "at a start"
		}
		switch _, size := p.Type.(param.Memory); {
		case p.Auto != "":
			def = p.Auto
		case p.Default == "":
			def = "empty"
		case size:
			n, err := param.ParseMemory(p.Default)
			if err != nil {
				panic(err) // another test says so
			}
			def = "`" + param.FormatMemory(n) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, hcl, option, strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(p.Type.Want()), def, counts, p.Doc)
	}
	return b.String()
}
