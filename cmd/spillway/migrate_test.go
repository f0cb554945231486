package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// origin is a running server whose data are taken over. It can be killed and started
// again with what it has on disk.
type origin struct {
	t    *testing.T
	bin  []string
	args []string
	port string
	cmd  *exec.Cmd
	done chan struct{}
	rdb  *redis.Client
}

// originServer starts a redis-server, or what else speaks its protocol.
func originServer(t *testing.T, bin []string, flags ...string) *origin {
	t.Helper()
	o := &origin{t: t, bin: bin, port: freePort(t)}
	o.args = append([]string{"--port", o.port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--repl-diskless-sync-delay", "0"}, flags...)
	o.rdb = redis.NewClient(&redis.Options{Addr: o.addr(), MaxRetries: -1, DisableIdentity: true, ReadTimeout: patience})
	t.Cleanup(func() { _ = o.rdb.Close() })
	o.start()
	t.Cleanup(o.kill)
	return o
}

func (o *origin) addr() string { return "127.0.0.1:" + o.port }
func (o *origin) url() string  { return "redis://" + o.addr() }

func (o *origin) start() {
	o.t.Helper()
	var log testutil.Buffer
	o.cmd = exec.Command(o.bin[0], append(o.bin[1:len(o.bin):len(o.bin)], o.args...)...)
	o.cmd.Stdout, o.cmd.Stderr = &log, &log
	if err := o.cmd.Start(); err != nil {
		o.t.Fatalf("%v: apt-get install redis-server", err)
	}
	o.done = make(chan struct{})
	go func() { _ = o.cmd.Wait(); close(o.done) }()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		err := o.rdb.Ping(context.Background()).Err()
		if err == nil || strings.HasPrefix(err.Error(), "NOAUTH") {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s does not answer: %v\n%s", o.bin, err, log.String())
		}
	}
}

func (o *origin) kill() { _ = o.cmd.Process.Kill(); <-o.done }

func (o *origin) do(args ...any) any {
	o.t.Helper()
	v, err := o.rdb.Do(context.Background(), args...).Result()
	if err != nil {
		o.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// following waits until the daemon has the dataset and the link is up.
func (d *daemon) following() {
	d.t.Helper()
	d.waitFor("the link to the master", func() bool { return d.info("master_link_status") == "up" })
}

// caughtUp waits until the daemon has all that the source has executed.
func (d *daemon) caughtUp(o *origin) {
	d.t.Helper()
	text, err := o.rdb.Info(context.Background(), "replication").Result()
	if err != nil {
		d.t.Fatal(err)
	}
	goal := numberIn(infoField(text, "master_repl_offset"))
	d.waitFor(fmt.Sprint("offset ", goal), func() bool {
		return d.info("master_link_status") == "up" && numberIn(d.info("slave_repl_offset")) >= goal
	})
}

// load writes to a source, values of all types, until it is stopped. It keeps count of
// what was acknowledged in counters that no command but INCR changes.
type load struct {
	stop atomic.Bool
	wg   sync.WaitGroup
	acks [3]atomic.Int64
}

// startLoad starts writers. Errors end nothing: a source may be killed meanwhile.
func startLoad(o *origin) *load {
	l := new(load)
	l.begin(o)
	return l
}

func (l *load) begin(o *origin) {
	l.stop.Store(false)
	for w := range len(l.acks) {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			rnd := rand.New(rand.NewPCG(uint64(w), 17))
			for i := 0; !l.stop.Load(); i++ {
				l.write(o.rdb, rnd, w, i)
			}
		}()
	}
}

func (l *load) write(c *redis.Client, rnd *rand.Rand, w, i int) {
	ctx := context.Background()
	k := func(kind string) string { return fmt.Sprintf("%s:%d:%d", kind, w, rnd.IntN(50)) }
	if c.Incr(ctx, fmt.Sprint("sum:", w)).Err() == nil {
		l.acks[w].Add(1)
	}
	_, _ = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.IncrBy(ctx, "sum:{tx}a", 7)
		p.DecrBy(ctx, "sum:{tx}b", 7)
		p.Set(ctx, k("s"), strings.Repeat("x", rnd.IntN(200)), 0)
		return nil
	})
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, k("ttl"), i, time.Duration(1+rnd.IntN(30))*time.Millisecond)
		p.Set(ctx, k("later"), i, time.Hour)
		p.RPush(ctx, k("l"), i, "v")
		p.LPop(ctx, k("l"))
		p.SAdd(ctx, k("set"), rnd.IntN(100), "m")
		p.SPop(ctx, k("set"))
		p.HSet(ctx, k("h"), fmt.Sprint("f", rnd.IntN(200)), i)
		p.HIncrByFloat(ctx, k("hf"), "f", 0.1)
		p.ZAdd(ctx, k("z"), redis.Z{Score: rnd.Float64() * 100, Member: fmt.Sprint("m", rnd.IntN(200))})
		p.ZPopMin(ctx, k("z"))
		p.PFAdd(ctx, k("hll"), rnd.IntN(1000))
		p.SetBit(ctx, k("bits"), int64(rnd.IntN(1000)), 1)
		p.XAdd(ctx, &redis.XAddArgs{Stream: k("x"), MaxLen: 30, Approx: true, Values: []any{"i", i}})
		p.Eval(ctx, "redis.call('INCR', KEYS[1]); redis.call('SET', KEYS[2], redis.call('TIME')[1]); return redis.call('SPOP', KEYS[3])", []string{k("n"), k("t"), k("set")})
		p.Expire(ctx, k("h"), time.Duration(1+rnd.IntN(100))*time.Hour)
		p.Persist(ctx, k("h"))
		p.Rename(ctx, k("s"), k("renamed"))
		p.Del(ctx, k("z"))
		p.Copy(ctx, k("l"), k("copy"), 3, true)
		return nil
	})
	stream := fmt.Sprint("queue:", w)
	if i%50 == 0 {
		_ = c.XGroupCreateMkStream(ctx, stream, "g", "0").Err()
		_ = c.Set(ctx, fmt.Sprint("big:", w), strings.Repeat(string(rune('a'+i%26)), 300_000), 0).Err()
	}
	_ = c.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"i", i}}).Err()
	if got, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: fmt.Sprint("c", i%3), Streams: []string{stream, ">"}, Count: 3, Block: -1}).Result(); err == nil && i%2 == 0 {
		_ = c.XAck(ctx, stream, "g", got[0].Messages[0].ID).Err()
	}
	if i%97 == 96 && w == 0 {
		conn := c.Conn()
		_ = conn.Select(ctx, 4).Err()
		_ = conn.Set(ctx, k("four"), i, 0).Err()
		_ = conn.Do(ctx, "SWAPDB", 4, 5).Err()
		if i%3 == 0 {
			_ = conn.FlushDB(ctx).Err()
		}
		_ = conn.Select(ctx, 0).Err()
		_ = conn.Close()
	}
}

