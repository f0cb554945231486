package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestConfigs runs the configurations in testdata: "parse" prints what a good
// one means, a line for each thing that is not the default, or the diagnostics
// of a bad one as the daemon shows them; "json" prints those for machines.
func TestConfigs(t *testing.T) {
	t.Setenv("SPILLWAY_TEST", "from the environment")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	datadriven.Walk(t, "testdata/configs", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			cfg, file := Parse("test.hcl", []byte(d.Input))
			if file.Failed() != (cfg == nil) {
				d.Fatalf(t, "Failed says %v of %v", file.Failed(), cfg)
			}
			switch {
			case d.Cmd == "json":
				var out strings.Builder
				for _, p := range file.Diagnostics() {
					fmt.Fprintf(&out, "%s %s:%d:%d %s: %s\n", p.Severity, p.File, p.Line, p.Column, p.Summary, p.Detail)
				}
				return out.String()
			case d.Cmd != "parse":
				d.Fatalf(t, "no command %q", d.Cmd)
			case cfg != nil:
				return differences(cfg)
			}
			var out bytes.Buffer
			errs, err := file.Report(&out, 100, false)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%d errors\n", errs)
			// An empty line ends the expected output.
			return strings.ReplaceAll(out.String(), "\n\n", "\n.\n")
		})
	})
}

