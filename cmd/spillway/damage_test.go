package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// treeHash is the digest of every name, mode and content below dir, except the
// lock, whose content is the pid of who holds it.
func treeHash(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() == "LOCK" {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, strings.TrimPrefix(path, dir), info.Mode())
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintln(h, len(b))
			h.Write(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// damagedDir is a data directory with two checkpoints and a log of 50 commands
// behind the second, made under hcl's pipeline (%q is the directory).
func damagedDir(t *testing.T, hcl string) (dir, config string) {
	t.Helper()
	dir = t.TempDir()
	config = writeConfig(t, fmt.Sprintf(hcl, dir))
	d := launch(t, damageFlags(config)...)
	d.waitReady()
	for i := range 200 {
		d.do("SET", fmt.Sprint("k", i), strings.Repeat(fmt.Sprint("v", i), 20))
	}
	d.do("SAVE")
	d.do("SET", "second", "yes")
	d.do("SAVE")
	for i := range 50 {
		d.do("RPUSH", "list", i)
	}
	d.kill()
	return dir, config
}

func damageFlags(config string) []string {
	return []string{"-config", config, "--shards", "1", "--save", "", "--appendfsync", "always"}
}

const (
	plainPipeline = `
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  sink "filesystem" "local" { uses = filesystem.os.data }
}`
	zstdPipeline = `
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "zstd" {}
  sink "filesystem" "local" { uses = filesystem.os.data }
}`
)

// edit changes a file's bytes.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(at float64) func([]byte) []byte {
	return func(b []byte) []byte {
		b[int(at*float64(len(b)-1))] ^= 0x40
		return b
	}
}

var setNumber = regexp.MustCompile(`\b(\d{8})-[0-9a-f]{8}-[0-9a-f]{8}\b`)

// withoutTokens is a text with every set named by its number alone.
func withoutTokens(text string) string { return setNumber.ReplaceAllString(text, "$1") }

// inSet is the path of a file of the only set of that number below dir.
func inSet(t *testing.T, dir, number, file string) string {
	t.Helper()
	return filepath.Join(newest(t, filepath.Join(dir, "checkpoints", number+"*")), file)
}

func newest(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatal(pattern, err)
	}
	return found[len(found)-1]
}