// wait waits until every writer has written n times more.
func (l *load) wait(t *testing.T, n int64) {
	t.Helper()
	for w := range l.acks {
		goal := l.acks[w].Load() + n
		for deadline := time.Now().Add(patience); l.acks[w].Load() < goal; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the writers do not write")
			}
		}
	}
}

func (l *load) end() { l.stop.Store(true); l.wg.Wait() }

// sums holds the counters against what was acknowledged. None is lost; with exact none
// is counted twice, which is what a writer that got no answer cannot know.
func (l *load) sums(t *testing.T, c *redis.Client, exact bool) {
	t.Helper()
	ctx := context.Background()
	for w := range l.acks {
		got, err := c.Get(ctx, fmt.Sprint("sum:", w)).Int64()
		if want := l.acks[w].Load(); err != nil || got < want || exact && got != want {
			t.Errorf("sum:%d is %d, %d were acknowledged (%v)", w, got, want, err)
		}
	}
	a, _ := c.Get(ctx, "sum:{tx}a").Int64()
	if b, _ := c.Get(ctx, "sum:{tx}b").Int64(); a != -b || a == 0 {
		t.Errorf("half a transaction: %d and %d", a, b)
	}
}

// sameAs holds all data of the daemon against the source's. Nobody writes.
func (d *daemon) sameAs(o *origin) {
	d.t.Helper()
	for _, c := range []*redis.Client{o.rdb, d.rdb} {
		expireAll(d.t, c)
	}
	if d.info("role") == "slave" {
		d.caughtUp(o) // the removals
	}
	sameDataset(d.t, "the daemon", queuesAsReplicated(dataset(d.t, d.rdb)), queuesAsReplicated(dataset(d.t, o.rdb)))
}

