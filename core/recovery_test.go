package core_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestRecovery opens data directories as a crash, or somebody, has left them.
// The files in testdata/recovery say how each came about, and what the start
// makes of it:
//
//	new [shards=N] [keep=N] [log=no]   an engine in an empty directory
//	do                                 run the commands of the input
//	stop                               close the engine
//	restart                            close it and open it again
//	crash [during=SAVE|BGREWRITEAOF before|after=(OPERATION…) [nth=N]] [keep=all|none]
//	                                   lose power, before the nth operation of the job
//	                                   that begins so, or before what follows it; at
//	                                   once without a job
//	files                              list the directory
//	remove|truncate|flip|zeros|write|copy
//	                                   do that to a file
//	log FILE                           append the input's commands to a segment, as one
//	                                   block, whatever they are
//	open [shards=N]                    start; print what it did, or why not
//
// A start that is refused must leave the directory as it was; one that
// succeeds is done again, and must find the same.
func TestRecovery(t *testing.T) {
	datadriven.Walk(t, "testdata/recovery", func(t *testing.T, path string) {
		r := &recoveryRun{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r.t = t
			return withoutToken(r.step(t, d))
		})
	})
}

type recoveryRun struct {
	t      *testing.T
	h      *coretest.Harness
	shards int

	mu    sync.Mutex
	crash func(op faultfs.Op) // called before every operation
}

func (r *recoveryRun) step(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "new":
		r.create(t, d)
	case "do":
		return r.do(d.Input)
	case "stop":
		if err := r.h.DB.Close(); err != nil {
			return err.Error()
		}
	case "restart":
		r.h.Reopen()
	case "crash":
		return r.lose(t, d)
	case "files":
		return strings.Join(slices.Sorted(maps.Keys(r.content(t))), "\n")
	case "open":
		return r.open(t, d)
	default:
		if err := r.damage(d); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	return ""
}

func (r *recoveryRun) create(t *testing.T, d *datadriven.TestData) {
	r.shards = 2
	keep, log := 1, "yes"
	d.MaybeScanArgs(t, "shards", &r.shards)
	d.MaybeScanArgs(t, "keep", &keep)
	d.MaybeScanArgs(t, "log", &log)
	r.h = coretest.New(t, func(o *core.Options) { o.Shards, o.Keep, o.NoLog = r.shards, keep, log != "yes" })
	r.h.Wrap(func(inner vfs.FS) vfs.FS {
		return faultfs.New(inner, func(op faultfs.Op) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.crash != nil {
				r.crash(op)
			}
			return nil
		})
	})
	r.h.Reopen()
}

// do runs commands and prints those replies that are errors.
func (r *recoveryRun) do(input string) string {
	var out strings.Builder
	for line := range strings.Lines(input) {
		if reply := r.h.Do(strings.Fields(line)...); strings.HasPrefix(reply, "(error)") {
			fmt.Fprintln(&out, reply)
		}
	}
	return out.String()
}

