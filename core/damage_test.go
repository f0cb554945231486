package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// A life is a data directory as a kill leaves it: two checkpoints, the second a
// snapshot or a rewrite, and a log of two segments behind it.
type life struct {
	disk  *memfs.FS
	files []string
	state string           // all keys and values
	ends  map[string][]int // where blocks of a segment end: what is cut there is not missed
}

// live makes a life. Of two that differ in mark, every file differs and has the
// same name.
func live(t *testing.T, mark string, rewrite bool) *life {
	t.Helper()
	var refuse atomic.Bool
	pruned := make(chan struct{}, 2)
	h := coretest.New(t, func(o *core.Options) {
		o.Keep = 2
		o.Events.CheckpointStep = func(s core.StepEvent) {
			if s.Step == core.StepPrune {
				pruned <- struct{}{}
			}
		}
	})
	h.Wrap(func(inner vfs.FS) vfs.FS {
		return faultfs.New(inner, func(op faultfs.Op) error {
			if refuse.Load() && op.Kind == faultfs.OpCreate && strings.HasPrefix(op.Path, "checkpoints/00000003") {
				return syscall.EIO
			}
			return nil
		})
	})
	h.Reopen()
	do := func(format string, args ...any) {
		t.Helper()
		if out := h.Do(strings.Fields(fmt.Sprintf(format, args...))...); strings.HasPrefix(out, "(error)") {
			t.Fatalf(format+": "+out, args...)
		}
	}
	for i := range 12 {
		do("SET k%d %s%d", i, mark, i)
	}
	do("SAVE")
	do("SET second %s", mark)
	if rewrite {
		if err := h.DB.RewriteAOF(context.Background()); err != nil {
			t.Fatal(err)
		}
	} else {
		do("SAVE")
	}
	for i := range 6 {
		do("RPUSH list %s%d", mark, i)
	}
	for range 2 { // what the two take the place of goes behind their commits
		<-pruned
	}
	// A checkpoint that fails behind its cut leaves the log in two segments.
	refuse.Store(true)
	if err := h.DB.Save(context.Background()); err == nil {
		t.Fatal("the checkpoint did not fail")
	}
	refuse.Store(false)
	do("CONFIG SET stop-writes-on-bgsave-error no")
	for i := range 6 {
		do("RPUSH list %s-%d", mark, i)
	}
	l := &life{disk: h.FS.CrashClone(memfs.KeepAll), state: stateOf(h.DB), ends: map[string][]int{}}
	for name := range filesOf(t, l.disk) {
		l.files = append(l.files, name)
		if path.Dir(name) != "log" {
			continue
		}
		_, err := wal.Replay(l.disk, name, wal.ReplayOptions{Last: true}, func(b wal.Block) error {
			l.ends[name] = append(l.ends[name], int(b.Offset))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := vfs.ReadFile(l.disk, name); bytes.Contains(data, []byte("#S ")) {
			l.ends[name] = append(l.ends[name], bytes.LastIndex(data, []byte("#S "))) // a mark is missed neither
		}
	}
	sort.Strings(l.files)
	if len(l.files) != 9 {
		t.Fatalf("a life of %v", l.files)
	}
	return l
}

// stateOf is every key with its value.
func stateOf(db *core.DB) string {
	s := db.Session()
	do := func(args ...string) string {
		v, err := s.Do(args...)
		if err != nil {
			return err.Error()
		}
		return v.String()
	}
	v, _ := s.Do("KEYS", "*")
	var lines []string
	for _, e := range v.Elems {
		key := string(e.Str)
		value := do("LRANGE", key, "0", "-1")
		if do("TYPE", key) != "list" {
			value = do("GET", key)
		}
		lines = append(lines, key+" = "+value)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// filesOf is every file with its bytes; a directory that is empty has a slash.
func filesOf(t *testing.T, disk vfs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := afero.Walk(disk, ".", func(name string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		data, err := vfs.ReadFile(disk, name)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
	return all
}

// hurt is one thing that has happened to one file.
type hurt struct {
	file string
	what string
	data []byte                     // what is in it now, nil: that is not it
	do   func(disk *memfs.FS) error // how it came to be so
	fail func(op faultfs.Op) error  // what operations say from then on
}

// lifeTokens are what the names of sets differ in from life to life.
var lifeTokens = regexp.MustCompile(`-[0-9a-f]{8}-[0-9a-f]{8}`)

// hurts are the ways to damage a file. The long run tries every bit's byte and
// every length.
func hurts(l, other *life, file string, long bool) (out []hurt) {
	was, _ := vfs.ReadFile(l.disk, file)
	put := func(what string, data []byte) {
		before, err1 := sink.DecodeSet(was)
		after, err2 := sink.DecodeSet(data)
		same := err1 == nil && err2 == nil && reflect.DeepEqual(before, after) // a newline more or less
		if !bytes.Equal(data, was) && !same {
			out = append(out, hurt{file: file, what: what, data: data, do: func(disk *memfs.FS) error {
				return afero.WriteFile(disk, file, data, 0o600)
			}})
		}
	}
	flips, cuts := map[int]bool{0: true, len(was) / 3: true, len(was) - 1: true}, map[int]bool{0: true, len(was) / 2: true, len(was) - 1: true}
	if long {
		for i := range was {
			flips[i], cuts[i] = true, true
		}
	}
	for _, i := range slices.Sorted(maps.Keys(flips)) {
		if path.Dir(file) == "log" && i < l.ends[file][0] && i >= bytes.Index(was, []byte(" ts=")) {
			continue // when it was made, which nothing depends on
		}
		b := bytes.Clone(was)
		b[i] ^= 0x01
		put(fmt.Sprintf("byte %d flipped", i), b)
	}
	for _, i := range slices.Sorted(maps.Keys(cuts)) {
		if !slices.Contains(l.ends[file], i) { // nobody can see that there was more
			put(fmt.Sprintf("cut to %d of %d bytes", i, len(was)), was[:i])
		}
	}
	put("doubled", slices.Concat(was, was))
	put("longer by a byte", append(bytes.Clone(was), 'x'))
	put("longer by zeros", append(bytes.Clone(was), make([]byte, 5000)...))
	for _, name := range other.files {
		if lifeTokens.ReplaceAllString(name, "") == lifeTokens.ReplaceAllString(file, "") {
			theirs, _ := vfs.ReadFile(other.disk, name)
			put("another life's", theirs)
		}
	}
	for _, sibling := range l.files {
		if sibling != file && path.Ext(sibling) == path.Ext(file) {
			theirs, _ := vfs.ReadFile(l.disk, sibling)
			put("what "+sibling+" has", theirs)
		}
	}
	add := func(what string, do func(disk *memfs.FS) error, fail func(op faultfs.Op) error) {
		out = append(out, hurt{file: file, what: what, do: do, fail: fail})
	}
	add("gone", func(disk *memfs.FS) error { return disk.Remove(file) }, nil)
	add("a directory", func(disk *memfs.FS) error {
		if err := disk.Remove(file); err != nil {
			return err
		}
		return disk.Mkdir(file, 0o700)
	}, nil)
	for _, f := range []struct {
		kind faultfs.OpKind
		err  error
	}{{faultfs.OpOpen, syscall.EACCES}, {faultfs.OpRead, syscall.EIO}} {
		add(fmt.Sprintf("unreadable: %s says %v", f.kind, f.err), nil, func(op faultfs.Op) error {
			if op.Kind == f.kind && op.Path == file {
				return f.err
			}
			return nil
		})
	}
	return out
}

// on is the life's disk with the damage, as a tool sees it, and the disk itself.
func (h hurt) on(t *testing.T, l *life) (vfs.FS, *memfs.FS) {
	t.Helper()
	disk := l.disk.CrashClone(memfs.KeepAll)
	if h.do != nil {
		if err := h.do(disk); err != nil {
			t.Fatal(err)
		}
	}
	return faultfs.New(disk, h.fail), disk
}

// TestDamagedDirectory: whatever has happened to whichever file of a data
// directory, everything that reads one either has all of the data or says what
// it found, by the file's name, and changes nothing.
func TestDamagedDirectory(t *testing.T) {
	long := os.Getenv("SPILLWAY_LAB") == "long"
	all, tried := 0, 0
	for _, kind := range []string{"snapshot", "rewrite"} {
		l, other := live(t, "a", kind == "rewrite"), live(t, "b", kind == "rewrite")
		for _, file := range l.files {
			for _, h := range hurts(l, other, file, long) {
				if all++; testutil.Race && all%4 != 0 {
					continue
				}
				tried++
				for tool, run := range map[string]func(*testing.T, *life, hurt) error{
					"start": startsOn, "repair": examines, "inspect and verify": verifies, "restore": restores,
				} {
					if err := run(t, l, h); err != nil {
						t.Errorf("%s of a directory with a %s: %s is %s: %v", tool, kind, h.file, h.what, err)
					}
				}
			}
		}
	}
	t.Logf("%d of %d kinds of damage", tried, all)
}

// names tells whether a text has the file's name in it. A manifest of another
// life is known by what it names and is not there.
func (h hurt) names(text string) bool {
	if h.what == "another life's" && h.file == "MANIFEST" {
		return strings.Contains(text, "log/") || strings.Contains(text, "checkpoints/")
	}
	if h.what == "another life's" && path.Base(h.file) == sink.SetFile && strings.Contains(text, path.Dir(h.file)+"/") {
		return true // what it describes is not there
	}
	return strings.Contains(text, h.file)
}

// open starts an engine on a disk.
func openOn(disk vfs.FS) (*core.DB, error) {
	return core.Open(core.Options{FS: disk, Shards: 3, Keep: 2, Clock: core.SystemClock{}, ManualTick: true})
}

// startsOn starts an engine.
func startsOn(t *testing.T, l *life, h hurt) error {
	seen, disk := h.on(t, l)
	before := filesOf(t, disk)
	db, err := openOn(seen)
	if err != nil {
		if !h.names(err.Error()) {
			return fmt.Errorf("it is not named: %w", err)
		}
		if after := filesOf(t, disk); !maps.Equal(before, after) {
			return fmt.Errorf("a start that was refused has changed the directory (%w)", err)
		}
		return nil
	}
	defer db.Close()
	if got := stateOf(db); got != l.state && len(db.Recovered().SetAside) == 0 {
		return fmt.Errorf("it starts and says nothing, with\n%s", got)
	}
	for _, aside := range db.Recovered().SetAside {
		if !strings.Contains(aside, path.Base(h.file)) {
			return fmt.Errorf("%s was set aside", aside)
		}
	}
	return nil
}

// examines does what repair does.
func examines(t *testing.T, l *life, h hurt) error {
	seen, disk := h.on(t, l)
	before := filesOf(t, disk)
	x, err := repair.Examine(context.Background(), seen)
	if after := filesOf(t, disk); !maps.Equal(before, after) {
		return errors.New("it has changed the directory")
	}
	if err != nil {
		if !h.names(err.Error()) {
			return fmt.Errorf("it is not named: %w", err)
		}
		return nil
	}
	told := told(x)
	db, err := openOn(seen)
	if err == nil {
		err = db.Close()
	}
	if x.Whole() != (err == nil) {
		return fmt.Errorf("it says\n%s, but a start: %w", told, err)
	}
	if !h.names(told) {
		return fmt.Errorf("it does not tell of it:\n%s", told)
	}
	return nil
}

// told is what an examination has to say of damage.
func told(x *repair.Examination) string {
	var b strings.Builder
	if x.Manifest != nil {
		fmt.Fprintln(&b, x.Manifest)
	}
	if x.Unreadable != nil {
		fmt.Fprintln(&b, x.Unreadable)
	}
	for _, s := range append(slices.Clone(x.Kept), base(x)...) {
		fmt.Fprintln(&b, strings.Join(s.Damage, "\n"))
	}
	for _, s := range x.Segments {
		if s.Damage != "" || s.Torn {
			fmt.Fprintln(&b, s.Path, s.Damage)
		}
	}
	return b.String()
}

func base(x *repair.Examination) []repair.SetState {
	if x.Base == nil {
		return nil
	}
	return []repair.SetState{*x.Base}
}

// verifies does what inspect and verify do.
func verifies(t *testing.T, l *life, h hurt) error {
	seen, disk := h.on(t, l)
	before := filesOf(t, disk)
	ctx := context.Background()
	src := backup.DataDir("dir", seen)
	c, err := backup.List(ctx, src)
	if err != nil {
		if !h.names(err.Error()) {
			return fmt.Errorf("it is not named: %w", err)
		}
		return nil
	}
	said := ""
	if c.Unreadable != nil {
		said = c.Unreadable.Error()
	}
	states, err := backup.Verify(ctx, src, append(slices.Clone(c.Checkpoints), c.Segments...), backup.VerifyOptions{})
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Damage != "" {
			said += fmt.Sprintf("\n%s/%s: %s", manifest.SetDir(s.Set), s.Part, s.Damage)
		}
	}
	for _, s := range c.Segments { // a torn tail is not a part of what is there
		if p := s.Parts[0]; len(h.data) > 0 && p.Bytes < int64(len(h.data)) {
			said += "\nlog/" + p.Part.Name
		}
	}
	if after := filesOf(t, disk); !maps.Equal(before, after) {
		return errors.New("it has changed the directory")
	}
	if !h.names(said) {
		return fmt.Errorf("it does not tell of it:\n%s", said)
	}
	return nil
}

// restores restores the latest state into an empty directory.
func restores(t *testing.T, l *life, h hurt) error {
	seen, disk := h.on(t, l)
	before := filesOf(t, disk)
	ctx := context.Background()
	src := backup.DataDir("dir", seen)
	c, err := backup.List(ctx, src)
	var p *backup.Point
	if err == nil {
		p, err = c.Plan(backup.At{})
	}
	target := memfs.New()
	if err == nil {
		_, err = backup.Restore(ctx, target, src, p, backup.Options{Attempts: 1, Now: time.Now})
	}
	if after := filesOf(t, disk); !maps.Equal(before, after) {
		return errors.New("it has changed the directory")
	}
	if err != nil {
		if !h.names(err.Error()) {
			return fmt.Errorf("it is not named: %w", err)
		}
		return nil
	}
	if c.Unreadable != nil && h.names(c.Unreadable.Error()) {
		return nil // who restores asks the catalog first
	}
	db, err := openOn(target)
	if err != nil {
		return fmt.Errorf("what was restored does not start: %w", err)
	}
	defer db.Close()
	torn := false // of the last segment, whole blocks count, as for a start
	for _, s := range p.Segments {
		torn = torn || h.file == "log/"+s.Parts[0].Part.Name && s.Parts[0].Bytes < int64(len(h.data))
	}
	if got := stateOf(db); got != l.state && !torn {
		return fmt.Errorf("it restores and says nothing, with\n%s", got)
	}
	return nil
}