// expireAll has a server remove the keys past their deadline, and waits until those that
// live for a moment are.
func expireAll(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := context.Background()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the short deadlines do not end")
		}
		conn, left := c.Conn(), 0
		for db := range 16 {
			_ = conn.Select(ctx, db).Err()
			for cursor := uint64(0); ; { // SCAN removes what has expired, KEYS does not
				keys, next, err := conn.Scan(ctx, cursor, "ttl:*", 1000).Result()
				if err != nil {
					t.Fatal(err)
				}
				if left, cursor = left+len(keys), next; cursor == 0 {
					break
				}
			}
		}
		_ = conn.Select(ctx, 0).Err()
		_ = conn.Close()
		if left == 0 {
			return
		}
	}
}

// queuesAsReplicated leaves out of streams what newer servers alone show, and of those
// that are read under load how many entries a group has read, and what follows from it: a
// Redis does not tell its replicas.
func queuesAsReplicated(data map[string]string) map[string]string {
	for k, v := range data {
		data[k] = newer.ReplaceAllString(v, "")
		if strings.Contains(k, "queue:") {
			data[k] = unreplicated.ReplaceAllString(data[k], "")
		}
	}
	return data
}

var (
	newer        = regexp.MustCompile(`active-time=-?\d+ `)
	unreplicated = regexp.MustCompile(`(entries-read|lag)=[^ \]]*`)
)

// TestMigrate takes over a server while it is written to, and cuts over: everything is
// there once.
func TestMigrate(t *testing.T) {
	t.Parallel()
	for _, diskless := range []string{"yes", "no"} {
		t.Run("redis-server, diskless "+diskless, func(t *testing.T) { takesOver(t, "redis-server", diskless) })
	}
	eachPeer(t, func(t *testing.T, p peer) { takesOver(t, p.server, "yes") })
}

// takesOver is TestMigrate with a server, which sends its dataset from memory or from a file.
func takesOver(t *testing.T, server, diskless string) {
	t.Helper()
	o := originServer(t, []string{server}, "--repl-diskless-sync", diskless)
	populate(t, o.rdb)
	if err := o.rdb.FunctionLoad(context.Background(), "#!lua name=lib\nredis.register_function('f', function() return 1 end)").Err(); err != nil {
		t.Fatal(err)
	}
	l := startLoad(o)
	defer func() { l.end() }()
	l.wait(t, 10)
	dir := t.TempDir()
	d := startDaemon(t, dir, "--migrate-from", o.url(), "--appendfsync", "always")
	d.following()
	l.wait(t, 50)
	d.looksLikeReplica(o)
	l.end()
	l.sums(t, o.rdb, true)
	d.caughtUp(o)
	d.sameAs(o)

	l.begin(o)
	l.wait(t, 20)
	out := mustRun(t, "migrate", "--from", o.url(), "--to", "redis://"+d.addr, "--cutover", "--json", "--quiet", "--sample", "300")
	var c cutOver
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.State != "cut over" || c.Sampled < 100 || len(c.Digest) != 64 || c.Functions != 1 || len(c.Databases) < 2 {
		t.Errorf("migrate --cutover says %s (%v)", out, err)
	}
	d.waitFor("the answers that were on their way", func() bool { return l.sumsHave(d.rdb) })
	if got := d.info("role"); got != "master" {
		t.Errorf("role:%s after the cut-over", got)
	}
	d.do("SET", "mine", "1")
	o.do("CLIENT", "UNPAUSE")
	l.end()

	d.kill()
	d = startDaemon(t, dir, "--migrate-from", o.url()) // whoever starts it still says so
	d.waitLog("was cut over")
	if got := d.do("GET", "mine"); got != "1" || d.info("role") != "master" {
		t.Errorf("after a restart: mine is %v, role:%s", got, d.info("role"))
	}
	d.stop()
	d = startDaemon(t, dir)
	if got := d.do("GET", "mine"); got != "1" {
		t.Errorf("after a restart without the flag: mine is %v", got)
	}
}

