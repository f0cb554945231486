package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// smallListener gives connections buffers that a client which does not read fills soon.
type smallListener struct{ net.Listener }

func (l smallListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10)
	}
	return c, err
}

// wants is a client that has asked for an RDB file with this command.
func wants(t *testing.T, addr, command string, options ...string) *client {
	t.Helper()
	c := dial(t, addr)
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	for _, o := range append(options, "rdb-only 1") {
		if got := c.ask("REPLCONF " + o); got != `"OK"` {
			t.Fatalf("REPLCONF %s: %s", o, got)
		}
	}
	if _, err := io.WriteString(c, command+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// set is SET of a value that may be large.
func (c *client) set(key, value string) {
	c.t.Helper()
	if _, err := c.Write(resp.AppendCommand(nil, []byte("SET"), []byte(key), []byte(value))); err != nil {
		c.t.Fatal(err)
	}
	if got := c.line(); got != "+OK" {
		c.t.Fatal(got)
	}
}

// line reads a line of a reply.
func (c *client) line() string {
	c.t.Helper()
	l, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(l, "\r\n")
}

// file reads the RDB file behind what announces it, to the end of the connection.
func (c *client) file() string {
	c.t.Helper()
	head := c.line()
	if mark, ok := strings.CutPrefix(head, "$EOF:"); ok {
		body, marked := strings.CutSuffix(c.rest(), mark)
		if len(mark) != 40 || !marked {
			c.t.Fatalf("%q, and %d bytes without a mark", head, len(body))
		}
		return body
	}
	n, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
	if err != nil {
		c.t.Fatalf("no file: %q", head)
	}
	body := c.rest()
	if len(body) != n {
		c.t.Fatalf("%q, and %d bytes", head, len(body))
	}
	return body
}

// loaded is an engine that holds what a file has.
func loaded(t *testing.T, file string) *core.Session {
	t.Helper()
	db, err := core.Open(core.Options{FS: memfs.New(), Shards: 3, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Import(context.Background(), strings.NewReader(file), "the file", apply.ImportOptions{}); err != nil {
		t.Fatalf("a file of %d bytes: %v", len(file), err)
	}
	return db.Session()
}

const library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"

// TestRDBStream: who says that it wants an RDB file only gets one, in the form that
// it understands, and of what it asks for. Others are refused.
func TestRDBStream(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	c := dial(t, addr)
	c.ask("SET a 1")
	c.ask("HSET h f v")
	if got := c.ask(`FUNCTION LOAD "` + strings.ReplaceAll(library, "\n", `\n`) + `"`); got != `"lib"` {
		t.Fatal(got)
	}
	for _, refused := range []string{"SYNC", "PSYNC ? -1"} {
		if got := c.ask(refused); !strings.Contains(got, "is not supported: this server has no replicas and is none.") {
			t.Errorf("%s: %s", refused, got)
		}
	}
	if got := c.ask("ACL CAT dangerous") + c.ask("ACL CAT admin"); strings.Count(got, `"sync"`) != 2 || strings.Count(got, `"psync"`) != 2 {
		t.Errorf("not for administrators only: %s", got)
	}
	for _, tt := range []struct {
		command string
		options []string
		keys    int
		libs    int
	}{
		{"SYNC", nil, 2, 1},
		{"SYNC", []string{"capa eof"}, 2, 1},
		{"PSYNC ? -1", []string{"capa eof"}, 2, 1},
		{"SYNC", []string{"capa eof", "rdb-filter-only functions"}, 0, 1},
		{"SYNC", []string{`rdb-filter-only ""`}, 0, 0},
	} {
		c := wants(t, addr, tt.command, tt.options...)
		if strings.HasPrefix(tt.command, "PSYNC") {
			if id, ok := strings.CutPrefix(c.line(), "+FULLRESYNC "); !ok || len(id) != 40+len(" 0") {
				t.Errorf("PSYNC: %q", id)
			}
		}
		s := loaded(t, c.file())
		if v, err := s.Do("DBSIZE"); err != nil || v.Int != int64(tt.keys) {
			t.Errorf("%s with %q: %v keys, %v", tt.command, tt.options, v, err)
		}
		if v, err := s.Do("FUNCTION", "LIST"); err != nil || len(v.Elems) != tt.libs {
			t.Errorf("%s with %q: libraries %v, %v", tt.command, tt.options, v, err)
		}
	}
	if got := c.ask("REPLCONF rdb-filter-only nosuch"); !strings.Contains(got, "Unsupported rdb-filter-only option: nosuch") {
		t.Error(got)
	}
}

// TestRDBStreamIsOneMoment: several clients at once, while transactions change keys of
// every shard and checkpoints are taken, get files of one moment each.
func TestRDBStreamIsOneMoment(t *testing.T) {
	var db *core.DB
	s, addr := serve(t, Options{}, func(o *core.Options) { o.Shards = 4 }, nil)
	db = s.db
	const keys = 40
	set := func(c *core.Session, n int) error {
		args := []string{"MSET"}
		for k := range keys {
			args = append(args, fmt.Sprint("key:", k), fmt.Sprint(n))
		}
		_, err := c.Do(args...)
		return err
	}
	if err := set(db.Session(), 0); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	others.Go(func() {
		c := db.Session()
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := set(c, n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := db.Save(context.Background()); err != nil {
				t.Errorf("a checkpoint: %v", err)
				return
			}
		}
	})
	for range 3 {
		a, b := wants(t, addr, "SYNC"), wants(t, addr, "SYNC", "capa eof")
		for _, c := range []*client{a, b} {
			l := loaded(t, c.file())
			first, err := l.Do("GET", "key:0")
			if err != nil {
				t.Fatal(err)
			}
			for k := range keys {
				if v, err := l.Do("GET", fmt.Sprint("key:", k)); err != nil || !bytes.Equal(v.Str, first.Str) {
					t.Fatalf("key:%d is %s, %v, where key:0 is %s", k, v.Str, err, first.Str)
				}
			}
		}
	}
}

// TestRDBStreamUnread: a client that does not read its file keeps no checkpoint waiting,
// nor another client; it is closed when its time is over. There is a bound to how many
// files there are.
func TestRDBStreamUnread(t *testing.T) {
	disk := memfs.New()
	s, addr := serve(t, Options{}, func(o *core.Options) { o.FS = disk }, func(l net.Listener) net.Listener { return smallListener{l} })
	c := dial(t, addr)
	value := strings.Repeat("0123456789abcdef", 1<<16)
	for k := range 8 {
		c.set(fmt.Sprint("key:", k), value)
	}
	stuck := wants(t, addr, "SYNC")
	stuck.line() // it is under way, and fills what buffers there are
	if err := s.db.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := c.ask("CLIENT LIST TYPE replica"); strings.Count(got, "id=") != 1 {
		t.Errorf("who takes a file: %s", got)
	}
	if got := len(loadedKeys(t, wants(t, addr, "SYNC").file())); got != 8 {
		t.Errorf("%d keys beside a client that does not read", got)
	}
	other := wants(t, addr, "SYNC")
	other.line()
	if got := wants(t, addr, "SYNC").line(); !strings.HasPrefix(got, "-ERR 2 snapshots are being read") {
		t.Errorf("a third file: %q", got)
	}
	if infos, err := disk.Open("."); err != nil {
		t.Fatal(err)
	} else if names, err := infos.Readdirnames(-1); err != nil || strings.Contains(strings.Join(names, " "), "snapshot-") {
		t.Errorf("the files have names: %q, %v", names, err)
	}
	_ = stuck.Close()
	_ = other.Close()
	c.ask("CONFIG SET repl-timeout 1")
	for {
		late := wants(t, addr, "SYNC")
		if head := late.line(); strings.HasPrefix(head, "-ERR 2 snapshots") {
			continue // the server has not seen yet that those are gone
		}
		for strings.Count(c.ask("CLIENT LIST TYPE replica"), "id=") > 0 {
			continue // until it is closed, of which nothing comes while nothing is read
		}
		if n := len(late.rest()); n >= 8<<20 {
			t.Errorf("a client that read nothing had %d bytes", n)
		}
		return
	}
}

// TestRDBStreamAgain: who has seen the end of a file may ask for another one, while another
// client takes the only other file that there may be.
func TestRDBStreamAgain(t *testing.T) {
	_, addr := serve(t, Options{}, nil, func(l net.Listener) net.Listener { return smallListener{l} })
	c := dial(t, addr)
	c.set("large", strings.Repeat("0123456789abcdef", 1<<19))
	unread := wants(t, addr, "SYNC")
	unread.line() // it is under way, and stays so to the end of the test
	c.ask("DEL large")
	for range testutil.Rounds(400) {
		wants(t, addr, "SYNC").file()
	}
}

func loadedKeys(t *testing.T, file string) []string {
	t.Helper()
	v, err := loaded(t, file).Do("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, e := range v.Elems {
		keys = append(keys, string(e.Str))
	}
	return keys
}

// TestRDBStreamDiskFull: where there is no room for the file the client is told so, and
// nothing is left.
func TestRDBStreamDiskFull(t *testing.T) {
	var disk *faultfs.FS
	_, addr := serve(t, Options{}, func(o *core.Options) {
		disk = faultfs.New(memfs.New(), func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite && strings.Contains(op.Path, "snapshot-") {
				return syscall.ENOSPC
			}
			return nil
		})
		o.FS = disk
	}, nil)
	dial(t, addr).ask("SET a 1")
	for range maxTries {
		if got := wants(t, addr, "SYNC", "capa eof").line(); !strings.HasPrefix(got, "-ERR snapshot for a client: ") || !strings.Contains(got, syscall.ENOSPC.Error()) {
			t.Fatal(got)
		}
	}
	if _, err := disk.Stat("snapshot-1.tmp"); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
	if got := dial(t, addr).ask("GET a"); got != `"1"` {
		t.Error(got)
	}
}

const maxTries = 5 // more than there may be files

// TestRDBStreamEnd: the end of the server does not wait for a client that does not read.
func TestRDBStreamEnd(t *testing.T) {
	_, addr := serve(t, Options{}, nil, func(l net.Listener) net.Listener { return smallListener{l} })
	c := dial(t, addr)
	for k := range 8 {
		c.set(fmt.Sprint("key:", k), strings.Repeat("0123456789abcdef", 1<<16))
	}
	c.ask("CONFIG SET repl-timeout 1")
	wants(t, addr, "SYNC").line()
}
