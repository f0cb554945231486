package command

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/pubsub"
	"github.com/spillwaydb/spillway/core/resp"
)

// testEpoch is what a tester's clock starts at: 2023-11-14 22:13:20 UTC.
const testEpoch = 1_700_000_000_000

// tester is the smallest executor: it locks, calls and collects effects as the
// engine does, with a clock that stands still.
type tester struct {
	t       testing.TB
	ks      *keyspace.Keyspace
	ctx     Ctx
	out     resp.Writer
	watches *Watches
	db      int
	now     int64
	events  []string // of the last command
	effects []Effect // of every command so far
	last    []Effect // of the last command
}

func newTester(t testing.TB, shards int) *tester {
	t.Helper()
	ks := keyspace.New(keyspace.Config{Shards: shards, Databases: 16})
	t.Cleanup(ks.Close)
	x := &tester{t: t, ks: ks, now: testEpoch}
	stats := NewStats()
	x.ctx = Ctx{KS: ks, Stats: stats, Events: NewKeyEvents(stats), Rand: rand.New(rand.NewPCG(1, 2))}
	x.ctx.Engine = accepting{}
	x.watches = NewWatches(shards, x.ctx.Events)
	x.ctx.Events.Listen(x)
	x.ctx.Events.Want(1)
	return x
}

// KeyEvent implements KeyListener: it keeps what happened as Redis would tell it.
func (x *tester) KeyEvent(_ Client, ev Event, shard, db int, key []byte) {
	if want := x.ks.ShardOf(key); shard != want {
		x.t.Errorf("%s of %q in shard %d: it lives in %d", ev.Name, key, shard, want)
	}
	if ev.Class == 0 {
		return // nobody is notified
	}
	x.events = append(x.events, fmt.Sprintf("%s %q db%d", ev.Name, key, db))
}

// tell has events kept as well of which listeners are not told: of new and of missed keys.
func (x *tester) tell(classes EventClass) {
	hub := pubsub.NewHub(func(pattern, name []byte) bool { return GlobMatch(pattern, name, false) })
	NewNotifier(hub, x.ctx.Events).SetClasses(classes | ToKeyEvent)
	hub.Subscriber(x).Subscribe(pubsub.Pattern, []byte("*"))
}

// Receive implements pubsub.Receiver, see tell.
func (x *tester) Receive(m *pubsub.Message, _ bool) {
	db, event, _ := strings.Cut(strings.TrimPrefix(string(m.Channel), "__keyevent@"), "__:")
	x.events = append(x.events, fmt.Sprintf("%s %q db%s", event, m.Payload, db))
}

// DatabaseEvent implements KeyListener; Redis tells nobody.
func (x *tester) DatabaseEvent(int, func(int, []byte) Exchange) {}

// run executes one command given as words.
func (x *tester) run(words ...string) resp.Value {
	x.t.Helper()
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return x.exec(args)
}

// do executes a line in redis-cli's quoting and shows the reply on one line.
func (x *tester) do(line string) string {
	x.t.Helper()
	args, ok := resp.SplitArgs([]byte(line), nil)
	if !ok || len(args) == 0 {
		x.t.Fatalf("bad command line %q", line)
	}
	return x.exec(args).String()
}

func (x *tester) exec(args [][]byte) resp.Value {
	x.t.Helper()
	x.last, x.events = nil, nil
	x.out.Buf = x.out.Buf[:0]
	x.call(args)
	v, err := resp.ReadReply(bufio.NewReader(bytes.NewReader(x.out.Buf)))
	if err != nil {
		x.t.Fatalf("%q: bad reply %q: %v", args, x.out.Buf, err)
	}
	return v
}

func (x *tester) call(args [][]byte) {
	if is(args[0], "select") {
		n, _ := parseInt(args[1])
		x.db = int(n)
		x.out.OK()
		return
	}
	cmd := Lookup(args[0])
	if cmd == nil {
		x.out.Error(UnknownCommandError(args))
		return
	}
	if msg := CheckArity(cmd, args); msg != "" {
		x.out.Error(msg)
		return
	}
	shards, err := Shards(cmd, args, x.ks, nil)
	if err != nil {
		x.out.Error("ERR " + err.Error())
		return
	}
	for _, i := range shards {
		x.ks.Shard(i).Lock()
	}
	defer func() {
		for _, i := range shards {
			x.ks.Shard(i).Unlock()
		}
	}()
	x.ctx.Reset(args, &x.out, x.db, -1, x.now)
	Call(&x.ctx, cmd)
	for _, e := range AppendEffects(&x.ctx, []Effect(nil)) {
		for i, a := range e.Args {
			e.Args[i] = bytes.Clone(a)
		}
		x.last = append(x.last, e)
	}
	if cmd.Flags&ReadOnly == 0 && !cmd.Changes(args) && len(x.last) > 0 && cmd.Sub == nil {
		x.t.Errorf("%q has neither the write nor the readonly flag but changed the keyspace", args)
	}
	x.effects = append(x.effects, x.last...)
}