// sumsHave tells whether a server has each counter as it was acknowledged.
func (l *load) sumsHave(c *redis.Client) bool {
	for w := range l.acks {
		if got, err := c.Get(context.Background(), fmt.Sprint("sum:", w)).Int64(); err != nil || got != l.acks[w].Load() {
			return false
		}
	}
	return true
}

// looksLikeReplica holds what clients, the source and tools see of a daemon that follows.
func (d *daemon) looksLikeReplica(o *origin) {
	d.t.Helper()
	ctx := context.Background()
	for _, args := range [][]any{{"SET", "k", "v"}, {"EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "k"}, {"FLUSHALL"}, {"FUNCTION", "FLUSH"}} {
		if err := d.rdb.Do(ctx, args...).Err(); err == nil || !strings.Contains(err.Error(), "READONLY You can't write against a read only replica.") {
			d.t.Errorf("%v while it follows: %v", args, err)
		}
	}
	for field, want := range map[string]string{"role": "slave", "master_host": "127.0.0.1", "master_port": o.port, "master_link_status": "up", "slave_read_only": "1", "master_sync_in_progress": "0", "spillway_migration_state": "connected", "spillway_migration_links": "1"} {
		if got := d.info(field); got != want {
			d.t.Errorf("INFO has %s:%s, want %s", field, got, want)
		}
	}
	if role := fmt.Sprint(d.do("ROLE")); !strings.HasPrefix(role, "[slave 127.0.0.1 "+o.port+" connected ") {
		d.t.Errorf("ROLE says %s", role)
	}
	if n := o.do("WAIT", 1, patience.Milliseconds()); n != int64(1) {
		d.t.Errorf("WAIT counts %v replicas", n)
	}
	if text := o.rdb.Info(ctx, "replication").Val(); !strings.Contains(text, "state=online") {
		d.t.Errorf("the source does not show a replica:\n%s", text)
	}
	if out, code := spillway(d.t, "migrate", "--from", o.url(), "--to", "redis://"+d.addr, "--once", "--json"); code != 0 || !strings.Contains(out, `"state":"following"`) {
		d.t.Errorf("migrate --once: exit %d\n%s", code, out)
	}
}

// TestMigrateGoesOn kills the daemon, cuts the network and kills the source, all while
// it is written to. What was taken over goes on where it was, and in the end both have
// the same.
func TestMigrateGoesOn(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"always", "everysec"} {
		t.Run(policy, func(t *testing.T) {
			o := originServer(t, []string{"redis-server"}, "--repl-backlog-size", "64mb")
			populate(t, o.rdb)
			p := testutil.NewWire(t, func() (net.Conn, error) { return net.Dial("tcp", o.addr()) })
			url := "redis://" + p.Address
			dir := t.TempDir()
			flags := []string{"--migrate-from", url, "--appendfsync", policy, "--shards", "3"}
			d := startDaemon(t, dir, flags...)
			l := startLoad(o)
			defer l.end()
			d.following()
			for round := range 6 {
				l.wait(t, 5)
				switch round % 3 {
				case 0:
					d.kill()
					d = startDaemon(t, dir, append(flags, "--shards", fmt.Sprint(1+round))...)
				case 1:
					p.Cut()
				case 2:
					d.do("BGSAVE")
					l.wait(t, 5)
					d.stop()
					d = startDaemon(t, dir, flags...)
				}
				d.following()
			}
			if n := numberIn(infoField(o.rdb.Info(context.Background(), "stats").Val(), "sync_full")); policy == "always" && n != 1 {
				t.Errorf("%d datasets were taken over: what was broken off has to go on where it was", n)
			}
			l.end()
			d.caughtUp(o)
			l.sums(t, o.rdb, true)
			l.sums(t, d.rdb, true)
			d.sameAs(o)

			l = startLoad(o)
			l.wait(t, 5)
			o.do("SAVE")
			l.wait(t, 5)
			o.kill() // what it has executed since is gone there, and has to go here
			o.start()
			d.following()
			l.wait(t, 5)
			l.end()
			d.caughtUp(o)
			d.sameAs(o)
			d.do("REPLICAOF", "NO", "ONE")
			d.stop()
			d = startDaemon(t, dir)
			d.sameAs(o)
		})
	}
}

