package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWithoutTheKey: an encrypted backup without its key is not damaged. verify
// says that it could not look, and still finds damage of the stored bytes;
// restore does not end with a command that cannot start.
func TestWithoutTheKey(t *testing.T) {
	t.Parallel()
	l := lose(t)
	out, code := spillway(t, "verify", "--from", l.mirror, "--quiet")
	if code != 2 || strings.Contains(out, "DAMAGED") || !strings.Contains(out, "unread") || !strings.Contains(out, "--identity") {
		t.Errorf("verify without the key: exit status %d\n%s", code, out)
	}
	to := filepath.Join(t.TempDir(), "data")
	out = mustRun(t, "restore", "--from", l.mirror, "--to", to, "--quiet")
	if strings.Contains(out, "start it with: spillway serve --dir "+to) || !strings.Contains(out, "zstd → age") || !strings.Contains(out, "--config") {
		t.Errorf("restore without the key ends with\n%s", out)
	}
	edit(t, mustGlob(t, filepath.Join(l.mirror, "checkpoints", "*", "shard-0001*"))[0], flip(0.7))
	if out, code = spillway(t, "verify", "--from", l.mirror, "--quiet"); code != 1 || !strings.Contains(out, "DAMAGED") {
		t.Errorf("verify without the key, of damaged bytes: exit status %d\n%s", code, out)
	}
}

// TestImportOfNothing: what is no file of Redis's is no import of 0 keys.
func TestImportOfNothing(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "text": "hello world\nthis is no dump\n", "a byte": "\x00", "half a command": "*3\r\n$3\r\nSET\r\n$1\r\na",
		"zip": "PK\x03\x04\x00\x00", "json": "{\"a\": 1}",
	} {
		file := filepath.Join(t.TempDir(), "dump")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := spillway(t, "import", file, "--to", filepath.Join(t.TempDir(), "to"), "--quiet")
		if code != 1 || !strings.Contains(out, "no file of Redis's") {
			t.Errorf("%s: exit status %d\n%s", name, code, out)
		}
	}
}

// TestExportKeepsFiles: a file that is there is replaced by --force only.
func TestExportKeepsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startConfig(t, mirrored(dir, t.TempDir(), "", true), "--save", "")
	d.do("SET", "a", 1)
	d.stop()
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := spillway(t, "export", "--dir", dir, "--to", file); code != 2 || !strings.Contains(out, "--force") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
	mustRun(t, "export", "--dir", dir, "--to", file, "--force", "--quiet")
}

// TestInspectOfNothing: a directory without writes is not of the year 1.
func TestInspectOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startConfig(t, mirrored(dir, t.TempDir(), "", true), "--save", "").stop()
	if out := mustRun(t, "inspect", "--dir", dir); strings.Contains(out, "0001-01-01") || !strings.Contains(out, "nothing was written yet") {
		t.Errorf("it says\n%s", out)
	}
}
