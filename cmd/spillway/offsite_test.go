package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// offsiteEnv is a number of the environment.
func offsiteEnv(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// distant is a daemon whose checkpoints go through zstd, a process of its own,
// and age to the data directory and to S3 through another process, before they
// count. Its log follows to another place of the same bucket.
type distant struct {
	t      *testing.T
	s3     *servers.S3
	bucket string
	hcl    string
	data   string
	key    string
	d      *daemon
	keys   int
	state  []acked
}

func newDistant(t *testing.T, keys int) *distant {
	t.Helper()
	x := &distant{t: t, s3: servers.StartS3(t), data: filepath.Join(t.TempDir(), "data"), keys: keys, state: make([]acked, 4)}
	x.bucket = x.s3.Bucket(t)
	var recipient string
	x.key, recipient = secretKey(t)
	x.hcl = x.config(x.data, recipient)
	x.start()
	x.fill()
	return x
}

func (x *distant) url() string    { return x.s3.URL(x.bucket, "prod") }
func (x *distant) logURL() string { return x.s3.URL(x.bucket, "log") }

func (x *distant) config(data, recipient string) string {
	tools, toolsSum := buildPlugin(x.t, "cmd/spillway-plugin-zstd")
	blob, blobSum := buildPlugin(x.t, "cmd/spillway-plugin-blob")
	var env strings.Builder
	for k, v := range x.s3.Env {
		fmt.Fprintf(&env, "    %s = %q\n", k, v)
	}
	return fmt.Sprintf(`
plugin "tools" {
  command  = [%q]
  checksum = %q
  restart { backoff = "10ms" }
}
plugin "blob" {
  command  = [%q]
  checksum = %q
  restart { backoff = "10ms" }
  env = {
%s  }
}
filesystem "os" "data" { root = %q }
pipeline "checkpoint" {
  stage "plugin" "zstd" { uses = plugin.tools }
  stage "age" {
    recipients = [%q]
    identities = [file(%q)]
  }
  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 2
  }
  sink "plugin" "offsite" {
    uses     = plugin.blob
    required = true
    timeout  = "2m"
    keep     = 3
    url      = %q
  }
}
pipeline "archive" {
  on         = ["segment"]
  seal_after = "1s"
  stage "plugin" "zstd" { uses = plugin.tools }
  stage "age" { recipients = [%q] }
  sink "plugin" "vault" {
    uses = plugin.blob
    url  = %q
  }
}
`, tools, toolsSum, blob, blobSum, env.String(), data, recipient, x.key, x.url(), recipient, x.logURL())
}

func (x *distant) start() {
	x.t.Helper()
	x.d = startConfig(x.t, x.hcl, "--appendfsync", "always", "--save", "", "--shards", "2")
}

func offsiteKey(i int) string   { return "key:" + strconv.Itoa(i) }
func offsiteValue(i int) string { return fmt.Sprintf("%064d", i*7919) }

// fill writes the keys that never change.
func (x *distant) fill() {
	x.t.Helper()
	ctx := context.Background()
	for i := 0; i < x.keys; {
		_, err := x.d.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for end := min(i+1000, x.keys); i < end; i++ {
				p.Set(ctx, offsiteKey(i), offsiteValue(i), 0)
			}
			return nil
		})
		if err != nil {
			x.t.Fatal(err)
		}
	}
}

// writers run until stop, or until the daemon is gone.
func (x *distant) writers() (stop func()) {
	rdb, done := x.d.rdb, make(chan struct{})
	var wg sync.WaitGroup
	for w := range x.state {
		wg.Go(func() { write(rdb, w, &x.state[w], done) })
	}
	return func() {
		close(done)
		wg.Wait()
	}
}