// TestMigrateKilledInTheDataset: a dataset that broke off is never shown, promoted or
// gone on from.
func TestMigrateKilledInTheDataset(t *testing.T) {
	t.Parallel()
	o := originServer(t, []string{"redis-server"}, "--repl-diskless-sync", "yes", "--rdbcompression", "no", "--enable-debug-command", "yes")
	populate(t, o.rdb)
	o.do("DEBUG", "POPULATE", 5000, "key", 2000)
	o.do("CONFIG", "SET", "rdb-key-save-delay", 1000) // microseconds
	dir := t.TempDir()
	d := startDaemon(t, dir, "--migrate-from", o.url())
	for round := range 3 {
		d.waitFor("a part of the dataset", func() bool { return numberIn(d.info("master_sync_read_bytes")) > 100_000 })
		if err := d.rdb.Get(context.Background(), "int").Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING ") {
			t.Errorf("GET in the middle of the dataset: %v", err)
		}
		d.kill()
		for _, flags := range [][]string{nil, {"--migrate-from", "none"}} {
			if out, code := spillway(t, append([]string{"serve", "--port", freePort(t), "--dir", dir}, flags...)...); code != 1 {
				t.Errorf("%v: exit %d, a part of a dataset is served\n%s", flags, code, out)
			}
		}
		if round == 2 {
			o.do("CONFIG", "SET", "rdb-key-save-delay", 0)
		}
		d = startDaemon(t, dir, "--migrate-from", o.url())
	}
	d.following()
	d.caughtUp(o)
	d.sameAs(o)
	d.kill()
	if out, code := spillway(t, "serve", "--port", freePort(t), "--dir", dir); code != 1 || !strings.Contains(out, "--migrate-from none") {
		t.Errorf("without the flag: exit %d\n%s", code, out)
	}
	d = startDaemon(t, dir, "--migrate-from", "none")
	d.sameAs(o)
	d.do("SET", "mine", 1)
}

// TestMigrateRefuses: what cannot be done is said before or when it is met.
func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	o := originServer(t, []string{"redis-server"})
	populate(t, o.rdb)

	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.do("SET", "mine", 1)
	d.stop()
	if out, code := spillway(t, "serve", "--port", freePort(t), "--dir", dir, "--migrate-from", o.url()); code != 1 || !strings.Contains(out, "data of its own") {
		t.Errorf("into a directory with data: exit %d\n%s", code, out)
	}
	if out, code := spillway(t, "serve", "--port", freePort(t), "--dir", dir, "--migrate-from", "http://x"); code != 2 {
		t.Errorf("a URL of another kind: exit %d\n%s", code, out)
	}

	d = startDaemon(t, t.TempDir(), "--migrate-from", o.url(), "--databases", "2")
	d.waitFor("the refusal", func() bool { return d.info("master_link_stopped") == "1" })
	if got := d.info("master_link_error"); !strings.Contains(got, "database 5, but only 2 are configured") {
		t.Errorf("INFO says %q", got)
	}
	if out, code := spillway(t, "migrate", "--from", o.url(), "--to", "redis://"+d.addr, "--cutover", "--quiet"); code != 1 || !strings.Contains(out, "only 2 are configured") {
		t.Errorf("migrate --cutover: exit %d\n%s", code, out)
	}
	if err := d.rdb.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
		t.Errorf("promoting a part of a dataset: %v", err)
	}
}

