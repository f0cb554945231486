package core_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// commands is what an append-only file has.
func commands(lines ...string) string {
	var b []byte
	for _, l := range lines {
		var args [][]byte
		for _, w := range strings.Fields(l) {
			args = append(args, []byte(w))
		}
		b = resp.AppendCommand(b, args...)
	}
	return string(b)
}

func importing(o *core.Options) { o.NoLog, o.ManualTick = true, true }

func TestImportCommands(t *testing.T) {
	const tx = "MULTI\nINCR n\nSELECT 1\nSET other x\nSELECT 0\nEXEC"
	whole := commands("SET a 1", "RPUSH l x y", "PEXPIREAT a 99999999999999") + "#TS:1700000000\r\n" + commands(strings.Split(tx, "\n")...)
	for name, c := range map[string]struct {
		in      string
		want    string // GET a, LLEN l, GET n
		cutAt   int
		refused string
	}{
		"whole":               {whole, `"1" 2 "1"`, -1, ""},
		"reads are ignored":   {whole + commands("GET a", "PING"), `"1" 2 "1"`, -1, ""},
		"cut in a command":    {whole + "*2\r\n$3\r\nDEL\r\n$1\r\n", `"1" 2 "1"`, len(whole), ""},
		"cut in a length":     {whole + "*2\r\n$3", `"1" 2 "1"`, len(whole), ""},
		"cut in a tx":         {whole + commands("MULTI", "SET a 2", "DEL l"), `"1" 2 "1"`, len(whole), ""},
		"cut inside one":      {whole + commands("MULTI", "SET a 2") + "*3\r\n$3\r\nSE", `"1" 2 "1"`, len(whole), ""},
		"unknown command":     {whole + commands("JSON.SET s $ 1"), "", -1, `unsupported command "JSON.SET" on key "s"`},
		"wrong type":          {whole + commands("SADD l m"), "", -1, "WRONGTYPE"},
		"no such database":    {whole + commands("SELECT 99", "SET a 1"), "", -1, "16 databases"},
		"not RESP":            {whole + "*x\r\n", "", -1, "Protocol error"},
		"too few arguments":   {whole + commands("SET a"), "", -1, "wrong number"},
		"nothing":             {"", `(nil) 0 (nil)`, -1, ""},
		"rdb, then commands":  {rdbFile(t) + whole, `"1" 2 "1"`, -1, ""},
		"rdb, then a cut one": {rdbFile(t) + whole + "*2", `"1" 2 "1"`, len(whole), ""},
	} {
		for _, slow := range []bool{false, true} {
			h := coretest.New(t, importing)
			var r io.Reader = strings.NewReader(c.in)
			if slow {
				r = &dribble{r}
			}
			got, err := h.DB.Import(context.Background(), r, "the file", apply.ImportOptions{Truncated: true})
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "the file") || strings.Contains(err.Error(), "repair") {
					t.Errorf("%s: %v, want %q", name, err, c.refused)
				}
				continue
			}
			if err != nil || got.CutAt != int64(c.cutAt) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if state := h.Do("GET", "a") + " " + h.Do("LLEN", "l") + " " + h.Do("GET", "n"); state != c.want {
				t.Errorf("%s: %s, want %s", name, state, c.want)
			}
			if c.cutAt >= 0 {
				h = coretest.New(t, importing)
				if _, err := h.DB.Import(context.Background(), strings.NewReader(c.in), "x", apply.ImportOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s, in the middle of a log: %v", name, err)
				}
			}
		}
	}
}

// dribble gives a byte or three at a time.
type dribble struct{ r io.Reader }

func (d *dribble) Read(b []byte) (int, error) { return d.r.Read(b[:min(len(b), 3)]) }

func rdbFile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := rdb.NewWriter(&b)
	w.Header(nil)
	w.SelectDB(0)
	w.String([]byte("from rdb"), []byte("1"))
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestImportSkips: what is let go is told, the rest is there.
func TestImportSkips(t *testing.T) {
	h := coretest.New(t, importing)
	var told []string
	in := commands("SET a 1", "JSON.SET s $ 1", "MULTI", "JSON.SET s $ 1", "SET b 2", "EXEC", "FLUSHSTREAMS")
	got, err := h.DB.Import(context.Background(), strings.NewReader(in), "f", apply.ImportOptions{Skip: func(what error) error {
		told = append(told, what.Error())
		return nil
	}})
	if err != nil || got.Commands != 2 || len(told) != 3 || h.Do("MGET", "a", "b") != `["1" "2"]` {
		t.Errorf("%+v, %v, told %q", got, err, told)
	}
}

// TestMarkedDirectory: no engine starts where a restore did not come to its end.
func TestMarkedDirectory(t *testing.T) {
	h := coretest.New(t)
	h.Do("SET", "k", "v")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := manifest.Mark(h.FS, manifest.Restoring{Command: "spillway restore --to here", What: "the restore of something"}); err != nil {
		t.Fatal(err)
	}
	var unfinished *manifest.UnfinishedError
	for range 2 { // the lock is free again
		if err := h.TryOpen(); !errors.As(err, &unfinished) || !strings.Contains(err.Error(), "`spillway restore --to here`") {
			t.Fatal(err)
		}
	}
	if _, err := repair.Examine(context.Background(), h.FS); !errors.As(err, &unfinished) {
		t.Errorf("Examine: %v", err)
	}
	if err := manifest.Unmark(h.FS.CrashClone(memfs.LoseAll)); err != nil {
		t.Fatal(err)
	}
	if err := manifest.Unmark(h.FS); err != nil {
		t.Fatal(err)
	}
	h.Open()
	if got := h.Do("GET", "k"); got != `"v"` {
		t.Error(got)
	}
}