// lose takes the power away and leaves the engine stopped, on what is left.
func (r *recoveryRun) lose(t *testing.T, d *datadriven.TestData) string {
	keep, during, seed := "none", "", memfs.LoseAll
	d.MaybeScanArgs(t, "keep", &keep)
	d.MaybeScanArgs(t, "during", &during)
	if keep == "all" {
		seed = memfs.KeepAll
	}
	var at string
	left := r.h.FS
	if during == "" {
		left = left.CrashClone(seed)
	} else {
		var point string
		nth, after := 1, false
		d.MaybeScanArgs(t, "nth", &nth)
		for _, a := range d.CmdArgs {
			if a.Key == "before" || a.Key == "after" {
				point, after = strings.Join(a.Vals, " "), a.Key == "after"
			}
		}
		disk := r.h.FS
		r.mu.Lock()
		r.crash = func(op faultfs.Op) {
			if at != "" || !op.Kind.Mutates() {
				return
			}
			due := after && nth == 0
			if strings.HasPrefix(withoutToken(op.String()), point) {
				nth--
				due = due || !after && nth == 0
			}
			if due {
				at, left = fmt.Sprint(op.Kind, " ", op.Path), disk.CrashClone(seed)
			}
		}
		r.mu.Unlock()
		if err := map[string]func(context.Context) error{"SAVE": r.h.DB.Save, "BGREWRITEAOF": r.h.DB.RewriteAOF}[during](context.Background()); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	_ = r.h.DB.Close() // ends what runs in the background, on a disk that nobody looks at
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crash = nil
	if during != "" && at == "" {
		t.Fatalf("%s: the job had no such operation", d.Pos)
	}
	r.h.FS = left
	return at
}

// damage changes one file behind the engine's back.
func (r *recoveryRun) damage(d *datadriven.TestData) error {
	path := r.real(d.CmdArgs[0].Key)
	switch d.Cmd {
	case "remove":
		return r.h.FS.RemoveAll(path)
	case "log":
		return r.log(path, d.Input)
	}
	if d.Cmd == "write" {
		if err := r.h.FS.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return afero.WriteFile(r.h.FS, path, []byte(d.Input), 0o600)
	}
	data, err := vfs.ReadFile(r.h.FS, path)
	if err != nil {
		return err
	}
	n := 0
	switch d.Cmd {
	case "truncate":
		if _, err := fmt.Sscan(d.CmdArgs[1].Vals[0], &n); err != nil {
			return err
		}
		data = data[:len(data)-n]
	case "flip":
		if _, err := fmt.Sscan(d.CmdArgs[1].Vals[0], &n); err != nil {
			return err
		}
		data[(n+len(data))%len(data)] ^= 1
	case "zeros":
		if _, err := fmt.Sscan(d.CmdArgs[1].Vals[0], &n); err != nil {
			return err
		}
		data = append(data, make([]byte, n)...)
	case "copy":
		path = r.real(d.CmdArgs[1].Key)
	default:
		return fmt.Errorf("no such directive: %s", d.Cmd)
	}
	return afero.WriteFile(r.h.FS, path, data, 0o600)
}

// real is the path of a file that the script names without the set's token.
func (r *recoveryRun) real(path string) string {
	var n uint64
	rest, ok := strings.CutPrefix(path, "checkpoints/")
	number, file, _ := strings.Cut(rest, "/")
	if _, err := fmt.Sscanf(number, "%d", &n); !ok || err != nil || len(number) != 8 {
		return path
	}
	return inSet(r.t, r.h.FS, n, file)
}

// log appends commands to a segment behind the engine's back.
func (r *recoveryRun) log(path, input string) error {
	res, err := wal.Replay(r.h.FS, path, wal.ReplayOptions{Last: true}, func(wal.Block) error { return nil })
	if err != nil {
		return err
	}
	l, err := wal.Open(wal.Options{FS: r.h.FS, Shards: 1, Policy: wal.No, Clock: r.h.Clock}, path, res.LastSeq)
	if err != nil {
		return err
	}
	for line := range strings.Lines(input) {
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		l.Append(0, 0, args)
	}
	return l.Close()
}

// content is every file with its bytes, every empty directory with a slash.
func (r *recoveryRun) content(t *testing.T) map[string]string {
	all := map[string]string{}
	err := afero.Walk(r.h.FS, ".", func(path string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := vfs.ReadFile(r.h.FS, path)
		if path != "LOCK" {
			all[path] = string(data)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

// open starts the engine and prints what recovery did and what there is now.
func (r *recoveryRun) open(t *testing.T, d *datadriven.TestData) string {
	d.MaybeScanArgs(t, "shards", &r.shards)
	before := r.content(t)
	if err := r.h.TryOpen(); err != nil {
		if after := r.content(t); !maps.Equal(before, after) {
			t.Errorf("%s: a refused start changed the directory: %v, before %v", d.Pos,
				slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
		}
		return "refused: " + random.ReplaceAllStringFunc(err.Error(), func(found string) string {
			if found[0] == '(' {
				return ""
			}
			return "…"
		})
	}
	rec := r.h.DB.Recovered()
	var out strings.Builder
	fmt.Fprintf(&out, "generation %d: %d keys in %d parts; %d segments: %d commands\n", rec.Generation, rec.Keys, rec.Parts, rec.Segments, rec.Commands)
	for _, p := range rec.SetAside {
		fmt.Fprintf(&out, "set aside in %s\n", p)
	}
	for _, p := range rec.Swept {
		fmt.Fprintf(&out, "swept %s\n", p)
	}
	state := r.state()
	out.WriteString(state)
	r.h.Reopen()
	if again := r.state(); again != state {
		t.Errorf("%s: the second start found\n%s", d.Pos, again)
	}
	if rec := r.h.DB.Recovered(); len(rec.SetAside)+len(rec.Swept) > 0 {
		t.Errorf("%s: the second start repaired again: %+v", d.Pos, rec)
	}
	r.h.Do("SET", "going-on", "1")
	r.h.Do("DEL", "going-on")
	r.h.Reopen()
	if again := r.state(); again != state {
		t.Errorf("%s: after going on there is\n%s", d.Pos, again)
	}
	return out.String()
}

// random matches what is different every time: digests, segments' names, and
// which of two goroutines was the first to notice.
var random = regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{16}|is [0-9a-f]{8}, want [0-9a-f]{8})\b|\(which showed as: [^)]*\) `)

// state lists every key with its value.
func (r *recoveryRun) state() string {
	var lines []string
	for _, v := range r.h.Value("KEYS", "*").Elems {
		key := string(v.Str)
		var value string
		switch kind := r.h.Do("TYPE", key); strings.Trim(kind, `"`) {
		case "string":
			value = r.h.Do("GET", key)
		case "list":
			value = r.h.Do("LRANGE", key, "0", "-1")
		default:
			value = kind
		}
		lines = append(lines, key+" = "+strings.ReplaceAll(value, "\n", " "))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