// TestMigrateSecured takes over from behind a password, an ACL user and TLS.
func TestMigrateSecured(t *testing.T) {
	t.Parallel()
	o := originServer(t, []string{"redis-server"})
	populate(t, o.rdb)
	o.do("ACL", "SETUSER", "mover", "on", ">s3cret", "+psync", "+replconf", "+ping", "+info", "+client", "+select", "+randomkey", "+@read", "~*")
	want := dataset(t, o.rdb)
	o.do("ACL", "SETUSER", "default", "resetpass", "off")
	cert, listener := tlsTo(t, o.addr())
	d := startDaemon(t, t.TempDir(), "--migrate-from", "rediss://mover:s3cret@"+listener, "--migrate-cacert", cert)
	d.following()
	sameDataset(t, "through TLS", dataset(t, d.rdb), want)
	out := mustRun(t, "migrate", "--from", "rediss://mover:s3cret@"+listener, "--cacert", cert, "--to", "redis://"+d.addr, "--cutover", "--quiet")
	if !strings.Contains(out, "cut over at offset") || strings.Contains(out, "s3cret") || strings.Contains(d.log.String(), "s3cret") {
		t.Errorf("migrate --cutover says:\n%s", out)
	}
	sameDataset(t, "cut over", dataset(t, d.rdb), want)

	d = startDaemon(t, t.TempDir(), "--migrate-from", "redis://mover:wrong@"+o.addr())
	d.waitFor("the refusal", func() bool { return strings.Contains(d.info("master_link_error"), "WRONGPASS") })
}

// TestMigrateMutualTLS takes over from a server that wants a certificate of its clients, as
// Redis with TLS does unless it is told otherwise, and files that do not fit are said.
func TestMigrateMutualTLS(t *testing.T) {
	t.Parallel()
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	a.Issue("client", "client.pem", "client.key")
	port := freePort(t)
	o := originServer(t, []string{"redis-server"}, "--tls-port", port, "--tls-cert-file", a.Path("server.pem"), "--tls-key-file", a.Path("server.key"), "--tls-ca-cert-file", a.File)
	populate(t, o.rdb)
	want := dataset(t, o.rdb)
	url := "rediss://127.0.0.1:" + port
	if out, code := spillway(t, "import", url, "--to", t.TempDir(), "--quiet", "--cacert", a.File); code != 1 {
		t.Errorf("without a certificate: exit %d\n%s", code, out)
	}
	if out, code := spillway(t, "import", url, "--to", t.TempDir(), "--quiet", "--cacert", a.File, "--cert", a.Path("client.pem"), "--key", a.Path("server.key")); code != 2 || !strings.Contains(out, "client.pem and the key") {
		t.Errorf("with another's key: exit %d\n%s", code, out)
	}
	to := t.TempDir()
	mustRun(t, "import", url, "--to", to, "--quiet", "--cacert", a.File, "--cert", a.Path("client.pem"), "--key", a.Path("client.key"))
	sameDataset(t, "imported", dataset(t, startDaemon(t, to).rdb), want)
	d := startDaemon(t, t.TempDir(), "--migrate-from", url, "--migrate-cacert", a.File, "--migrate-cert", a.Path("client.pem"), "--migrate-key", a.Path("client.key"))
	d.following()
	mustRun(t, "migrate", "--from", url, "--cacert", a.File, "--cert", a.Path("client.pem"), "--key", a.Path("client.key"), "--to", "redis://"+d.addr, "--cutover", "--quiet")
	sameDataset(t, "cut over", dataset(t, d.rdb), want)
}

