package core_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

// A directory, a session, commands. Every write is on the disk before Do returns.
func ExampleOpenDir() {
	dir, err := os.MkdirTemp("", "spillway-example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := core.OpenDir(filepath.Join(dir, "data"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	s := db.Session() // one goroutine's; there may be any number
	defer s.Close()

	for _, cmd := range [][]string{{"HSET", "user:1", "name", "Ann", "visits", "1"}, {"HINCRBY", "user:1", "visits", "2"}, {"HGET", "user:1", "visits"}, {"INCR", "user:1"}} {
		v, err := s.Do(cmd...)
		if err != nil {
			panic(err) // it could not be executed at all
		}
		if err := v.Err(); err != nil {
			fmt.Println(cmd[0], "fails:", err)
			continue
		}
		fmt.Println(cmd[0], v.Text())
	}
	// Output:
	// HSET 2
	// HINCRBY 3
	// HGET 3
	// INCR fails: WRONGTYPE Operation against a key holding the wrong kind of value
}

// Checkpoints are compressed and go to a second place too. SAVE returns when both
// have them; events, which come a moment later, tell of those too that happen by
// themselves.
func ExampleOpen() {
	compress, err := zstd.New(zstd.Options{})
	if err != nil {
		panic(err)
	}
	backup := sink.NewFSSink("backup", memfs.New(), "checkpoints") // any sink.Sink
	committed := make(chan core.CheckpointEvent, 1)
	db, err := core.Open(core.Options{
		FS:      memfs.New(), // osfs.New(dir) is a directory
		Stages:  []sink.Stage{compress},
		Targets: []sink.Target{{Name: "backup", Sink: backup, Required: true, Keep: sink.Retention{Last: 7}}},
		Events:  core.Events{CheckpointCommitted: func(e core.CheckpointEvent) { committed <- e }},
	})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	s := db.Session()
	defer s.Close()
	for _, cmd := range [][]string{{"SET", "greeting", "hello"}, {"SAVE"}} {
		if v, err := s.Do(cmd...); err != nil || v.Err() != nil {
			panic(fmt.Sprint(err, v.Err()))
		}
	}
	e := <-committed
	fmt.Println("committed a", e.Kind, "of", e.Keys, "key")
	sets, err := backup.List(context.Background())
	fmt.Println("the backup has", len(sets), "set:", sets[0].Parts[0].Part.Name, err)
	// Output:
	// committed a snapshot of 1 key
	// the backup has 1 set: shard-0000.rdb.zst <nil>
}

// A blocking command waits as long as its context lets it.
func ExampleSession() {
	db, err := core.Open(core.Options{FS: memfs.New()})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	worker, client := db.Session(), db.Session()
	defer worker.Close()
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = worker.DoContext(ctx, "BLPOP", "jobs", "0")
	fmt.Println(err)

	if _, err := client.Do("RPUSH", "jobs", "one"); err != nil {
		panic(err)
	}
	v, err := worker.DoContext(context.Background(), "BLPOP", "jobs", "0")
	fmt.Println(v, err)
	// Output:
	// context deadline exceeded
	// ["jobs" "one"] <nil>
}

// What clients publish reaches the program that has the engine in it.
func ExampleDB_Subscribe() {
	db, err := core.Open(core.Options{FS: memfs.New()})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	sub := db.Subscribe("news")
	defer sub.Close()
	s := db.Session()
	defer s.Close()
	if _, err := s.Do("PUBLISH", "news", "it works"); err != nil {
		panic(err)
	}
	m, err := sub.Receive(context.Background())
	fmt.Printf("%s: %s, %v\n", m.Channel, m.Payload, err)
	// Output: news: it works, <nil>
}
