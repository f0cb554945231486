package main

import (
	"bufio"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
)

// pushed is several clients of one server, and what each of them has got.
type pushed struct {
	t      *testing.T
	socket string
	conns  map[string]net.Conn
	in     map[string]*bufio.Reader
	id     map[string]string
	multi  map[string]bool
	steps  int
	asked  string
	got    []string
}

// bothServers starts a redis-server and the daemon, and returns their sockets.
func bothServers(t *testing.T) (theirs, ours string) {
	theirs, _ = redisServer(t, t.TempDir())
	ours = filepath.Join(t.TempDir(), "s.sock")
	startDaemon(t, t.TempDir(), "--unixsocket", ours, "--save", "")
	return theirs, ours
}

func newPushed(t *testing.T, socket string) *pushed {
	return &pushed{t: t, socket: socket, conns: map[string]net.Conn{}, in: map[string]*bufio.Reader{}, id: map[string]string{}, multi: map[string]bool{}}
}

// connect makes a client that has a name, if there is none.
func (p *pushed) connect(name string) {
	p.t.Helper()
	if p.conns[name] != nil {
		return
	}
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	p.conns[name], p.in[name] = c, bufio.NewReader(c)
	p.write(name, "CLIENT ID")
	p.id[name] = p.read(name).Text()
}

func (p *pushed) write(name, line string) {
	p.t.Helper()
	for other, id := range p.id {
		line = strings.ReplaceAll(line, "{"+other+"}", id)
	}
	if _, err := p.conns[name].Write([]byte(line + "\r\n")); err != nil {
		p.t.Fatalf("%s: %s: %v", name, line, err)
	}
}

func (p *pushed) read(name string) resp.Value {
	p.t.Helper()
	v, err := resp.ReadReply(p.in[name])
	if err != nil {
		p.t.Fatalf("reading what %s gets: %v\n%s", name, err, strings.Join(p.got, "\n"))
	}
	return v
}

var (
	monitorLine = regexp.MustCompile(`\d+\.\d{6} \[(\d+) [^\]]*\]`)
	libraries   = regexp.MustCompile(` lib-name=\S* lib-ver=\S*`)
	clientIDs   = regexp.MustCompile(`\b(id|fd|age|idle|addr|laddr|qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|obl|oll|omem|tot-mem|events)=\S*`)
)

// note keeps what a client got, without what differs from server to server.
func (p *pushed) note(name string, v resp.Value) {
	text := monitorLine.ReplaceAllString(kinds(v), "T [$1]")
	text = clientIDs.ReplaceAllString(text, "$1=")
	text = libraries.ReplaceAllString(text, "")
	for other, id := range p.id {
		text = regexp.MustCompile(`(\$(?:id|redirect|tracking-redir-broken) :|redir=)`+id+`\b`).ReplaceAllString(text, "${1}{"+other+"}")
	}
	if p.asked == "CLIENT GETREDIR" {
		for other, id := range p.id {
			text = regexp.MustCompile(`^:`+id+`$`).ReplaceAllString(text, ":{"+other+"}")
		}
	}
	p.got = append(p.got, fmt.Sprintf("%4d %s < %s", p.steps, name, text))
}

// kinds is a reply with the kinds of its parts.
func kinds(v resp.Value) string {
	if v.Elems == nil {
		return string(v.Kind) + v.Text()
	}
	parts := make([]string, len(v.Elems))
	for i, e := range v.Elems {
		parts[i] = kinds(e)
	}
	return string(v.Kind) + "[" + strings.Join(parts, " ") + "]"
}

