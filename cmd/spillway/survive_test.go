package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
)

// asker is one connection on which commands are asked.
func asker(t *testing.T, network, addr string) func(args ...string) (resp.Value, error) {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	return func(args ...string) (resp.Value, error) {
		words := make([][]byte, len(args))
		for i, a := range args {
			words[i] = []byte(a)
		}
		if _, err := conn.Write(resp.AppendCommand(nil, words...)); err != nil {
			return resp.Value{}, err
		}
		return resp.ReadReply(in)
	}
}

// everythingAt is all that a server holds.
func everythingAt(t *testing.T, network, addr string) string {
	t.Helper()
	text, err := coretest.Contents(time.Now().UnixMilli(), asker(t, network, addr))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// populateWith has a server make specimens.
func populateWith(t *testing.T, addr string, specimens []coretest.Specimen) {
	t.Helper()
	ask := asker(t, "tcp", addr)
	for _, s := range specimens {
		for _, args := range append([][]string{{"SELECT", strconv.Itoa(s.DB)}}, s.Make...) {
			if v, err := ask(args...); err != nil || v.Err() != nil {
				t.Fatalf("%s: %.60q: %v, %v", s.Name, args, v, err)
			}
		}
	}
}

// activeAt is when a consumer was last given entries, which Redis 7.0 does not know, and
// seenAt when it was seen, for which its log has no command.
var (
	activeAt = regexp.MustCompile(`( consumer "[^"]*"@\d+),-?\d+`)
	seenAt   = regexp.MustCompile(`( consumer "[^"]*")@\d+`)
)

// TestEverythingSurvives has a daemon hold one of all that it can, and users, and takes
// them through its death behind each kind of checkpoint, a restore from the mirror, an
// export in each format to a real redis-server, and back from that while it runs.
func TestEverythingSurvives(t *testing.T) {
	t.Parallel()
	dir, mirror := t.TempDir(), t.TempDir()
	users := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(users, []byte("user default on nopass ~* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var d *daemon
	start := func(dir string) {
		t.Helper()
		d = startConfig(t, mirrored(dir, mirror, `stage "zstd" {}`, true), "--save", "", "--appendfsync", "always", "--enable-debug-command", "yes", "--aclfile", users)
	}
	start(dir)
	d.do("ACL", "SETUSER", "app", "on", ">secret", "~app:*", "%R~shared:*", "&events", "+@all", "-@dangerous", "(+get ~other:*)")
	d.do("ACL", "SAVE")
	populateWith(t, d.addr, coretest.Specimens())
	want, list := everythingAt(t, "tcp", d.addr), fmt.Sprint(d.do("ACL", "LIST"))
	same := func(how string) {
		t.Helper()
		if diff := coretest.ContentsDiff(everythingAt(t, "tcp", d.addr), want); diff != "" {
			t.Errorf("after %s, + is there, - is missing:\n%s", how, diff)
		}
		if got := fmt.Sprint(d.do("ACL", "LIST")); got != list {
			t.Errorf("after %s the users are\n%s\nwant\n%s", how, got, list)
		}
	}
	again := func(how string) {
		t.Helper()
		d.kill()
		start(dir)
		same(how)
	}
	again("replaying the log")
	d.do("SAVE")
	again("loading the snapshot")
	d.do("BGREWRITEAOF")
	d.waitFor("the rewrite", func() bool { return d.info("aof_rewrite_in_progress") == "0" && d.info("aof_rewrites") == "1" })
	again("loading the rewrite")
	d.stop()
	dir = filepath.Join(t.TempDir(), "restored")
	mustRun(t, "restore", "--from", mirror, "--to", dir, "--quiet")
	start(dir)
	same("a restore from the mirror")
	d.waitFor("the first checkpoint after a restore", func() bool { return d.info("rdb_bgsave_in_progress") == "0" })

	// To Redis and back goes what that knows.
	for _, s := range coretest.Specimens() {
		if s.Newer {
			d.do("DEL", s.Key)
		}
	}
	d.do("SAVE")
	want = everythingAt(t, "tcp", d.addr)
	d.stop()
	for _, format := range []string{"rdb", "aof"} {
		at, port := t.TempDir(), freePort(t)
		flags := []string{"--port", port, "--enable-debug-command", "yes"}
		file := filepath.Join(at, "dump.rdb")
		without := func(text string) string { return activeAt.ReplaceAllString(text, "$1") }
		if format == "aof" {
			file, flags = filepath.Join(at, "appendonly.aof"), append(flags, "--appendonly", "yes")
			without = func(text string) string { return seenAt.ReplaceAllString(activeAt.ReplaceAllString(text, "$1"), "$1") }
		}
		mustRun(t, "export", "--dir", dir, "--format", format, "--to", file)
		socket, _ := redisServer(t, at, flags...)
		if diff := coretest.ContentsDiff(without(everythingAt(t, "unix", socket)), without(want)); diff != "" {
			t.Errorf("a redis-server with the export as %s, + is there, - is missing:\n%s", format, diff)
		}
		back := t.TempDir()
		mustRun(t, "import", "--from", "redis://127.0.0.1:"+port, "--to", back, "--quiet")
		from := startDaemon(t, back, "--save", "", "--enable-debug-command", "yes")
		if diff := coretest.ContentsDiff(without(everythingAt(t, "tcp", from.addr)), without(want)); diff != "" {
			t.Errorf("back from a redis-server with the %s, + is there, - is missing:\n%s", format, diff)
		}
		if !strings.Contains(want, "library ") {
			t.Error("there are no libraries")
		}
	}
}
