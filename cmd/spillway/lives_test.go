package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bucketed is a configuration with a sink at a file:// URL.
func bucketed(data, bucket string) string {
	return fmt.Sprintf(`
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink "blob" "m" { url = "file://%s" }
}
`, data, bucket)
}

// filesOf are the digests of all files of the published sets below dir.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	sets, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "SET.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		files, err := os.ReadDir(filepath.Dir(set))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name := filepath.Join(filepath.Dir(set), f.Name())
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			out[strings.TrimPrefix(name, dir)] = hex.EncodeToString(sum[:])
		}
	}
	return out
}

// wantContents wants every file that was there to be there as it was.
func wantContents(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	now := filesOf(t, dir)
	for name, sum := range before {
		if now[name] != sum {
			t.Errorf("%s: its digest was %.12s and is %.12s", name, sum, now[name])
		}
	}
}

// TestLostDisk: five checkpoints are in a bucket when the disk is lost, and the
// daemon starts on an empty directory. It says what there is and does not start;
// told to go on beside it, it checkpoints every few seconds. The five stay.
func TestLostDisk(t *testing.T) {
	t.Parallel()
	data, bucket := filepath.Join(t.TempDir(), "a"), t.TempDir()
	d := startConfig(t, bucketed(data, bucket))
	for i := range 5 {
		d.do("SET", fmt.Sprint("k", i), "v")
		d.do("SAVE")
	}
	d.kill()
	five := filesOf(t, bucket)
	if n := len(published(t, bucket)); n != 5 {
		t.Fatalf("%d sets", n)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}

	refused := launch(t, "-config", writeConfig(t, bucketed(data, bucket)), "--save", "1 1")
	refused.waitFor("the end of the start", refused.ended)
	if code := refused.cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("exit status 0")
	}
	for _, want := range []string{"is empty", "--restore-if-empty", "--adopt"} {
		if !strings.Contains(refused.log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, refused.log.String())
		}
	}
	wantContents(t, bucket, five)

	d = startConfig(t, bucketed(data, bucket), "--save", "1 1", "--adopt")
	for n := 6; n <= 8; n++ { // by the save point, unattended
		d.do("SET", "n", n)
		d.waitFor("a checkpoint", func() bool { return len(published(t, bucket)) >= n })
	}
	wantContents(t, bucket, five)
	d.kill()

	if out, code := spillway(t, "restore", "--from", bucket, "--to", filepath.Join(t.TempDir(), "r")); code != 0 {
		t.Errorf("restore: exit status %d\n%s", code, out)
	}
}

// TestTwoDaemons: two daemons that know nothing of each other checkpoint into
// one bucket, are killed, lose a disk and come back. Whatever either was told is
// there stays there.
func TestTwoDaemons(t *testing.T) {
	bucket, dirs := t.TempDir(), []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	all := make(map[string]string)
	saved := func(d *daemon, key string) {
		t.Helper()
		d.do("SET", key, "v")
		d.do("SAVE")
		wantContents(t, bucket, all)
		maps.Copy(all, filesOf(t, bucket))
	}
	a := startConfig(t, bucketed(dirs[0], bucket))
	b := startConfig(t, bucketed(dirs[1], bucket)) // the bucket is still empty
	for i := range 3 {
		saved(a, fmt.Sprint("a", i))
		saved(b, fmt.Sprint("b", i))
	}
	a.kill()
	if err := os.RemoveAll(dirs[0]); err != nil {
		t.Fatal(err)
	}
	saved(b, "b3")
	a = startConfig(t, bucketed(dirs[0], bucket), "--adopt")
	saved(a, "a3")
	b.kill()
	b = startConfig(t, bucketed(dirs[1], bucket)) // it has sets of its own there
	saved(b, "b4")
	saved(a, "a4")
	a.kill()
	b.kill()
	if n := len(published(t, bucket)); n != 10 {
		t.Errorf("%d sets, want 10", n)
	}
	out, code := spillway(t, "restore", "--from", bucket, "--to", filepath.Join(t.TempDir(), "r"))
	if code == 0 {
		t.Errorf("restore chooses among three lineages by itself:\n%s", out)
	}
	wantContents(t, bucket, all)
}
