package pubsub

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"testing"
)

// log is a receiver that keeps what it gets.
type log struct {
	mu  sync.Mutex
	got []string
}

func (l *log) Receive(m *Message, own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := fmt.Sprintf("%s %s", m.Channel, m.Payload)
	if m.Kind == Pattern {
		s = m.Pattern + " " + s
	}
	if own {
		s += " (own)"
	}
	l.got = append(l.got, s)
}

func testHub() *Hub {
	return NewHub(func(pattern, name []byte) bool {
		ok, _ := path.Match(string(pattern), string(name))
		return ok
	})
}

func wantAll(t *testing.T, l *log, want ...string) {
	t.Helper()
	if !slices.Equal(l.got, want) {
		t.Errorf("got %q, want %q", l.got, want)
	}
	l.got = nil
}

func TestPublishReachesWhoHasSubscribed(t *testing.T) {
	h := testHub()
	var la, lb log
	a, b := h.Subscriber(&la), h.Subscriber(&lb)
	if !h.Quiet() {
		t.Error("a hub without subscribers is not quiet")
	}
	a.Subscribe(Channel, []byte("x"))
	a.Subscribe(Channel, []byte("x"))
	a.Subscribe(Pattern, []byte("x*"))
	b.Subscribe(Channel, []byte("x"))
	b.Subscribe(ShardChannel, []byte("x"))
	if n := h.Publish(a, Channel, []byte("x"), []byte("1")); n != 3 {
		t.Errorf("%d receivers, want 3", n)
	}
	if n := h.Publish(nil, ShardChannel, []byte("x"), []byte("2")); n != 1 {
		t.Errorf("%d receivers of a shard channel, want 1", n)
	}
	wantAll(t, &la, "x 1 (own)", "x* x 1 (own)")
	wantAll(t, &lb, "x 1", "x 2")
	if n, s, p := h.Subscribers(Channel, []byte("x")), h.Topics(ShardChannel), h.Topics(Pattern); n != 2 || s != 1 || p != 1 {
		t.Errorf("counted %d subscribers, %d shard channels, %d patterns", n, s, p)
	}
	a.Unsubscribe(Channel, []byte("x"))
	a.Unsubscribe(Channel, []byte("never"))
	h.Publish(nil, Channel, []byte("x"), []byte("3"))
	wantAll(t, &la, "x* x 3")
	wantAll(t, &lb, "x 3")
	a.Close()
	b.Close()
	if got := h.Channels(Channel, nil); len(got) > 0 || !h.Quiet() || a.Active() {
		t.Errorf("left: %q", got)
	}
}

func TestNamesAreInTheOrderOfSubscription(t *testing.T) {
	s := testHub().Subscriber(new(log))
	for _, n := range []string{"c", "a", "b", "a"} {
		s.Subscribe(Channel, []byte(n))
	}
	s.Unsubscribe(Channel, []byte("c"))
	s.Subscribe(Channel, []byte("c"))
	if got := s.Names(Channel); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
	if s.Count(Channel) != 3 || s.Shown(Pattern) != 3 || s.Shown(ShardChannel) != 0 {
		t.Error("wrong counts")
	}
}

// TestOneOrderForAll: publishers race, and whoever listens, to the channel or to a
// pattern, sees the same order, in which each publisher's own is kept.
func TestOneOrderForAll(t *testing.T) {
	const publishers, each = 4, 300
	h := testHub()
	logs := make([]log, 3)
	for i := range logs {
		s := h.Subscriber(&logs[i])
		if i == 0 {
			s.Subscribe(Pattern, []byte("*"))
		} else {
			s.Subscribe(Channel, []byte("x"))
		}
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			churn := h.Subscriber(new(log)) // others come and go meanwhile
			for i := range each {
				churn.Subscribe(Channel, []byte("x"))
				h.Publish(nil, Channel, []byte("x"), fmt.Appendf(nil, "%d-%d", p, i))
				churn.Unsubscribe(Channel, []byte("x"))
			}
		}()
	}
	wg.Wait()
	next := make([]int, publishers)
	for i, m := range logs[1].got {
		var p, n int
		if _, err := fmt.Sscanf(m, "x %d-%d", &p, &n); err != nil {
			t.Fatal(err)
		}
		if n != next[p] {
			t.Fatalf("publisher %d: message %d came where %d was due", p, n, next[p])
		}
		next[p]++
		if logs[2].got[i] != m || logs[0].got[i] != "* "+m {
			t.Fatalf("message %d differs: %q %q %q", i, m, logs[2].got[i], logs[0].got[i])
		}
	}
	if len(logs[1].got) != publishers*each {
		t.Errorf("%d messages", len(logs[1].got))
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, subscribers := range []int{0, 1, 100} {
		b.Run(fmt.Sprint(subscribers), func(b *testing.B) {
			h := testHub()
			for range subscribers {
				h.Subscriber(discard{}).Subscribe(Channel, []byte("channel"))
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					h.Publish(nil, Channel, []byte("channel"), []byte("hello"))
				}
			})
		})
	}
}

type discard struct{}

func (discard) Receive(m *Message, _ bool) { m.Wire(3) }