// replay applies effects as recovery does.
func (x *tester) replay(effects []Effect) {
	x.t.Helper()
	x.ctx.Replaying, x.now = true, 0
	for _, e := range effects {
		x.db = e.DB
		if v := x.exec(e.Args); v.Err() != nil {
			x.t.Errorf("replaying %q: %v", e.Args, v.Err())
		}
	}
}

// state describes every key of every database, one per line, in a form that
// two keyspaces with the same contents share.
func (x *tester) state() []string {
	x.t.Helper()
	r := &tester{t: x.t, ks: x.ks}
	r.ctx = Ctx{KS: x.ks, Replaying: true}
	var out []string
	for db := range x.ks.NumDatabases() {
		r.db = db
		for _, k := range r.run("KEYS", "*").Elems {
			key := string(k.Str)
			typ := string(r.run("TYPE", key).Str)
			var v resp.Value
			switch typ {
			case "string":
				v = r.run("GET", key)
			case "list":
				v = r.run("LRANGE", key, "0", "-1")
			case "set":
				v = r.run("SMEMBERS", key)
				sort.Slice(v.Elems, func(i, j int) bool { return bytes.Compare(v.Elems[i].Str, v.Elems[j].Str) < 0 })
			case "hash":
				v = pairsSorted(r.run("HGETALL", key))
				v.Elems = append(v.Elems, fieldDeadlines(r, key, v.Elems)...)
			case "zset":
				v = r.run("ZRANGE", key, "0", "-1", "WITHSCORES")
			case "stream":
				v = withoutLayout(r.run("XINFO", "STREAM", key, "FULL", "COUNT", "0"))
			}
			out = append(out, fmt.Sprintf("db%d %q %s %s deadline %s", db, key, typ, v, r.run("PEXPIRETIME", key)))
		}
	}
	sort.Strings(out)
	return out
}

// fieldDeadlines are the fields of a hash that have a deadline, each with it.
func fieldDeadlines(r *tester, key string, pairs []resp.Value) (out []resp.Value) {
	for i := 0; i < len(pairs); i += 2 {
		field := pairs[i]
		at := r.run("HPEXPIRETIME", key, "FIELDS", "1", string(field.Str)).Elems[0]
		if at.Int >= 0 {
			out = append(out, resp.Value{Kind: '$', Str: fmt.Appendf(nil, "%s at %d", field.Str, at.Int)})
		}
	}
	return out
}

// withoutLayout is what XINFO STREAM tells but for how the entries lie in memory.
func withoutLayout(v resp.Value) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if strings.HasPrefix(string(v.Elems[i].Str), "radix-tree-") {
			v.Elems[i+1] = resp.Value{}
		}
	}
	return v
}

func pairsSorted(v resp.Value) resp.Value {
	type pair [2]resp.Value
	var pairs []pair
	for i := 0; i+1 < len(v.Elems); i += 2 {
		pairs = append(pairs, pair{v.Elems[i], v.Elems[i+1]})
	}
	sort.Slice(pairs, func(i, j int) bool { return bytes.Compare(pairs[i][0].Str, pairs[j][0].Str) < 0 })
	v.Elems = nil
	for _, p := range pairs {
		v.Elems = append(v.Elems, p[0], p[1])
	}
	return v
}

func sortReply(v resp.Value) resp.Value {
	sort.Slice(v.Elems, func(i, j int) bool { return v.Elems[i].String() < v.Elems[j].String() })
	return v
}

// effectsString shows logged commands, one per line.
func effectsString(effects []Effect) string {
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, "  log db%d", e.DB)
		for _, a := range e.Args {
			if q := fmt.Sprintf("%q", a); len(q) == len(a)+2 && !bytes.ContainsAny(a, " ") && len(a) > 0 {
				fmt.Fprintf(&b, " %s", a)
			} else {
				fmt.Fprintf(&b, " %s", q)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// doSorted is do with the elements of an array reply in order; of a SCAN's
// reply, those of its second element.
func (x *tester) doSorted(line string) string {
	x.t.Helper()
	args, _ := resp.SplitArgs([]byte(line), nil)
	return sortedReply(args, x.exec(args)).String()
}

func sortedReply(args [][]byte, v resp.Value) resp.Value {
	if len(v.Elems) == 2 && strings.HasSuffix(strings.ToLower(string(args[0])), "scan") {
		v.Elems[1] = sortReply(v.Elems[1])
		return v
	}
	return sortReply(v)
}

// accepting is an engine whose other servers accept everything, and which follows none; it does nothing else.
type accepting struct{ Engine }

func (accepting) Exchange(_ string, _ []byte, replies int, _ time.Duration) (lines []string, err error) {
	for range replies {
		lines = append(lines, "+OK")
	}
	return lines, nil
}

func (accepting) Replica() *Replica { return nil }

func (accepting) Now() time.Time { return time.UnixMilli(testEpoch) }

func (accepting) HasUser(name string) bool { return name == "default" }

func (accepting) ClocksCount() bool { return false }

// debugged are the switches of all testers.
var debugged Debugging

func (accepting) Debugging() *Debugging { return &debugged }
