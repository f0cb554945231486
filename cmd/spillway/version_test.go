package main

import (
	"debug/buildinfo"
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestVersion: what was built, in words and for machines.
func TestVersion(t *testing.T) {
	t.Parallel()
	line, code := spillway(t, "version")
	if code != 0 || !strings.HasPrefix(line, "spillway "+version+" (commit ") || !strings.Contains(line, runtime.Version()) || strings.Count(line, "\n") != 1 {
		t.Errorf("version: exit status %d, %q", code, line)
	}
	for _, flag := range []string{"--version", "-version"} {
		if out, code := spillway(t, flag); code != 0 || out != line {
			t.Errorf("%s: exit status %d, %q; version says %q", flag, code, out, line)
		}
	}
	out, code := spillway(t, "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || code != 0 || b.Version != version || b.GoVersion != runtime.Version() || b.OS != runtime.GOOS || b.Arch != runtime.GOARCH {
		t.Errorf("version --json: exit status %d, %v, %+v", code, err, b)
	}
	info, err := buildinfo.ReadFile(binary) // the go command notes the commit where it is asked to
	if err != nil {
		t.Fatal(err)
	}
	noted := make(map[string]string)
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	if b.Commit != noted["vcs.revision"] || b.Date != noted["vcs.time"] {
		t.Errorf("commit %q of %q, the binary was built from %q of %q", b.Commit, b.Date, noted["vcs.revision"], noted["vcs.time"])
	}
}

// TestStartSaysWhat: the log of a start begins with the version, the process,
// the configuration and the data directory.
func TestStartSaysWhat(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDaemon(t, dir)
	first, _, _ := strings.Cut(d.log.String(), "\n")
	for _, want := range []string{"starting", "version=" + version, "commit=", "pid=", `config="(built-in defaults)"`, "dir=" + dir} {
		if !strings.Contains(first, want) {
			t.Errorf("the first line lacks %s: %s", want, first)
		}
	}
	file := writeConfig(t, `filesystem "os" "data" { root = "relative" }`)
	d = launch(t, "-config", file)
	d.waitReady()
	first, _, _ = strings.Cut(d.log.String(), "\n")
	if want := "dir=" + filepath.Join(filepath.Dir(file), "relative"); !strings.Contains(first, want) || !strings.Contains(first, "config="+file) {
		t.Errorf("the first line lacks %s or %s: %s", want, file, first)
	}
}
