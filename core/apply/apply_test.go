package apply_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

func newKeyspace(t *testing.T, shards int) *keyspace.Keyspace {
	ks := keyspace.New(keyspace.Config{Shards: shards, Databases: 2})
	t.Cleanup(ks.Close)
	return ks
}

func cmd(line string) wal.Cmd {
	var c wal.Cmd
	for _, w := range strings.Fields(line) {
		c.Args = append(c.Args, []byte(w))
	}
	return c
}

func cmds(lines ...string) (out []wal.Cmd) {
	for _, l := range lines {
		out = append(out, cmd(l))
	}
	return out
}

// lock locks the shards of keys, and returns what unlocks them.
func lock(ks *keyspace.Keyspace, keys ...string) (unlock func()) {
	args := [][]byte{[]byte("MGET")}
	for _, k := range keys {
		args = append(args, []byte(k))
	}
	shards, err := command.Shards(command.Lookup(args[0]), args, ks, nil)
	if err != nil {
		panic(err)
	}
	for _, n := range shards {
		ks.Shard(n).Lock()
	}
	return func() {
		for _, n := range shards {
			ks.Shard(n).Unlock()
		}
	}
}

// get is the string at key, "" for none. The key's shard is locked.
func get(ks *keyspace.Keyspace, key string) string {
	var out resp.Writer
	c := command.Ctx{KS: ks, Replaying: true}
	c.Reset([][]byte{[]byte("GET"), []byte(key)}, &out, 0, -1, 0)
	command.Call(&c, command.Lookup([]byte("get")))
	lines := strings.Split(string(out.Buf), "\r\n")
	if len(lines) < 2 || lines[0] == "$-1" {
		return ""
	}
	return lines[1]
}

// balances is the sum of all accounts as one read sees it.
func balances(ks *keyspace.Keyspace, accounts []string) int {
	defer lock(ks, accounts...)()
	sum := 0
	for _, a := range accounts {
		if s := get(ks, a); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil {
				panic(err)
			}
			sum += n
		}
	}
	return sum
}

// accounts are keys on all shards.
func accounts(t *testing.T, ks *keyspace.Keyspace, n int) (keys []string) {
	on := make(map[int]bool)
	for i := range n {
		keys = append(keys, "account:"+strconv.Itoa(i))
		on[ks.ShardOf([]byte(keys[i]))] = true
	}
	if len(on) != ks.NumShards() {
		t.Fatalf("%d accounts are on %d of %d shards", n, len(on), ks.NumShards())
	}
	return keys
}

// watch reads while apply runs, and wants every sum to be want.
func watch(t *testing.T, ks *keyspace.Keyspace, keys []string, want int, apply func()) {
	t.Helper()
	var (
		done    atomic.Bool
		wg      sync.WaitGroup
		reading = make(chan struct{})
		looks   atomic.Int64
	)
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !done.Load() {
				if got := balances(ks, keys); got != want {
					t.Errorf("a reader saw %d in all accounts, want %d", got, want)
					done.Store(true)
				}
				if looks.Add(1) == 1 {
					close(reading)
				}
			}
		}()
	}
	<-reading
	apply()
	done.Store(true)
	wg.Wait()
	t.Logf("%d sums", looks.Load())
}

