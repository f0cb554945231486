package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedSink damages every file of a backup of three checkpoints, in every
// way, and goes through the tools: each says which file it is about, none takes
// an older checkpoint for the latest, and pruning leaves alone what it cannot
// read.
func TestDamagedSink(t *testing.T) {
	t.Parallel()
	whole, strange := t.TempDir(), t.TempDir()
	for _, place := range []string{whole, strange} { // two lives
		keepAll := strings.Replace(mirrored(t.TempDir(), place, "", true), "keep     = 2", "", 1)
		d := startConfig(t, keepAll, "--shards", "1", "--save", "", "--appendonly", "no")
		for n := range 3 {
			d.do("SET", "n", n)
			d.do("SET", "place", place)
			d.do("SAVE")
		}
		d.kill()
	}
	kinds := map[string]func(t *testing.T, file, theirs string){
		"flipped": func(t *testing.T, file, _ string) { edit(t, file, flip(0.6)) },
		"cut":     func(t *testing.T, file, _ string) { edit(t, file, func(b []byte) []byte { return b[:len(b)/2] }) },
		"doubled": func(t *testing.T, file, _ string) {
			edit(t, file, func(b []byte) []byte { return append(b, b...) })
		},
		"swapped": func(t *testing.T, file, theirs string) {
			b, err := os.ReadFile(theirs)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, file, func([]byte) []byte { return b })
		},
		"unreadable": func(t *testing.T, file, _ string) { // for root too
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"a FIFO": func(t *testing.T, file, _ string) { fifo(t, file) },
	}
	for number := 1; number <= 3; number++ {
		for _, name := range []string{"SET.json", "shard-0000.rdb"} {
			for kind, damage := range kinds {
				t.Run(fmt.Sprintf("%s/%d/%s", name, number, kind), func(t *testing.T) {
					t.Parallel()
					set := fmt.Sprintf("%08d", number)
					for _, sink := range []string{"filesystem", "blob"} {
						if sink == "blob" && (number != 3 || kind != "a FIFO" && kind != "unreadable") {
							continue // the bytes are the same; what differs is how they are reached
						}
						place := filepath.Join(t.TempDir(), "mirror")
						if err := os.CopyFS(place, os.DirFS(whole)); err != nil {
							t.Fatal(err)
						}
						file := inSet(t, place, set, name)
						damage(t, file, inSet(t, strange, set, name))
						damaged{place: place, blob: sink == "blob", file: file, name: name, number: number}.tools(t)
					}
				})
			}
		}
	}
}

// damaged is a backup of which one file is damaged.
type damaged struct {
	place      string
	blob       bool // it is read as the sink blob, and not as a directory
	file, name string
	number     int
}

// config is one whose mirror is the place.
func (d damaged) config(t *testing.T, data string) string {
	hcl := mirrored(data, d.place, "", true)
	if d.blob {
		hcl = strings.Replace(hcl, `sink "filesystem" "mirror"`, `sink "blob" "mirror"`, 1)
		hcl = strings.Replace(hcl, "uses     = filesystem.os.mirror", fmt.Sprintf("url      = %q", "file://"+d.place), 1)
	}
	return writeConfig(t, hcl)
}

// tools runs every tool over it.
func (d damaged) tools(t *testing.T) {
	place, file, name, number := d.place, d.file, d.name, d.number
	from := []string{"--from", place}
	if d.blob {
		from = []string{"--config", d.config(t, t.TempDir()), "--from", "mirror"}
	}
	on := func(command ...string) []string { return append(command, from...) }
	described := name == "SET.json" // whether it is a set's description that is damaged
	set := filepath.Base(filepath.Dir(file))
	want := func(tool string, code int, failed bool, out string) {
		t.Helper()
		if (code != 0) != failed {
			t.Errorf("%s: exit status %d\n%s", tool, code, out)
		}
		if failed && !strings.Contains(out, set) {
			t.Errorf("%s does not say which set it is:\n%s", tool, out)
		}
	}
	out, code := spillway(t, on("verify", "--quiet")...)
	want("verify", code, true, out)
	out, code = spillway(t, on("inspect")...)
	want("inspect", code, described, out)
	out, code = spillway(t, on("backups", "list")...)
	want("backups list", code, described, out)

	to := filepath.Join(t.TempDir(), "to")
	out, code = spillway(t, on("restore", "--to", to, "--quiet")...)
	want("restore", code, number == 3, out)
	if code == 0 {
		if _, err := os.Stat(filepath.Join(to, "MANIFEST")); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out, "snapshot 00000003") {
			t.Errorf("it went back:\n%s", out)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	if number == 3 {
		out, code = spillway(t, "serve", "--config", d.config(t, data), "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--restore-if-empty")
		want("serve --restore-if-empty", code, true, out)
	}
	if number == 3 && described {
		to := filepath.Join(t.TempDir(), "older")
		out = mustRun(t, on("restore", "--to", to, "--quiet", "--allow-older")...)
		if !strings.Contains(out, "snapshot 00000002") || !strings.Contains(out, "WARNING") {
			t.Errorf("--allow-older:\n%s", out)
		}
	}
	before, _ := filepath.Glob(filepath.Join(place, "checkpoints", set, "*"))
	out, code = spillway(t, on("backups", "prune", "--keep-last", "1")...)
	want("backups prune", code, described, out)
	after, _ := filepath.Glob(filepath.Join(place, "checkpoints", set, "*"))
	if described && len(after) != len(before) {
		t.Errorf("prune removed of a set that it cannot read: %v, there were %v", after, before)
	}
}
