package wal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// The lock-in check: a real redis-server loads a segment as it is.
func TestRealRedisLoadsASegment(t *testing.T) {
	dir := t.TempDir()
	fs, err := osfs.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := openNew(t, fs, 3, Always, realClock{})
	for i := range 100 {
		l.Append(i%3, i%4, words(fmt.Sprintf("SET key:%d %d", i, i)))
		if i%7 == 0 {
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.AppendTx([]int{0, 2}, []Cmd{cmd(5, "RPUSH list a b c"), cmd(0, "HSET hash f v"), cmd(5, "SADD set x y")})
	l.Append(1, 0, [][]byte{[]byte("SET"), []byte("#bin\r\n"), []byte("#B seq=1\r\n\x00")})
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	l.Append(0, 9, words("SET last 1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	aof := filepath.Join(dir, "appendonlydir")
	if err := os.Mkdir(aof, 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, seg1))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"appendonly.aof.1.incr.aof": data,
		"appendonly.aof.manifest":   []byte("file appendonly.aof.1.incr.aof seq 1 type i\n"),
	} {
		if err := os.WriteFile(filepath.Join(aof, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("redis-check-aof", filepath.Join(aof, "appendonly.aof.manifest")).CombinedOutput(); err != nil {
		t.Fatalf("redis-check-aof: %v\n%s", err, out)
	}

	c := testutil.Redis(t, "--dir", dir, "--appendonly", "yes")()
	r := bufio.NewReader(c)
	ask := func(s string) string {
		t.Helper()
		if _, err := c.Write(resp.AppendCommand(nil, words(s)...)); err != nil {
			t.Fatal(err)
		}
		v, err := resp.ReadReply(r)
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	for _, q := range [][2]string{
		{"DBSIZE", "27"}, {"GET key:96", `"96"`}, {"HGETALL hash", `["f" "v"]`},
		{"SELECT 3", `"OK"`}, {"GET key:99", `"99"`}, {"DBSIZE", "25"},
		{"SELECT 5", `"OK"`}, {"LRANGE list 0 -1", `["a" "b" "c"]`}, {"SCARD set", "2"},
		{"SELECT 9", `"OK"`}, {"GET last", `"1"`},
	} {
		if got := ask(q[0]); got != q[1] {
			t.Errorf("%s: got %s want %s", q[0], got, q[1])
		}
	}
}
