package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func openForSubscribers(t *testing.T) *core.DB {
	t.Helper()
	db, err := core.Open(core.Options{FS: memfs.New(), Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestSubscribe: an embedding program receives what sessions and itself publish,
// and keyspace notifications, in order.
func TestSubscribe(t *testing.T) {
	db := openForSubscribers(t)
	sub, all := db.Subscribe("a", "b"), db.PSubscribe("__key*", "a")
	defer all.Close()
	s := db.Session()
	do := func(want string, args ...string) {
		t.Helper()
		if v, err := s.Do(args...); err != nil || v.String() != want {
			t.Errorf("%q: %v, %v, want %s", args, v, err, want)
		}
	}
	do("2", "PUBLISH", "a", "one")
	if n := db.Publish("b", []byte("two")); n != 1 {
		t.Errorf("%d have received it", n)
	}
	do(`"OK"`, "CONFIG", "SET", "notify-keyspace-events", "E$")
	do(`"OK"`, "SET", "k", "v")
	do(`"OK"`, "SET", "k", "w")
	receive := func(s *core.Subscription, want string) {
		t.Helper()
		m, err := s.Receive(context.Background())
		if got := fmt.Sprintf("%s %s %s", m.Channel, m.Pattern, m.Payload); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	receive(sub, "a  one")
	receive(sub, "b  two")
	receive(all, "a a one")
	receive(all, "__keyevent@0__:set __key* k")
	receive(all, "__keyevent@0__:set __key* k")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sub.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with its context ended: %v", err)
	}
	got := make(chan error)
	go func() {
		_, err := sub.Receive(context.Background())
		got <- err
	}()
	sub.Close()
	if err := <-got; !errors.Is(err, core.ErrSubscriptionClosed) {
		t.Errorf("closed: %v", err)
	}
	do("1", "PUBLISH", "a", "three")

	// A session's Do has one reply for each command, and nothing to be told with.
	do("(error) ERR SUBSCRIBE isn't allowed for a DENY BLOCKING client", "SUBSCRIBE", "a")
	do("(error) ERR MONITOR isn't allowed for DENY BLOCKING client", "MONITOR")
}

// TestSubscriptionIsBounded: one that does not receive is ended, and keeps nothing.
func TestSubscriptionIsBounded(t *testing.T) {
	db := openForSubscribers(t)
	sub := db.Subscribe("a")
	payload := make([]byte, 1<<20)
	for range 40 {
		db.Publish("a", payload)
	}
	for range 2 {
		if m, err := sub.Receive(context.Background()); !errors.Is(err, core.ErrSlowSubscriber) {
			t.Errorf("%d bytes, %v", len(m.Payload), err)
		}
	}
	if n := db.Publish("a", payload); n != 0 {
		t.Errorf("%d still receive", n)
	}
}

// TestSubscriptionEndsWithTheEngine: Receive does not outlive it.
func TestSubscriptionEndsWithTheEngine(t *testing.T) {
	db := openForSubscribers(t)
	sub := db.Subscribe("a")
	got := make(chan error)
	go func() {
		_, err := sub.Receive(context.Background())
		got <- err
	}()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, core.ErrSubscriptionClosed) {
		t.Errorf("%v", err)
	}
}