// TestMigratePasswords: each side has a variable of its own, and a URL that has a
// password wins.
func TestMigratePasswords(t *testing.T) {
	t.Setenv(importPasswordEnv, "theirs")
	t.Setenv(passwordEnv, "ours")
	for _, c := range [][3]string{
		{"redis://127.0.0.1:6379", importPasswordEnv, "theirs"},
		{"redis://127.0.0.1:6380", passwordEnv, "ours"},
		{"redis://someone@127.0.0.1:6380", passwordEnv, "ours"},
		{"redis://someone:else@127.0.0.1:6380", passwordEnv, "else"},
		{"redis://127.0.0.1:6380", "SPILLWAY_NO_SUCH_VARIABLE", "theirs"},
	} {
		client, err := clientOf(c[0], trust{}, c[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := client.Options().Password; got != c[2] {
			t.Errorf("%s with %s: %q, want %q", c[0], c[1], got, c[2])
		}
		_ = client.Close()
	}
}

// TestMigrateAcknowledges: a server of today that is followed while it is written to sees how
// far the daemon is, and what WAITAOF was promised of it outlives the death of both. Redis's
// own 7.0 knows no WAITAOF, so the servers are those of make bench-peers.
func TestMigrateAcknowledges(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p peer) {
		ctx := context.Background()
		o := originServer(t, []string{p.server})
		populate(t, o.rdb)
		dir := t.TempDir()
		d := startDaemon(t, dir, "--migrate-from", o.url(), "--appendfsync", "always")
		d.following()
		l := startLoad(o)
		defer func() { l.end() }()
		conn := o.rdb.Conn() // WAITAOF is about the writes of its own connection
		defer conn.Close()
		const promises = 20
		for i := range promises {
			if err := conn.Set(ctx, "promised", i+1, 0).Err(); err != nil {
				t.Fatal(err)
			}
			got, err := conn.Do(ctx, "WAITAOF", 0, 1, patience.Milliseconds()).Int64Slice()
			if err != nil || len(got) != 2 || got[1] != 1 {
				t.Fatalf("WAITAOF counts %v, %v", got, err)
			}
		}
		l.wait(t, 20)
		l.end()
		goal := numberIn(infoField(o.rdb.Info(ctx, "replication").Val(), "master_repl_offset"))
		acked := func() (offset int64) {
			// master, offset, [[address, port, offset]]
			role, err := o.rdb.Do(ctx, "ROLE").Slice()
			if err != nil || len(role) != 3 {
				t.Fatalf("ROLE says %v, %v", role, err)
			}
			if replicas := role[2].([]any); len(replicas) == 1 {
				offset, _ = strconv.ParseInt(fmt.Sprint(replicas[0].([]any)[2]), 10, 64)
			}
			return offset
		}
		d.waitFor(fmt.Sprint("the source to know that the daemon has ", goal), func() bool { return acked() >= goal })
		if text := o.rdb.Info(ctx, "replication").Val(); !strings.Contains(text, "state=online") {
			t.Errorf("the source shows:\n%s", text)
		}
		d.sameAs(o)
		if err := conn.Set(ctx, "promised", promises+1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Do(ctx, "WAITAOF", 0, 1, patience.Milliseconds()).Int64Slice(); err != nil || got[1] != 1 {
			t.Fatalf("WAITAOF counts %v, %v", got, err)
		}
		d.kill()
		o.kill()
		d = startDaemon(t, dir, "--migrate-from", "none")
		if got := d.do("GET", "promised"); got != fmt.Sprint(promises+1) {
			t.Errorf("behind both deaths promised is %v", got)
		}
		l.sums(t, d.rdb, true)
	})
}