// TestTransactionsAreSeenWhole applies the log of a bank while others look at
// it: in every block some customers move money between accounts on different
// shards, one step after the other, and others do what touches none.
func TestTransactionsAreSeenWhole(t *testing.T) {
	for _, shards := range []int{2, 5} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			ks := newKeyspace(t, shards)
			keys := accounts(t, ks, 12)
			a := apply.New(ks, apply.Options{Readers: true})
			defer a.Close()
			for _, k := range keys {
				if err := a.Apply(cmd("SET "+k+" 1000"), apply.Origin{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Wait(); err != nil {
				t.Fatal(err)
			}
			rnd := rand.New(rand.NewPCG(1, uint64(shards)))
			other := 0
			watch(t, ks, keys, 1000*len(keys), func() {
				for seq := range 3000 {
					b := wal.Block{Seq: uint64(seq + 1)}
					if seq%3 == 0 {
						for range rnd.IntN(40) {
							b.Cmds = append(b.Cmds, cmd(fmt.Sprintf("APPEND other:%d x", other%50)))
							other++
						}
					} else {
						b.Tx = true
						for range 1 + rnd.IntN(3) {
							n := rnd.IntN(50)
							from, to := keys[rnd.IntN(len(keys))], keys[rnd.IntN(len(keys))]
							b.Cmds = append(b.Cmds, cmds(fmt.Sprintf("DECRBY %s %d", from, n), fmt.Sprintf("INCRBY %s %d", to, n))...)
						}
					}
					if err := a.Block("log", b); err != nil {
						t.Error(err)
					}
				}
				if err := a.Wait(); err != nil {
					t.Error(err)
				}
			})
			if got := balances(ks, keys); got != 1000*len(keys) {
				t.Errorf("%d in the end", got)
			}
			written := 0
			for i := range 50 {
				key := "other:" + strconv.Itoa(i)
				unlock := lock(ks, key)
				written += len(get(ks, key))
				unlock()
			}
			if written != other {
				t.Errorf("%d of %d other commands are in the keyspace", written, other)
			}
		})
	}
}

// TestTransactionsOfOneShardAreSeenWhole: they are applied with much else, in
// batches, and no batch ends within one.
func TestTransactionsOfOneShardAreSeenWhole(t *testing.T) {
	ks := newKeyspace(t, 2)
	keys := []string{"{bank}a", "{bank}b"}
	a := apply.New(ks, apply.Options{Readers: true})
	defer a.Close()
	watch(t, ks, keys, 0, func() {
		for range 20_000 {
			if err := a.Transaction(cmds("DECR {bank}a", "INCR {bank}b", "INCR {bank}c"), apply.Origin{}); err != nil {
				t.Error(err)
			}
		}
		if err := a.Wait(); err != nil {
			t.Error(err)
		}
	})
	if got := balances(ks, []string{"{bank}c"}); got != 20_000 {
		t.Errorf("%d transactions were applied", got)
	}
}