// verify compares a daemon with the model: the writers' keys and the ones that
// never change.
func (x *distant) verify(d *daemon, round int) {
	x.t.Helper()
	verify(x.t, d, x.state, round)
	ctx := context.Background()
	if n, err := d.rdb.DBSize(ctx).Result(); err != nil || n < int64(x.keys) || n > int64(x.keys+2*len(x.state)) {
		x.t.Fatalf("round %d: %d keys, %v; %d were written", round, n, err, x.keys)
	}
	for i := 0; i < x.keys; {
		from, args := i, []string{}
		for end := min(i+1000, x.keys); i < end; i++ {
			args = append(args, offsiteKey(i))
		}
		vals, err := d.rdb.MGet(ctx, args...).Result()
		if err != nil {
			x.t.Fatal(err)
		}
		for k, v := range vals {
			if v != offsiteValue(from+k) {
				x.t.Fatalf("round %d: %s is %v", round, args[k], v)
			}
		}
	}
}

// remote looks at the bucket: every set that says it is complete has all its
// parts in full. It returns the complete generations; what else is there must
// belong to a set that does not say so.
func (x *distant) remote() (complete map[uint64]bool, incomplete int) {
	x.t.Helper()
	ctx := context.Background()
	client := x.s3.Client()
	sizes, prefix := make(map[string]int64), "prod/"
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &x.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			x.t.Fatalf("list the bucket: %v\n%s", err, x.s3.Log())
		}
		for _, o := range page.Contents {
			sizes[*o.Key] = *o.Size
		}
	}
	complete = make(map[uint64]bool)
	dirs := make(map[string]bool)
	for name := range sizes {
		dirs[path.Dir(name)] = true
		if path.Base(name) != sink.SetFile {
			continue
		}
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &x.bucket, Key: &name})
		if gone := new(types.NoSuchKey); errors.As(err, &gone) {
			continue // an old set, pruned since the listing: SET.json goes first
		}
		if err != nil {
			x.t.Fatal(err)
		}
		doc, err := io.ReadAll(out.Body)
		_ = out.Body.Close()
		if err != nil {
			x.t.Fatal(err)
		}
		set, err := sink.DecodeSet(doc)
		if err != nil {
			x.t.Fatalf("%s: %v", name, err)
		}
		for _, p := range set.Parts {
			if size, ok := sizes[path.Join(path.Dir(name), p.Part.Name)]; !ok || size != p.Bytes {
				x.t.Fatalf("set %s is published, and its part %s has %d bytes (there: %v), want %d", set.ID, p.Part.Name, size, ok, p.Bytes)
			}
		}
		complete[set.ID.Generation] = true
	}
	return complete, len(dirs) - len(complete)
}

// pid of a plugin, which may be on its way up or down.
func (x *distant) killPlugin(name string) {
	x.t.Helper()
	info, err := x.d.rdb.Info(context.Background(), "plugins").Result()
	if err != nil {
		x.t.Fatal(err)
	}
	if m := pidField.FindStringSubmatch(infoField("\r\n"+info, "plugin_"+name)); m != nil {
		if pid, _ := strconv.Atoi(m[2]); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
	}
}