// step has a client send a line, and takes what every client gets of it: a PING of
// each, behind the reply, ends it. A client within MULTI is left alone.
func (p *pushed) step(name, line string) {
	p.t.Helper()
	p.connect(name)
	p.steps++
	p.got = append(p.got, fmt.Sprintf("%4d %s > %s", p.steps, name, line))
	p.asked = line
	p.write(name, line)
	verb := strings.ToUpper(strings.Fields(line)[0])
	if verb == "EXEC" || verb == "DISCARD" || verb == "RESET" {
		p.multi[name] = false
	}
	switch {
	case verb == "MULTI" || p.multi[name]:
		v := p.read(name)
		for v.Kind == resp.KindPush {
			p.note(name, v)
			v = p.read(name)
		}
		p.note(name, v)
		if verb == "MULTI" && v.Kind == resp.KindSimple {
			p.multi[name] = true
		}
	case verb == "QUIT":
		p.note(name, p.read(name))
		_ = p.conns[name].Close()
		delete(p.conns, name)
		return
	default:
		p.drain(name)
	}
	// Its own once more: what follows on the replies of a batch may have followed
	// on that of the PING.
	for _, other := range append(p.names(), name) {
		if !p.multi[other] {
			p.drain(other)
		}
	}
}

func (p *pushed) names() []string {
	var names []string
	for name := range p.conns {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// drain takes what a client has got up to the reply to a PING.
func (p *pushed) drain(name string) {
	p.t.Helper()
	mark := fmt.Sprintf("mark%d%s", p.steps, name)
	p.write(name, "PING "+mark)
	for {
		v := p.read(name)
		end := len(v.Elems) == 0 && v.Text() == mark || len(v.Elems) == 2 && v.Elems[0].Text() == "pong" && v.Elems[1].Text() == mark
		if end {
			return
		}
		if !strings.Contains(v.Text(), `"PING" "mark`) { // which MONITOR shows
			p.note(name, v)
		}
	}
}

// pushedBoth runs the same on both servers and compares what all clients got.
func pushedBoth(t *testing.T, redis, ours string, steps [][2]string) {
	t.Helper()
	var got [2][]string
	for i, socket := range []string{redis, ours} {
		p := newPushed(t, socket)
		for _, name := range []string{"a", "b", "c"} {
			p.connect(name)
		}
		p.step("a", "FLUSHALL")
		p.step("a", "CONFIG SET notify-keyspace-events ''")
		p.got = nil
		for _, s := range steps {
			p.step(s[0], s[1])
		}
		got[i] = p.got
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.leave()
	}
	for i := range got {
		got[i] = apart(got[i])
	}
	for i := range max(len(got[0]), len(got[1])) {
		at := func(g []string) string {
			if i < len(g) {
				return g[i]
			}
			return "nothing"
		}
		if want, have := at(got[0]), at(got[1]); want != have {
			t.Fatalf("after\n%s\nredis %s\nours  %s", strings.Join(got[0][max(0, i-60):min(i, len(got[0]))], "\n"), want, have)
		}
	}
}

// apart moves invalidations behind the other messages that a client gets in one
// step: Redis tells of a key first the one or first the other, as the command has
// it.
func apart(got []string) []string {
	invalidates := func(line string) bool {
		return strings.Contains(line, " < >[$invalidate") || strings.Contains(line, "$__redis__:invalidate")
	}
	message := func(line string) bool { return strings.Contains(line, "message $") }
	// Client by client: what one gets is in order, and in the second round too.
	slices.SortStableFunc(got, func(a, b string) int {
		sent := func(line string) string {
			return line[:4] + map[bool]string{true: "1", false: "2"}[line[7] == '>'] + line[5:6]
		}
		return cmp.Compare(sent(a), sent(b))
	})
	for i := range got {
		for j := i; j > 0 && message(got[j]) && !invalidates(got[j]) && invalidates(got[j-1]) && got[j][:8] == got[j-1][:8]; j-- {
			got[j], got[j-1] = got[j-1], got[j]
		}
	}
	return got
}

// leave waits until the server has noticed that all clients of p are gone.
func (p *pushed) leave() {
	p.t.Helper()
	ids := p.id
	p.conns, p.in, p.id = map[string]net.Conn{}, map[string]*bufio.Reader{}, map[string]string{}
	p.connect("last")
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left := ""
		for _, id := range ids {
			p.write("last", "CLIENT LIST ID "+id)
			left += p.read("last").Text()
		}
		if left == "" {
			break
		}
		if time.Now().After(end) {
			p.t.Fatalf("still there: %s", left)
		}
	}
	_ = p.conns["last"].Close()
}

// scripts are what the clients a, b and c do, a line each.
var pushScripts = map[string]string{
	"channels": `
a SUBSCRIBE x y x
a SUBSCRIBE
b PUBLISH x hello
b PUBLISH nobody hello
a GET k
a CLIENT INFO
a CONFIG GET save
a MULTI
a PING
a NOSUCH
a HELLO 3
b PUBSUB CHANNELS y*
b PUBSUB CHANNELS z*
b PUBSUB CHANNELS a b
b PUBSUB NUMSUB x y z
b PUBSUB NUMSUB
b PUBSUB NUMPAT
b PUBSUB NUMPAT x
b PUBSUB NOSUCH
b PUBSUB
a UNSUBSCRIBE y nope
a UNSUBSCRIBE x
a UNSUBSCRIBE x
a UNSUBSCRIBE
a GET k
a CLIENT INFO`,
	"patterns": `
a PSUBSCRIBE n* n*
b PSUBSCRIBE n[a-c]e ?ews
a SUBSCRIBE news
c PUBLISH news one
c PUBLISH nbe two
c PUBSUB NUMPAT
c PUBSUB NUMSUB news
c CLIENT LIST TYPE pubsub
a CLIENT LIST
a PUNSUBSCRIBE
b PUNSUBSCRIBE nope
b PUNSUBSCRIBE
b PUNSUBSCRIBE
a UNSUBSCRIBE
c PUBLISH news three`,
	"shard channels": `
a SSUBSCRIBE x y
a SUBSCRIBE x
a PSUBSCRIBE *
b SPUBLISH x one
b PUBLISH x two
b PUBSUB SHARDCHANNELS x
b PUBSUB SHARDNUMSUB x nope
b PUBSUB SHARDCHANNELS a b
a CLIENT INFO
a SUNSUBSCRIBE x
a SUNSUBSCRIBE
a SUNSUBSCRIBE
a UNSUBSCRIBE
a PUNSUBSCRIBE
a SUNSUBSCRIBE nope
b MULTI
b SSUBSCRIBE x
b SPUBLISH x y
b SUBSCRIBE z
b EXEC
b UNSUBSCRIBE z
b COMMAND GETKEYS SPUBLISH x y
a SUBSCRIBE x
a EXEC`,
	"RESP3": `
a HELLO 3
a SUBSCRIBE x
a PSUBSCRIBE y*
a SSUBSCRIBE z
a GET k
a PING
a PUBLISH x mine
a PUBLISH y mine
a SPUBLISH z mine
a CLIENT INFO
a MULTI
a PUBLISH x one
a SET k v
a PUBLISH x two
b PUBLISH x between
a EXEC
a HELLO 2
a GET k
b PUBLISH x three
a PING hi
a HELLO 3
a RESET
a GET k
b PUBLISH x four
a HELLO 3
a UNSUBSCRIBE
a PUNSUBSCRIBE
a SUNSUBSCRIBE`,
	"inside MULTI": `
a MULTI
a SUBSCRIBE x
a PSUBSCRIBE *
a PUBLISH x self
a UNSUBSCRIBE
a EXEC
b PUBLISH x hello
a GET k
a RESET
a GET k
b MULTI
b PUBLISH x 1
b PUBLISH x 2
b DISCARD
b MULTI
b MONITOR
b EXEC`,
	"notifications": `
a CONFIG SET notify-keyspace-events KEA
a CONFIG GET notify-keyspace-events
a CONFIG SET notify-keyspace-events KEAn
a CONFIG GET notify-keyspace-events
a CONFIG SET notify-keyspace-events gKxEn$mlsdthze
a CONFIG GET notify-keyspace-events
a CONFIG SET notify-keyspace-events ezhtslm$xg
a CONFIG GET notify-keyspace-events
a CONFIG SET notify-keyspace-events KEq
a CONFIG SET notify-keyspace-events Kn
a CONFIG GET notify-keyspace-events
b PSUBSCRIBE *
a SET k v
a CONFIG SET notify-keyspace-events KEAnm
a SET k v
a SET k2 v
a SET k3 v EX 100
a GETSET k4 v
a MSET k v k5 v k6 v
a DEL k k2 k3 nope
a UNLINK k4
a GET nope
a MGET nope k5 nope2
a EXISTS nope
a TTL nope
a TYPE nope
a OBJECT ENCODING nope
a STRLEN nope
a DUMP nope
a INCR n
a APPEND n 1
a APPEND n2 1
a SETRANGE n3 1 x
a LPUSH l a b
a RPUSH l c
a LPOP l
a RPOPLPUSH l l2
a LRANGE nope 0 1
a DEL l l2
a HSET h f v
a HINCRBY h n 1
a HDEL h f n
a HGET nope f
a SADD s a b
a SADD s2 b c
a SINTERSTORE d s s2
a SUNIONSTORE d s s2
a SDIFFSTORE d nope nope
a SREM s a b
a SMOVE s2 s3 b
a ZADD z 1 a 2 b
a ZINCRBY z 1 a
a ZUNIONSTORE z2 1 z
a ZRANGESTORE z3 z 0 -1
a ZPOPMIN z
a RENAME z2 z4
a SET r1 a
a SET r2 b
a RENAME r1 r2
a RENAMENX r2 r1
a COPY r1 r5
a COPY r1 r5 REPLACE
a MOVE r5 3
a EXPIRE r1 100
a PERSIST r1
a EXPIRE r1 -1
a SELECT 3
a SET k v
a FLUSHDB
a SELECT 0
a FLUSHALL
a CONFIG SET notify-keyspace-events E$
a SET k v
a LPUSH l x
a CONFIG SET notify-keyspace-events K
a SET k v
a HELLO 3
a CONFIG SET notify-keyspace-events KEA
a SUBSCRIBE __keyevent@0__:set __keyspace@0__:k
a SET k v
a MULTI
a SET k v
a INCR i
a SET k2 v
a EXEC`,
	"monitor": `
b MONITOR
a SET k "a\x00\xff\n\r\t\a\b\"\\ z"
a SELECT 3
a GET k
a AUTH secret
a AUTH me secret
a HELLO 2 AUTH me secret SETNAME x
a CONFIG GET save
a CLIENT LIST ID {b}
a CLIENT NO-EVICT on
a NOSUCH x
a GET
a MULTI
a SET a 1
a INCR a
a EXEC
a MULTI
a GET
a EXEC
a MULTI
a SET a 1
a DISCARD
a WATCH k
a UNWATCH
a SUBSCRIBE x
a GET k
c PUBLISH x hello
a UNSUBSCRIBE
b MONITOR
b GET k
b SET k v
b CLIENT INFO
b RESET
a GET k
b GET k
b HELLO 3
b MONITOR
b SUBSCRIBE x
b PUBLISH x y`,
	"tracking": `
a HELLO 3
a CLIENT TRACKING on
a CLIENT TRACKINGINFO
a CLIENT GETREDIR
a CLIENT INFO
a MGET k k2 k3
b SET k v
b SET k v
a GET k
b DEL k
a GET k
a SET k mine
a GET k
b EXPIRE k 100
a GET k
b MULTI
b SET k 1
b SET k2 2
b SET k4 2
b EXEC
a GET k
a MULTI
a SET k 1
a GET k2
a SET k2 1
a GET k
a EXEC
b FLUSHDB
a GET k
a FLUSHALL
a CLIENT TRACKING off
a CLIENT GETREDIR
a CLIENT TRACKINGINFO
b SET k v
a CLIENT TRACKING on NOLOOP
a GET k
a SET k v
a GET k
b SET k v
a LRANGE nope 0 -1
b LPUSH nope x
a SCARD s
b SADD s x
a CLIENT TRACKING off`,
	"tracking, broadcast": `
a HELLO 3
a CLIENT TRACKING on BCAST PREFIX u: PREFIX v:
a CLIENT TRACKING on BCAST PREFIX u:x
a CLIENT TRACKING on BCAST PREFIX w: PREFIX w:x
a CLIENT TRACKINGINFO
a CLIENT INFO
b SET u:1 v
b MSET u:2 x v:1 x u:0 x w:1 x u:2 y
a SET u:1 v
b MULTI
b SET u:1 v
b DEL u:1
b INCR v:9
b EXEC
a CLIENT TRACKING on
a CLIENT TRACKING on BCAST OPTIN
a CLIENT TRACKING on BCAST PREFIX z
a CLIENT TRACKINGINFO
b SET z1 v
a CLIENT TRACKING off
b SET u:1 v
a CLIENT TRACKING on BCAST NOLOOP
a SET u:1 v
b SET u:1 v
b FLUSHALL
a CLIENT TRACKING off`,
	"tracking, options": `
a CLIENT TRACKING on OPTIN OPTOUT
a CLIENT TRACKING on PREFIX x
a CLIENT TRACKING on REDIRECT 99999999
a CLIENT TRACKING on REDIRECT x
a CLIENT TRACKING on REDIRECT {b} REDIRECT {b}
a CLIENT TRACKING maybe
a CLIENT TRACKING on NOSUCH
a CLIENT TRACKING
a CLIENT CACHING yes
a CLIENT TRACKING on
a CLIENT CACHING yes
a CLIENT CACHING no
a CLIENT CACHING maybe
a HELLO 3
a CLIENT TRACKING on OPTIN
a CLIENT TRACKING on OPTOUT
a CLIENT CACHING no
a GET k
b SET k v
a CLIENT CACHING yes
a CLIENT TRACKINGINFO
a GET k
b SET k v
a CLIENT CACHING yes
a MULTI
a GET k
a GET k2
a EXEC
b MSET k v k2 v
a GET k
b SET k v
a CLIENT TRACKING off
a CLIENT TRACKING on OPTOUT
a CLIENT CACHING no
a CLIENT TRACKINGINFO
a GET k
b SET k v
a GET k
b SET k v
a CLIENT TRACKING off
a RESET
a CLIENT TRACKINGINFO`,
	"tracking, ended by the transaction that changes a key": `
a HELLO 3
b HELLO 3
a CLIENT TRACKING on
a GET k
a MULTI
a SET k v
a CLIENT TRACKING off
a EXEC
a CLIENT TRACKING on REDIRECT {b}
a GET k
a MULTI
a SET k v
a CLIENT TRACKING off
a EXEC
a CLIENT TRACKING on REDIRECT {b}
a GET k
a MULTI
a SET k v
a CLIENT TRACKING off
a CLIENT TRACKING on
a EXEC
a CLIENT TRACKING on
a GET k
a MULTI
a SET k v
a RESET
a GET k
a SET k v`,
	"tracking, ended and begun again": `
a HELLO 3
a CLIENT TRACKING on
a MGET k k2
a CLIENT TRACKING off
b SET k v
a CLIENT TRACKING on
b SET k v
b SET k2 v
a GET k
a RESET
b FLUSHALL
a HELLO 3
a CLIENT TRACKING on
b SET k v`,
	"tracking, redirected": `
a CLIENT TRACKING on REDIRECT {b}
a CLIENT GETREDIR
a CLIENT TRACKINGINFO
a GET k
c SET k v
b SUBSCRIBE __redis__:invalidate
a GET k
c SET k v
a MGET k k2
a SET k v
c FLUSHALL
b UNSUBSCRIBE
a GET k
c SET k v
b HELLO 3
a GET k
c SET k v
c FLUSHALL
a HELLO 3
a GET k
c FLUSHALL
a GET k
b RESET
c SET k v
a CLIENT TRACKING on REDIRECT {a}
a GET k
a SET k v
d PING
a CLIENT TRACKING on REDIRECT {d}
a GET k
d QUIT
c SET k v
a CLIENT TRACKINGINFO
a CLIENT LIST ID {a}
a CLIENT TRACKING on BCAST REDIRECT {d}
a CLIENT TRACKING off
a CLIENT TRACKINGINFO`,
}

// TestPushesLikeRedis: what clients get that is no reply, and where it stands
// among the replies, is what a redis-server sends.
func TestPushesLikeRedis(t *testing.T) {
	t.Parallel()
	redis, ours := bothServers(t)
	var names []string
	for name := range pushScripts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var steps [][2]string
			for _, line := range strings.Split(strings.TrimSpace(pushScripts[name]), "\n") {
				who, what, _ := strings.Cut(line, " ")
				steps = append(steps, [2]string{who, what})
			}
			pushedBoth(t, redis, ours, steps)
		})
	}
}