// TestDamage: whatever is damaged, the start stops with status 1, names file
// and offset and the command that helps, and changes nothing; that command
// changes nothing either before it is told to, and then the next start has what
// it said it would have.
func TestDamage(t *testing.T) {
	t.Parallel()
	const inBase, inLog, inManifest = "checkpoints/00000002/shard-0000.rdb", "log/00000003.aof", "MANIFEST"
	for _, c := range []struct {
		name, hcl, file string
		damage          func(t *testing.T, path string)
		says            []string // by the start
		repair          []string // flags
		list            int      // items left after the repair, -1: it cannot be repaired
		second          bool     // whether the second checkpoint is what is left
	}{
		{"part, first byte", plainPipeline, inBase, flipper(0), []string{"offset 0 to "}, []string{"--generation", "1"}, 0, false},
		{"part, middle", plainPipeline, inBase, flipper(0.5), []string{"offset 0 to "}, []string{"--generation", "1"}, 0, false},
		{"part, last byte", plainPipeline, inBase, flipper(1), []string{"offset 0 to "}, []string{"--generation", "1"}, 0, false},
		{"part with zstd, middle", zstdPipeline, inBase + ".zst", flipper(0.5), []string{"offset 0 to "}, []string{"--generation", "1"}, 0, false},
		{"part with zstd, last byte", zstdPipeline, inBase + ".zst", flipper(1), []string{"offset 0 to "}, []string{"--generation", "1"}, 0, false},
		{"part, cut short", plainPipeline, inBase, cutter(0.5), []string{"at offset "}, []string{"--generation", "1"}, 0, false},
		{"part with zstd, cut short", zstdPipeline, inBase + ".zst", cutter(0.5), []string{"at offset "}, []string{"--generation", "1"}, 0, false},
		{"part, cut to nothing", plainPipeline, inBase, cutter(0), []string{"at offset 0"}, []string{"--generation", "1"}, 0, false},
		{"part, longer", plainPipeline, inBase, func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return append(b, 'x') })
		}, []string{"at offset "}, []string{"--generation", "1"}, 0, false},
		{"part, gone", plainPipeline, inBase, remover, []string{"no such file"}, []string{"--generation", "1"}, 0, false},
		{"log, middle", plainPipeline, inLog, flipper(0.5), []string{"at offset "}, nil, 24, true},
		{"log, first block", plainPipeline, inLog, flipper(0.03), []string{"at offset 54"}, nil, 0, true},
		{"log, header", plainPipeline, inLog, flipper(0), []string{"at offset 0"}, nil, 50, true},
		{"log, id", plainPipeline, inLog, flipper(0.006), []string{"at offset 0"}, nil, 50, true},
		{"log, gone", plainPipeline, inLog, remover, []string{"no such file"}, nil, 0, true},
		{"part, a FIFO", plainPipeline, inBase, fifo, []string{"named pipe"}, []string{"--generation", "1"}, 0, false},
		{"log, a FIFO", plainPipeline, inLog, fifo, []string{"named pipe"}, nil, 0, true},
		{"log, a directory", plainPipeline, inLog, directory, []string{"is a directory"}, nil, 0, true},
		{"manifest, a FIFO", plainPipeline, inManifest, fifo, []string{"named pipe"}, []string{"--generation", "2"}, 0, true},
		{"manifest, body", plainPipeline, inManifest, flipper(0.5), []string{"at offset "}, []string{"--generation", "2"}, 0, true},
		{"manifest, first byte", plainPipeline, inManifest, flipper(0), []string{"at offset 0"}, []string{"--generation", "2"}, 0, true},
		{"manifest, cut short", plainPipeline, inManifest, cutter(0.5), []string{"at offset "}, []string{"--generation", "2"}, 0, true},
		{"manifest, gone", plainPipeline, inManifest, remover, []string{"is missing"}, []string{"--generation", "1"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, config := damagedDir(t, c.hcl)
			path := filepath.Join(dir, c.file)
			if part, ok := strings.CutPrefix(c.file, "checkpoints/00000002/"); ok {
				path = inSet(t, dir, "00000002", part)
			}
			c.damage(t, path)
			before := treeHash(t, dir)
			out, code := spillway(t, append([]string{"serve", "--port", freePort(t)}, damageFlags(config)...)...)
			if out = withoutTokens(out); code != 1 {
				t.Fatalf("exit status %d, want 1:\n%s", code, out)
			}
			for _, want := range append(c.says, c.file, "spillway repair --dir "+dir, "nothing was changed") {
				if !strings.Contains(out, want) {
					t.Errorf("the start does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, "Ready to accept") {
				t.Errorf("it served:\n%s", out)
			}
			for _, args := range [][]string{{"repair", "--dir", dir}, append([]string{"repair", "-config", config}, c.repair...)} {
				out, code = spillway(t, args...)
				if out = withoutTokens(out); code != 1 || !strings.Contains(out, c.file) || !strings.Contains(out, "DAMAGED") || !strings.Contains(out, "--fix") {
					t.Errorf("%v: exit status %d:\n%s", args, code, out)
				}
			}
			if after := treeHash(t, dir); after != before {
				t.Fatal("the directory has changed")
			}
			out, code = spillway(t, append([]string{"repair", "--dir", dir, "--fix"}, c.repair...)...)
			if code != 0 {
				t.Fatalf("repair --fix: exit status %d:\n%s", code, out)
			}
			out, code = spillway(t, "repair", "--dir", dir)
			if code != 0 || !strings.Contains(out, "nothing to repair") {
				t.Errorf("repair of what is repaired: exit status %d:\n%s", code, out)
			}
			for range 2 { // and the start after that one
				d := launch(t, damageFlags(config)...)
				d.waitReady()
				if n := d.do("LLEN", "list"); n != int64(c.list) {
					t.Errorf("%v items, want %d\n%s", n, c.list, d.log.String())
				}
				if n := d.do("EXISTS", "k0", "k199"); n != int64(2) {
					t.Errorf("%v of two keys of the first checkpoint", n)
				}
				if n := d.do("EXISTS", "second"); n != map[bool]int64{true: 1}[c.second] {
					t.Errorf("%v keys of the second checkpoint", n)
				}
				if t.Failed() {
					t.Fatal(out)
				}
				d.do("SAVE")
				d.stop()
			}
		})
	}
}

