package command

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// redisServer starts a real redis-server and returns a connection to it.
func redisServer(t *testing.T) net.Conn { return redisDialer(t)() }

// redisDialer starts a real redis-server and returns what connects to it.
func redisDialer(t *testing.T) (dial func() net.Conn) {
	t.Helper()
	return testutil.Redis(t, "--enable-debug-command", "yes")
}

// asker returns what sends a command over a connection to a redis-server and returns
// the reply.
func asker(t *testing.T, conn net.Conn) func(line ...string) resp.Value {
	r := bufio.NewReader(conn)
	return func(line ...string) resp.Value {
		t.Helper()
		args := make([][]byte, len(line))
		for i := range line {
			args[i] = []byte(line[i])
		}
		if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
			t.Fatal(err)
		}
		v, err := resp.ReadReply(r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// redisEvents tells what a redis-server notifies of what happens to its keys.
type redisEvents struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// eventsMark ends the events of a command.
const eventsMark = "spillway:mark"

// listenToRedis has the server tell of all events, and of those of the classes in more,
// which "A" of notify-keyspace-events does not stand for.
func listenToRedis(t *testing.T, conn net.Conn, more string) *redisEvents {
	e := &redisEvents{t: t, conn: conn, in: bufio.NewReader(conn)}
	for _, line := range []string{"CONFIG SET notify-keyspace-events KEA" + more, "PSUBSCRIBE __keyevent@*__:* " + eventsMark} {
		args, _ := resp.SplitArgs([]byte(line), nil)
		if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // OK, and a line for each pattern
		e.next()
	}
	return e
}

func (e *redisEvents) next() resp.Value {
	e.t.Helper()
	v, err := resp.ReadReply(e.in)
	if err != nil || v.Err() != nil {
		e.t.Fatal(v.Err(), err)
	}
	return v
}

// since returns what was notified up to a mark that has been published.
func (e *redisEvents) since() (out []string) {
	e.t.Helper()
	for {
		v := e.next() // pmessage, pattern, channel, message
		channel := string(v.Elems[2].Str)
		if channel == eventsMark {
			return out
		}
		db, event, _ := strings.Cut(strings.TrimPrefix(channel, "__keyevent@"), "__:")
		out = append(out, fmt.Sprintf("%s %q db%s", event, v.Elems[3].Str, db))
	}
}

// sameEvents compares what was notified. Redis looks for the stream of an XREAD twice, and
// each time tells who wants to know that it is not there.
func sameEvents(ours, redis []string) bool {
	missed := func(a, b string) bool { return a == b && strings.HasPrefix(a, "keymiss ") }
	return slices.Equal(slices.CompactFunc(slices.Clone(ours), missed), slices.CompactFunc(slices.Clone(redis), missed))
}

// TestAgainstRedis runs the files of testdata in a real redis-server as well:
// every reply must be the same, to the letter, and so must what is notified of what
// happens to keys. What depends on the clock or on
// how keys are laid out is marked "ours" there, or stands behind a "time".
func TestAgainstRedis(t *testing.T) {
	dial := redisDialer(t)
	conn, events := dial(), listenToRedis(t, dial(), "nm")
	r := bufio.NewReader(conn)
	ask := func(t *testing.T, args ...[]byte) resp.Value {
		t.Helper()
		if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
			t.Fatal(err)
		}
		v, err := resp.ReadReply(r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if fuzzCorpus(path) {
			return
		}
		for _, c := range []string{"FLUSHALL", "SELECT 0", "HELLO 2"} {
			args, _ := resp.SplitArgs([]byte(c), nil)
			if v := ask(t, args...); v.Err() != nil {
				t.Fatal(v.Err())
			}
		}
		x := newTester(t, 4)
		x.tell(ClassNew | ClassMissed)
		x.now = time.Now().UnixMilli()
		proto, clocked, later := 2, false, false
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			x.t = t
			clocked = clocked || d.Cmd == "time"
			if d.Cmd == "since" && laterThan(d.CmdArgs[0].Key, redisVersion(ask(t, []byte("INFO"), []byte("server")))) {
				later = true
				t.Logf("redis-server is older than %s: what follows is not compared", d.CmdArgs[0].Key)
			}
			if clocked || later || d.Cmd != "run" {
				return d.Expected
			}
			want := 2
			if d.HasArg("proto") {
				d.ScanArgs(t, "proto", &want)
			}
			if want != proto {
				proto = want
				ask(t, []byte("HELLO"), []byte{byte('0' + proto)})
			}
			x.out.Proto = proto
			for _, line := range commandLines(d.Input) {
				args, ok := resp.SplitArgs([]byte(line), nil)
				if !ok {
					d.Fatalf(t, "bad command line %q", line)
				}
				ours := x.exec(args)
				if d.HasArg("ours") {
					continue
				}
				theirs := ask(t, args...)
				ask(t, []byte("PUBLISH"), []byte(eventsMark), nil)
				if told := events.since(); !sameEvents(x.events, told) {
					t.Errorf("%s: %s\n  our events    %q\n  redis's events %q", d.Pos, line, x.events, told)
				}
				if d.HasArg("sort") {
					ours, theirs = sortedReply(args, ours), sortedReply(args, theirs)
				}
				if ours.String() != theirs.String() || ours.Kind != theirs.Kind {
					t.Errorf("%s: %s\n  ours  %c %s\n  redis %c %s", d.Pos, line, ours.Kind, ours, theirs.Kind, theirs)
				}
			}
			return d.Expected
		})
	})
}

// redisVersion is the version in the reply of INFO.
func redisVersion(info resp.Value) string {
	_, v, _ := strings.Cut(string(info.Str), "redis_version:")
	v, _, _ = strings.Cut(v, "\r\n")
	return v
}