// TestCommandsOnSeveralShardsAreSeenWhole: a RENAME is one step, behind what came
// before it.
func TestCommandsOnSeveralShardsAreSeenWhole(t *testing.T) {
	ks := newKeyspace(t, 4)
	keys := accounts(t, ks, 12)
	a := apply.New(ks, apply.Options{Readers: true})
	defer a.Close()
	money := "MSET"
	for i, k := range keys {
		money += fmt.Sprintf(" %s %d", k, i*i)
	}
	if err := a.Apply(cmd(money), apply.Origin{}); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	watch(t, ks, append(keys, "purse"), 506, func() {
		for range 3000 {
			// The contents of one account go to the purse and back.
			from := keys[rnd.IntN(len(keys))]
			for _, line := range []string{"RENAME " + from + " purse", "RENAME purse " + from} {
				if err := a.Apply(cmd(line), apply.Origin{}); err != nil {
					t.Error(err)
				}
			}
		}
		if err := a.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestOrderOfOneShard: whatever path a command takes, through a batch, in a
// transaction or by itself, it is applied behind the earlier ones of its key.
func TestOrderOfOneShard(t *testing.T) {
	for seed := range uint64(12) {
		ks := newKeyspace(t, 3)
		a := apply.New(ks, apply.Options{Readers: seed%3 > 0})
		rnd := rand.New(rand.NewPCG(seed, 7))
		var keys []string
		for i := range 6 {
			keys = append(keys, "k"+strconv.Itoa(i))
		}
		want := make(map[string]string)
		add := func() wal.Cmd {
			k, v := keys[rnd.IntN(len(keys))], strconv.Itoa(rnd.IntN(10))
			want[k] += v
			return cmd("APPEND " + k + " " + v)
		}
		rare := []int{10, 1500}[seed%2] // with the lanes idle, or with batches on their way
		for range 3000 {
			var err error
			switch rnd.IntN(rare) {
			case 0:
				err = a.Transaction([]wal.Cmd{add(), add(), add()}, apply.Origin{})
			case 1:
				from, to := keys[rnd.IntN(len(keys))], keys[rnd.IntN(len(keys))]
				if want[from] == "" || from == to {
					continue
				}
				want[to], want[from] = want[from], ""
				err = a.Apply(cmd("RENAME "+from+" "+to), apply.Origin{})
			default:
				err = a.Apply(add(), apply.Origin{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Wait(); err != nil {
			t.Fatal(err)
		}
		a.Close()
		for _, k := range keys {
			if got := get(ks, k); got != want[k] {
				t.Fatalf("seed %d: %s is %q, want %q", seed, k, got, want[k])
			}
		}
	}
}

// TestRefusals: what cannot be applied is told with its place, by whichever path
// it was to be applied.
func TestRefusals(t *testing.T) {
	at := apply.Origin{File: "log/7.aof", Block: 12, Offset: 345}
	const mend = "spillway repair --generation"
	for name, c := range map[string]struct {
		cmds  []wal.Cmd
		tx    bool
		wants string
	}{
		"unknown":                    {cmds("NOSUCH k"), false, `block 12 at offset 345: "NOSUCH" is no write command; start`},
		"a read":                     {cmds("GET k"), false, `"GET" is no write command`},
		"arguments":                  {cmds("SET k"), false, "wrong number of arguments for 'set' command"},
		"database":                   {[]wal.Cmd{{DB: 2, Args: cmd("SET k v").Args}}, false, "set in database 2, but only 2 are configured"},
		"wrong type, on one shard":   {cmds("SADD s a", "INCR s"), false, `log/7.aof, block 12 at offset 345: "INCR" does not apply to the state before it: WRONGTYPE`},
		"in a transaction":           {cmds("SADD s a", "INCR s"), true, `"INCR" does not apply`},
		"in a transaction, on two":   {cmds("SADD s a", "SET a 1", "SET b 1", "SET c 1", "INCR s"), true, `"INCR" does not apply`},
		"unknown, in a transaction":  {cmds("SET s a", "NOSUCH b"), true, `"NOSUCH" is no write command`},
		"no number, on many":         {cmds("SADD a x", "SET b x", "SET c x", "RENAME nosuch b"), false, `"RENAME" does not apply to the state before it: ERR no such key`},
		"what is before a many":      {cmds("SADD a x", "INCR a", "FLUSHALL"), false, `"INCR" does not apply`},
		"what is before a many, too": {cmds("SADD a x", "INCR a", "FLUSHALL", "INCR b"), false, `"INCR" does not apply`},
	} {
		for _, readers := range []bool{false, true} {
			a := apply.New(newKeyspace(t, 4), apply.Options{Readers: readers})
			err := a.Block(at.File, wal.Block{Seq: at.Block, Offset: at.Offset, Tx: c.tx, Cmds: c.cmds})
			if err == nil {
				err = a.Wait()
			}
			if err == nil || !strings.Contains(err.Error(), c.wants) || !strings.Contains(err.Error(), mend) && name != "database" {
				t.Errorf("%s: %v\nwant %s", name, err, c.wants)
			}
			a.Close()
		}
	}
	a := apply.New(newKeyspace(t, 1), apply.Options{})
	defer a.Close()
	at.Block, at.Foreign = 0, true
	if err := a.Apply(cmd("GET k"), at); err == nil || !strings.HasPrefix(err.Error(), "log/7.aof, offset 345: ") || strings.Contains(err.Error(), mend) {
		t.Errorf("foreign: %v", err)
	}
}

// TestNothingBehindAnError: a shard on which a command could not be applied gets
// no later one.
func TestNothingBehindAnError(t *testing.T) {
	ks := newKeyspace(t, 1)
	a := apply.New(ks, apply.Options{Readers: true})
	defer a.Close()
	_ = a.Apply(cmd("SADD s a"), apply.Origin{})
	_ = a.Apply(cmd("INCR s"), apply.Origin{})
	for range 5000 {
		if err := a.Apply(cmd("INCR n"), apply.Origin{}); err != nil {
			break
		}
	}
	if err := a.Wait(); err == nil || !strings.Contains(err.Error(), "INCR") {
		t.Error(err)
	}
	if err := a.Transaction(cmds("INCR n", "INCR m"), apply.Origin{}); err == nil {
		err = a.Wait()
		if err == nil {
			t.Error("it goes on")
		}
	}
	defer lock(ks, "n")()
	if got := get(ks, "n"); got != "" {
		t.Errorf("%q was applied behind it", got)
	}
}

// TestMemoryIsUsedAgain: what a block's commands lie in is written over as soon as it was handed over, all of it or,
// if it lasts, the arguments' slices; every command is applied as it was, small or large, alone or in a transaction.
func TestMemoryIsUsedAgain(t *testing.T) {
	for _, o := range []apply.Options{{}, {Readers: true}} {
		ks := newKeyspace(t, 3)
		a := apply.New(ks, o)
		var keys []string
		want := make(map[string]string)
		for i := range 700 {
			b := wal.Block{Seq: uint64(i + 1), Tx: i%3 == 0, Lasts: i%5 == 0}
			for n := range 1 + i%4 {
				key := "key:" + strconv.Itoa((i*7+n)%500)
				value := strconv.Itoa(i) + strings.Repeat("v", []int{3, 50, 1000, 70_000}[min((i+n)%100, 3)])
				if (i+n)%100 > 3 {
					value = strconv.Itoa(i)
				}
				if want[key] == "" {
					keys = append(keys, key)
				}
				want[key] = value
				b.Cmds = append(b.Cmds, cmd("SET "+key+" "+value))
			}
			if i%50 == 0 { // on several shards
				b.Cmds = append(b.Cmds, cmd(fmt.Sprintf("MSET all:1 %d all:2 %d all:3 %d", i, i, i)))
			}
			if err := a.Block("log", b); err != nil {
				t.Fatal(err)
			}
			for _, c := range b.Cmds {
				for i, arg := range c.Args {
					if !b.Lasts {
						copy(arg, strings.Repeat("?", len(arg)))
					}
					c.Args[i] = []byte("??")
				}
			}
		}
		if err := a.Wait(); err != nil {
			t.Fatal(err)
		}
		a.Close()
		for _, key := range keys {
			unlock := lock(ks, key)
			if got := get(ks, key); got != want[key] {
				t.Fatalf("%+v: %s is %.20q (%d bytes), want %.20q (%d)", o, key, got, len(got), want[key], len(want[key]))
			}
			unlock()
		}
		if len(keys) != 500 {
			t.Fatal(len(keys), "keys")
		}
	}
}

// TestRewrite: a part of a rewrite, cut anywhere, is either loaded or refused
// with the place.
func TestRewrite(t *testing.T) {
	var whole []byte
	ends := []int{0}
	for _, line := range []string{"SELECT 1", "SET a 1", "SELECT 0", "RPUSH l x y z", "PEXPIREAT l 99999999999999"} {
		whole = resp.AppendCommand(whole, cmd(line).Args...)
		ends = append(ends, len(whole))
	}
	for cut := range len(whole) + 1 {
		n, between := slices.BinarySearch(ends, cut)
		if !between {
			n--
		}
		err := apply.Rewrite(newKeyspace(t, 2), strings.NewReader(string(whole[:cut])), "part-3")
		if between && err != nil || !between && (err == nil || err.Error() != fmt.Sprintf("offset %d: unexpected EOF", ends[n])) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	for in, want := range map[string]string{
		"SELECT 2\r\n":            `SELECT "2": only 2 databases are configured`,
		"SELECT x\r\n":            `SELECT "x": not one of 2 databases`,
		"SET a 1\r\nINCR a\r\n":   "",
		"SET a x\r\nINCR a\r\n":   `part-3, offset 9: "INCR" does not apply`,
		"SET a x\r\n*1\r\n:1\r\n": "offset 9: Protocol error",
	} {
		err := apply.Rewrite(newKeyspace(t, 2), strings.NewReader(in), "part-3")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}
