package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// complete is what a shell is offered for the last argument, and cobra's directive.
func complete(t *testing.T, args ...string) (offers []string, directive string) {
	t.Helper()
	out, code := spillway(t, append([]string{"__complete"}, args...)...)
	if code != 0 {
		t.Fatalf("completing %q: exit status %d\n%s", args, code, out)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if d, ok := strings.CutPrefix(line, ":"); ok {
			return offers, d
		}
		word, _, _ := strings.Cut(line, "\t")
		offers = append(offers, word)
	}
	t.Fatalf("completing %q ends without a directive:\n%s", args, out)
	return nil, ""
}

// TestCompletion: shells are offered values, files of the right kind, and what the
// configuration has.
func TestCompletion(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, mirrored("d", "m", "", false)+"\nplugin \"far\" { command = [\"far\"] }\nplugin \"near\" { command = [\"near\"] }\n")
	for _, c := range []struct {
		args      string
		offers    string // of them, in the order of words
		directive string
	}{
		{"serve --appendfsync |", "always everysec no", "4"},
		{"check --appendonly |", "no yes", "4"},
		{"serve --loglevel |", "debug notice verbose warning", "4"},
		{"serve --log-format |", "json text", "4"},
		{"serve --tls-auth-clients |", "no optional yes", "4"},
		{"serve --tls-cert-file |", "crt pem", "8"},
		{"serve --config |", "hcl", "8"},
		{"serve --dir |", "", "16"},
		{"serve --port |", "", "4"},
		{"serve --restore-from --config CONFIG |", "", "4"},
		{"serve --config CONFIG --restore-from |", "mirror", "4"},
		{"restore --config CONFIG --from |", "azblob:// file:// gs:// mirror s3:// sftp://", "2"},
		{"restore --at |", "latest", "4"},
		{"export --format |", "aof rdb", "4"},
		{"export --to |", "", "0"},
		{"import |", "redis:// rediss:// unix://", "2"},
		{"plugins ping --config CONFIG |", "far near", "4"},
		{"plugins logs --config CONFIG |", "far near", "4"},
		{"plugins ping --config /nowhere |", "", "4"},
		{"plugins checksum |", "", "0"},
		{"ver|", "verify version", "4"},
		{"verify |", "", "4"},
		{"get |", "", "4"},
		{"scan --from |", "azblob:// file:// gs:// s3:// sftp://", "2"},
	} {
		args := strings.Split(strings.ReplaceAll(strings.TrimSuffix(c.args, "|"), "CONFIG", config), " ")
		offers, directive := complete(t, args...)
		slices.Sort(offers)
		if got := strings.Join(offers, " "); got != c.offers || directive != c.directive {
			t.Errorf("%s: offered %q with directive %s, want %q with %s", c.args, got, directive, c.offers, c.directive)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, code := spillway(t, "completion", shell); code != 0 || !strings.Contains(out, "__complete") {
			t.Errorf("completion %s: exit status %d\n%s", shell, code, out)
		}
	}
}

// TestManual: every command has its page, the same at every time, and none of the
// words of its flags is taken for markup.
func TestManual(t *testing.T) {
	t.Parallel()
	var all [2]map[string]string
	for i := range all {
		dir := filepath.Join(t.TempDir(), "man")
		cmd := exec.Command(binary, "man", "--to", dir)
		if out, ended := runCommand(t, cmd, "SOURCE_DATE_EPOCH=1700000000"); ended.ProcessState.ExitCode() != 0 {
			t.Fatal(out)
		}
		all[i] = make(map[string]string)
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[i][f.Name()] = string(b)
		}
	}
	for name, page := range all[0] {
		if page != all[1][name] {
			t.Errorf("%s differs from one time to the next", name)
		}
	}
	for page, words := range map[string][]string{
		"spillway.1":               {`"Spillway ` + version, "Nov 2023"},
		"spillway-serve.1":         {"<class> <hard> <soft>", "everysec, always or no"},
		"spillway-backups-prune.1": {"--keep-daily"},
		"spillway-completion.1":    {"bash"},
	} {
		for _, w := range words {
			if !strings.Contains(all[0][page], w) {
				t.Errorf("%s lacks %q:\n%s", page, w, all[0][page])
			}
		}
	}
	if _, ok := all[0]["spillway-man.1"]; ok {
		t.Error("what packagers need only has a page")
	}
}