// jobOver waits for the end of the job in flight.
func (x *distant) jobOver() {
	x.t.Helper()
	deadline := time.Now().Add(10 * patience)
	for x.d.info("rdb_bgsave_in_progress") != "0" {
		if time.Now().After(deadline) {
			x.t.Fatalf("the checkpoint does not end:\n%s", x.d.log.String())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestOffsite is what the pipeline is for. While checkpoints are under way and
// clients write, the plugins, the daemon and the S3 server are killed at random
// moments. After each the local state is exact, the bucket holds complete sets
// and such as do not say that they are, and the next checkpoint succeeds. In the
// end everything comes back from the bucket alone.
//
// At length:
//
//	SPILLWAY_OFFSITE_KEYS=5000000 SPILLWAY_OFFSITE_KILLS=20 go test ./cmd/spillway -run TestOffsite -v -timeout 3h
func TestOffsite(t *testing.T) {
	t.Parallel()
	kills := offsiteEnv("SPILLWAY_OFFSITE_KILLS", 2)
	seed := uint64(offsiteEnv("SPILLWAY_OFFSITE_SEED", int(time.Now().UnixNano()>>10)))
	t.Logf("seed %d; again with SPILLWAY_OFFSITE_SEED=%[1]d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	x := newDistant(t, offsiteEnv("SPILLWAY_OFFSITE_KEYS", 50_000))

	began := time.Now()
	if got := x.d.bgsave(); got != "ok" {
		t.Fatalf("the first checkpoint: %s\n%s", got, x.d.log.String())
	}
	usual := time.Since(began)
	t.Logf("a checkpoint of %d keys takes %v", x.keys, usual.Round(time.Millisecond))

	var victims []string
	for range kills {
		victims = append(victims, "plugin blob", "plugin tools", "daemon", "s3")
	}
	rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	failed, partial := 0, 0
	for round, victim := range victims {
		stop := x.writers()
		x.d.do("BGSAVE")
		time.Sleep(time.Duration(rng.Int64N(int64(usual) + 1)))
		switch victim {
		case "daemon":
			x.d.kill()
			stop()
			x.start()
		case "s3":
			x.s3.Kill()
			x.jobOver()
			stop()
			x.s3.Start()
		default:
			x.killPlugin(strings.TrimPrefix(victim, "plugin "))
			x.jobOver()
			stop()
		}
		if victim != "daemon" && x.d.info("rdb_last_bgsave_status") != "ok" {
			failed++
		}
		x.verify(x.d, round)
		before, left := x.remote()
		if left > 0 {
			partial++
		}
		stop = x.writers()
		if got := x.d.bgsave(); got != "ok" {
			t.Fatalf("round %d, the checkpoint after the kill of %s: %s\n%s\n%s", round, victim, got, x.d.log.String(), x.s3.Log())
		}
		stop()
		verify(t, x.d, x.state, round)
		after, _ := x.remote()
		if gen, err := strconv.ParseUint(x.d.info("spillway_checkpoint_generation"), 10, 64); err != nil || before[gen] || !after[gen] {
			t.Fatalf("round %d: the checkpoint of generation %d (%v) is not in the bucket, which has %v and had %v", round, gen, err, after, before)
		}
	}
	t.Logf("%d kills; %d checkpoints failed by one, %d times the bucket held an incomplete set", len(victims), failed, partial)

	// A moment between two checkpoints, and one behind the last. Then the
	// machine is gone.
	moment, then := x.moment()
	x.verify(x.d, len(victims))
	if got := x.d.bgsave(); got != "ok" {
		t.Fatalf("the last checkpoint: %s", got)
	}
	_, now := x.moment()
	time.Sleep(2 * time.Second) // what was not archived by then has a lag to show
	x.d.waitFor("the archive", func() bool { return x.d.info("archive_waiting") == "0" && x.d.info("archive_lag_sec") == "0" })
	x.d.kill()
	x.restored("latest", now, len(victims)+1)
	x.restored(moment, then, len(victims)+2)
}

// moment has the writers write, and returns a time after that, at which nobody
// wrote, with the state that was acknowledged by then.
func (x *distant) moment() (at string, state []acked) {
	x.t.Helper()
	stop := x.writers()
	time.Sleep(300 * time.Millisecond)
	stop()
	verify(x.t, x.d, x.state, -1)
	time.Sleep(10 * time.Millisecond)
	at, state = time.Now().UTC().Format(time.RFC3339Nano), slices.Clone(x.state)
	time.Sleep(10 * time.Millisecond)
	return at, state
}

// restored brings a moment back on an empty machine and compares it with what
// was there then.
func (x *distant) restored(at string, state []acked, round int) {
	x.t.Helper()
	to := filepath.Join(x.t.TempDir(), "restored")
	mustRun(x.t, "restore", "--from", x.url(), "--from", x.logURL(), "--at", at, "--to", to, "--plain", "--identity", x.key, "--quiet")
	d := startDaemon(x.t, to, "--save", "", "--shards", "3")
	x.state = state
	x.verify(d, round)
	d.stop()
}