func flipper(at float64) func(*testing.T, string) {
	return func(t *testing.T, path string) { t.Helper(); edit(t, path, flip(at)) }
}

func cutter(at float64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		edit(t, path, func(b []byte) []byte { return b[:int(at*float64(len(b)))] })
	}
}

func remover(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestRepairRefuses: a running daemon's directory, one that does not exist, a
// checkpoint that is damaged itself or not there.
func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	dir, config := damagedDir(t, plainPipeline)
	d := launch(t, damageFlags(config)...)
	d.waitReady()
	out, code := spillway(t, "repair", "--dir", dir, "--fix")
	if code != 1 || !strings.Contains(out, fmt.Sprint(d.cmd.Process.Pid)) {
		t.Errorf("while the daemon runs: exit status %d:\n%s", code, out)
	}
	d.stop()
	if out, code = spillway(t, "repair", "--dir", filepath.Join(dir, "none")); code != 2 || !strings.Contains(out, "not a directory") {
		t.Errorf("no directory: exit status %d:\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Error("the directory was made")
	}
	if out, code = spillway(t, "repair", "--dir", dir, "--fix"); code != 0 || !strings.Contains(out, "nothing to repair") {
		t.Errorf("a whole directory: exit status %d:\n%s", code, out)
	}
	edit(t, inSet(t, dir, "00000001", "shard-0000.rdb"), flip(0.5))
	before := treeHash(t, dir)
	for _, generation := range []string{"1", "7"} {
		if out, code = spillway(t, "repair", "--dir", dir, "--generation", generation, "--fix"); code != 1 {
			t.Errorf("generation %s: exit status %d:\n%s", generation, code, out)
		}
	}
	if after := treeHash(t, dir); after != before {
		t.Error("the directory has changed")
	}
	// With no whole checkpoint left it says where one could come from.
	edit(t, inSet(t, dir, "00000002", "shard-0000.rdb"), flip(0.5))
	if out, code = spillway(t, "repair", "--dir", dir); code != 1 || !strings.Contains(out, "another sink") {
		t.Errorf("no whole checkpoint: exit status %d:\n%s", code, out)
	}
}

// TestTornTail: a log cut in mid-block starts, says so and keeps what it cut.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--appendfsync", "always", "--save", ""}
	d := startDaemon(t, dir, flags...)
	d.do("SET", "a", 1)
	d.kill()
	segment := newest(t, filepath.Join(dir, "log", "*.aof"))
	const torn = "#B seq=2 ts=1 dur=0 len=100 crc=00000000\r\n*3\r\n$3\r\nSET"
	edit(t, segment, func(b []byte) []byte { return append(b, torn...) })
	if out, code := spillway(t, "repair", "--dir", dir); code != 0 || !strings.Contains(out, "torn") {
		t.Errorf("repair finds more than a torn tail: exit status %d:\n%s", code, out)
	}
	d = startDaemon(t, dir, flags...)
	if v := d.do("GET", "a"); v != "1" {
		t.Fatalf("a is %v", v)
	}
	aside := newest(t, filepath.Join(dir, "torn", "*"))
	if b, err := os.ReadFile(aside); err != nil || string(b) != torn {
		t.Errorf("%s holds %q, %v", aside, b, err)
	}
	if log := d.log.String(); !strings.Contains(log, "torn/"+filepath.Base(aside)) || !strings.Contains(log, "offset=") {
		t.Errorf("the cut is not reported:\n%s", log)
	}
	d.do("SET", "b", 2)
	d.kill()
	if v := startDaemon(t, dir, flags...).do("GET", "b"); v != "2" {
		t.Fatalf("b is %v: the append behind the cut is lost", v)
	}
}