// differences are the lines of a configuration that are not in the default one.
func differences(c *Config) string {
	def := make(map[string]bool)
	for _, line := range describe(Default()) {
		def[line] = true
	}
	var out []string
	for _, line := range describe(c) {
		if !def[line] {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return "the defaults\n"
	}
	return strings.Join(out, "\n") + "\n"
}

func describe(c *Config) []string {
	e, s := c.Engine, c.Server
	out := []string{
		fmt.Sprint("shards ", e.Shards), fmt.Sprint("databases ", e.Databases),
		fmt.Sprint("append_only ", !e.NoLog), fmt.Sprint("fsync ", e.Fsync), fmt.Sprint("save ", e.Save),
		fmt.Sprint("rewrite ", max(0, e.RewritePercentage), "% from ", e.RewriteMinSize), fmt.Sprint("continue on save error ", e.ContinueOnSaveError),
		fmt.Sprint("max_memory ", e.MaxMemory, " ", e.MaxMemoryPolicy), fmt.Sprintf("password %q", e.RequirePass),
		fmt.Sprint("max_clients ", s.MaxClients), fmt.Sprint("timeout ", s.Timeout), fmt.Sprint("output limit ", s.Var("client-output-buffer-limit")),
		fmt.Sprint("query limit ", s.QueryLimit), fmt.Sprint("protected_mode ", !s.AllowRemote),
		fmt.Sprintf("log %+v", c.Log), fmt.Sprintf("data %+v at %q", c.Data, c.Data.URL()),
		fmt.Sprintf("pipeline %q keep %d verify %v", c.Check.Name, c.Check.Keep, c.Check.Verify),
	}
	for _, u := range e.Users {
		out = append(out, fmt.Sprintf("user %q %q", u.Name, u.Rules))
	}
	for _, l := range c.Listen {
		out = append(out, fmt.Sprintf("listener {Name:%s Network:%s Address:%s}", l.Name, l.Network, l.Address))
		if l.TLS != nil {
			out = append(out, fmt.Sprintf("  tls %+v", *l.TLS))
		}
	}
	for _, st := range c.Check.Stages {
		out = append(out, "stage "+st.Name+st.Plugin.describe())
	}
	for _, m := range c.Check.Mirrors {
		out = append(out, fmt.Sprintf("mirror %s kind %q on %+v required %v timeout %s keep %s", m.Name, m.Kind, m.FS, m.Required, m.Timeout, m.Keep)+m.Plugin.describe())
	}
	if len(c.Archive.Mirrors) > 0 {
		out = append(out, fmt.Sprintf("archive after %s or %d bytes", c.Archive.SealAfter, c.Archive.SealSize))
	}
	for _, st := range c.Archive.Stages {
		out = append(out, "archive stage "+st.Name)
	}
	for _, m := range c.Archive.Mirrors {
		out = append(out, fmt.Sprintf("archive sink %s at %q required %v timeout %s keep %s", m.Name, m.FS.URL(), m.Required, m.Timeout, m.Keep))
	}
	for _, p := range c.Plugins {
		out = append(out, fmt.Sprintf("plugin %+v at boot %v", p.Spec, p.AtBoot))
	}
	return out
}

func (u *Use) describe() string {
	if u == nil {
		return ""
	}
	return fmt.Sprintf(" uses %q component %q config %s", u.Plugin, u.Component, u.Config)
}

// TestShippedConfigIsTheDefault: plugins.hcl says what runs without it.
func TestShippedConfigIsTheDefault(t *testing.T) {
	t.Setenv("SPILLWAY_DIR", "./data")
	t.Setenv("SPILLWAY_PASSWORD", "")
	src, err := os.ReadFile(filepath.FromSlash("../../../plugins.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, file := Parse("plugins.hcl", src)
	if cfg == nil {
		t.Fatal(file.Diagnostics())
	}
	for _, line := range strings.Split(strings.TrimSpace(differences(cfg)), "\n") {
		if line != fmt.Sprint("shards ", cfg.Engine.Shards) { // cpus(), which 0 stands for
			t.Errorf("not the default: %s", line)
		}
	}
}

// TestCredentialFunction: what systemd hands the service is read, a default stands in
// for what it does not, and what is there and cannot be read is a mistake.
func TestCredentialFunction(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, call, password, problem string }{
		{dir, `credential("there")`, "hush", ""},
		{dir, `credential("there", "else")`, "hush", ""},
		{dir, `credential("missing", "else")`, "else", ""},
		{dir, `credential("missing")`, "", "no credential missing"},
		{dir, `credential("directory", "else")`, "", "is not a file"},
		{dir, `credential("../there", "else")`, "", "is not the name of a credential"},
		{"", `credential("there", env("SPILLWAY_NO_SUCH", ""))`, "", ""},
		{"", `credential("there")`, "", "no credential there"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", c.dir)
		cfg, file := Parse("test.hcl", fmt.Appendf(nil, "server { password = %s }", c.call))
		var out strings.Builder
		if _, err := file.Report(&out, 100, false); err != nil {
			t.Fatal(err)
		}
		if c.problem == "" && (cfg == nil || cfg.Engine.RequirePass != c.password || file.Failed()) {
			t.Errorf("%s: not the password %q\n%s", c.call, c.password, out.String())
		}
		words := strings.Join(strings.Fields(out.String()), " ") // lines are wrapped
		if c.problem != "" && !strings.Contains(words, c.problem) {
			t.Errorf("%s: no %q in\n%s", c.call, c.problem, out.String())
		}
	}
}

// TestFileFunction: file() reads a file, and nothing that has no end.
func TestFileFunction(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxIncluded+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("pw\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "secret"): "", big: "more than", dir: "not a file", "/dev/zero": "not a file", filepath.Join(dir, "none"): "no such file",
	} {
		cfg, file := Parse("test.hcl", fmt.Appendf(nil, "server { password = file(%q) }", path))
		if want == "" {
			if cfg == nil || cfg.Engine.RequirePass != "pw" {
				t.Errorf("%s: %+v, %v", path, cfg, file.Diagnostics())
			}
		} else if cfg != nil || !strings.Contains(file.Diagnostics()[0].Detail, want) {
			t.Errorf("%s: %v, want %q", path, file.Diagnostics(), want)
		}
	}
}

// TestManyProblems: what is shown has a bound, what is counted has none.
func TestManyProblems(t *testing.T) {
	cfg, file := Parse("test.hcl", []byte(strings.Repeat("nonsense {}\n", 1000)))
	var out bytes.Buffer
	errs, err := file.Report(&out, 100, false)
	if cfg != nil || err != nil || errs != 1000 {
		t.Errorf("%d errors, %v", errs, err)
	}
	if n := strings.Count(out.String(), "Unsupported block type"); n != maxShown || !strings.Contains(out.String(), "990 further problems not shown") {
		t.Errorf("%d shown:\n%s", n, out.String())
	}
	if n := len(file.Diagnostics()); n != maxShown {
		t.Errorf("%d for machines", n)
	}
}

// FuzzParse: whatever the file says, there is either a configuration that can
// run or an error that has a place in the file.
func FuzzParse(f *testing.F) {
	for _, path := range []string{"../../../plugins.hcl"} {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	files, err := filepath.Glob("testdata/configs/*")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, block := range strings.Split(string(src), "parse\n")[1:] {
			input, _, _ := strings.Cut(block, "\n----")
			f.Add([]byte(input))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		cfg, file := Parse("fuzz.hcl", src)
		var out bytes.Buffer
		errs, err := file.Report(&out, 80, false)
		if err != nil {
			t.Fatal(err)
		}
		if cfg == nil {
			if errs == 0 || !file.Failed() {
				t.Fatal("refused without an error")
			}
			for _, d := range file.Diagnostics() {
				if d.Severity == "error" && (d.Line < 1 || d.Column < 1 || d.File != "fuzz.hcl" || d.Summary == "") {
					t.Fatalf("an error without a place: %+v", d)
				}
			}
			return
		}
		e, s := cfg.Engine, cfg.Server
		if errs != 0 || e.Databases < 1 || e.Shards < 0 || s.MaxClients < 1 || s.Timeout < 0 || s.QueryLimit < 1<<20 || cfg.Check.Keep < 1 ||
			cfg.Data.Kind == "" || cfg.Data.Kind == "os" && cfg.Data.Root == "" {
			t.Fatalf("accepted: %+v", cfg)
		}
		for _, l := range cfg.Listen {
			if l.Address == "" {
				t.Fatalf("accepted: %+v", l)
			}
		}
	})
}