// TestRandomPushesLikeRedis is the same for what clients do at random.
func TestRandomPushesLikeRedis(t *testing.T) {
	t.Parallel()
	redis, ours := bothServers(t)
	for range 4 {
		seed := rand.Uint64()
		if again, err := strconv.ParseUint(os.Getenv("SPILLWAY_SEED"), 10, 64); err == nil {
			seed = again
		}
		t.Logf("replay with: SPILLWAY_SEED=%d go test ./cmd/spillway -run '^TestRandomPushesLikeRedis$'", seed)
		pushedBoth(t, redis, ours, randomPushes(rand.New(rand.NewPCG(seed, 1)), 300))
	}
}

func randomPushes(r *rand.Rand, n int) [][2]string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	channel := func() string { return pick("x", "y", "__keyevent@0__:set", "__keyevent@0__:del", "__keyspace@0__:k") }
	key := func() string { return pick("k", "k2", "u:1", "u:2") }
	var steps [][2]string
	for range n {
		who := pick("a", "b", "c")
		// Whether a client is told of its own change before its reply or behind it is
		// another thing that each of Redis's commands does its own way: these all do
		// it before.
		// One pattern and one prefix a client: the order among several is none of
		// Redis's promises.
		pattern := map[string]string{"a": "__key*", "b": "x*", "c": "[xy]"}[who]
		var line string
		switch r.IntN(40) {
		case 0, 1:
			line = "SUBSCRIBE " + channel()
		case 2, 3:
			line = "UNSUBSCRIBE " + channel()
		case 4:
			line = "PSUBSCRIBE " + pattern
		case 5:
			line = "PUNSUBSCRIBE"
		case 6:
			line = "SSUBSCRIBE " + pick("x", "y")
		case 7:
			line = "SUNSUBSCRIBE " + pick("x", "y")
		case 8, 9, 10:
			line = "PUBLISH " + channel() + " hello"
		case 11:
			line = "SPUBLISH " + pick("x", "y") + " hello"
		case 12:
			line = pick("HELLO 2", "HELLO 3")
		case 13:
			line = "RESET"
		case 14, 15:
			line = "MULTI"
		case 16, 17, 18:
			line = "EXEC"
		case 19:
			line = "CONFIG SET notify-keyspace-events " + pick("KE$g", "KE$gnm", "''", "E$g", "Kg$")
		case 20:
			line = "CLIENT TRACKING on" + pick("", "", " NOLOOP", " OPTIN", " OPTOUT", " BCAST", " REDIRECT {b}", " BCAST REDIRECT {c}")
		case 21:
			line = pick("CLIENT TRACKING off", "CLIENT TRACKINGINFO", "CLIENT CACHING yes", "CLIENT CACHING no", "CLIENT INFO")
		case 22, 23, 24, 25, 26, 27:
			line = "SET " + key() + " v"
		case 28, 29, 30, 31, 32, 33:
			line = pick("GET ", "GET ", "STRLEN ", "EXISTS ", "LRANGE 0 ") + key()
			line = strings.Replace(line, "LRANGE 0 ", "LLEN ", 1)
		case 34:
			line = "DEL " + key() + " " + key()
		case 35:
			line = "MGET k k2 u:1"
		case 36:
			line = "RENAME " + key() + " " + key()
		case 37:
			line = pick("INCR n", "APPEND k x", "GETSET k2 v", "SETRANGE k 1 x", "UNLINK k k2")
		case 38:
			line = pick("FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "PUBSUB NUMPAT", "PUBSUB NUMSUB x y")
		default:
			line = "MSET k v u:1 v u:2 v"
		}
		steps = append(steps, [2]string{who, line})
	}
	return steps
}
