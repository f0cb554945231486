package tracking

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// client is a receiver that keeps what it is told.
type client struct {
	proto      int
	subscribed bool
	got        []string
}

func (c *client) Proto() int       { return c.proto }
func (c *client) Subscribed() bool { return c.subscribed }
func (c *client) Push(msg []byte, own bool) {
	s := strings.Join(strings.Fields(string(msg)), " ")
	if own {
		s += " own"
	}
	c.got = append(c.got, s)
}

func (c *client) want(t *testing.T, what string, want ...string) {
	t.Helper()
	if !slices.Equal(c.got, want) {
		t.Errorf("%s: got %q, want %q", what, c.got, want)
	}
	c.got = nil
}

const invalidateK = ">2 $10 invalidate *1 $1 k"

func TestReadersAreToldOnce(t *testing.T) {
	wanted := int64(0)
	table := NewTable(2, func(n int64) { wanted += n })
	ra, rb := &client{proto: 3}, &client{proto: 3}
	a, b := table.Client(1, ra), table.Client(2, rb)
	if a.Remembers() {
		t.Error("one that is not tracked is remembered")
	}
	a.Start(Mode{})
	b.Start(Mode{NoLoop: true})
	for _, c := range []*Client{a, b} {
		table.Remember(c, 1, []byte("k"))
		table.Remember(c, 1, []byte("k"))
	}
	if s := table.Stats(); s != (Stats{Clients: 2, Keys: 1, Items: 2}) || wanted != 3 {
		t.Errorf("%+v, wanted by %d", s, wanted)
	}
	table.Invalidate(b, 1, []byte("k"))
	table.Invalidate(b, 1, []byte("k"))
	ra.want(t, "another has changed it", invalidateK)
	rb.want(t, "with NOLOOP, its own")
	table.Remember(a, 1, []byte("k"))
	table.Invalidate(a, 1, []byte("k"))
	ra.want(t, "its own, before the reply")
	a.Replied()
	ra.want(t, "its own, behind the reply", invalidateK+" own")
	table.Remember(a, 1, []byte("k"))
	a.Stop()
	table.Invalidate(nil, 1, []byte("k"))
	ra.want(t, "tracked no more")
	table.Remember(b, 1, []byte("k"))
	b.Close()
	table.Invalidate(nil, 1, []byte("k"))
	if s := table.Stats(); s != (Stats{}) || wanted != 0 {
		t.Errorf("left: %+v, wanted by %d", s, wanted)
	}
}

func TestTableIsBounded(t *testing.T) {
	table := NewTable(2, func(int64) {})
	table.SetMaxKeys(10)
	r := &client{proto: 3}
	c := table.Client(1, r)
	c.Start(Mode{})
	for i := range 100 {
		table.Remember(c, i%2, fmt.Append(nil, i))
		if s := table.Stats(); s.Keys > 10 || s.Keys != s.Items {
			t.Fatalf("%+v", s)
		}
	}
	c.Replied()
	if len(r.got) != 90 {
		t.Errorf("told of %d keys that were forgotten, want 90", len(r.got))
	}
	table.SetMaxKeys(3)
	table.Limit(0, nil)
	table.Limit(1, nil)
	if s := table.Stats(); s.Keys != 3 {
		t.Errorf("%+v", s)
	}
	table.SetMaxKeys(0)
	table.Flush(nil)
	r.got = nil
	for i := range 100 {
		table.Remember(c, 0, fmt.Append(nil, i))
	}
	if s := table.Stats(); s.Keys != 100 {
		t.Errorf("without a limit: %+v", s)
	}
}

func TestBroadcastIsOneMessageAPrefix(t *testing.T) {
	table := NewTable(1, func(int64) {})
	ra, rb := &client{proto: 3}, &client{proto: 3}
	a, b := table.Client(1, ra), table.Client(2, rb)
	a.Start(Mode{Broadcast: true, Prefixes: []string{"u:", "v"}})
	b.Start(Mode{Broadcast: true, NoLoop: true})
	if a.Remembers() {
		t.Error("what one reads who is told of everything is remembered")
	}
	for _, k := range []string{"v", "u:2", "w", "u:1", "u:2"} {
		table.Invalidate(b, 0, []byte(k))
	}
	ra.want(t, "before the end of the batch")
	b.Flush()
	b.Flush()
	ra.want(t, "its prefixes", ">2 $10 invalidate *2 $3 u:1 $3 u:2", ">2 $10 invalidate *1 $1 v")
	rb.want(t, "with NOLOOP, its own")
	table.Vanished(b, 0, []byte("expired"))
	rb.want(t, "with NOLOOP, what has expired", ">2 $10 invalidate *1 $7 expired")
	if p, other, existing, found := a.Overlap([]string{"x", "u:1"}); !found || p != "u:1" || other != "u:" || !existing {
		t.Error(p, other, existing, found)
	}
	if p, other, existing, found := a.Overlap([]string{"x", "xy"}); !found || p != "x" || other != "xy" || existing {
		t.Error(p, other, existing, found)
	}
	a.Close()
	b.Close()
	if s := table.Stats(); s != (Stats{}) {
		t.Errorf("left: %+v", s)
	}
}

func TestRedirection(t *testing.T) {
	table := NewTable(1, func(int64) {})
	ra, rb := &client{proto: 2}, &client{proto: 2}
	a, b := table.Client(1, ra), table.Client(2, rb)
	told := func() {
		table.Remember(a, 0, []byte("k"))
		table.Invalidate(nil, 0, []byte("k"))
	}
	a.Start(Mode{})
	told()
	ra.want(t, "RESP2 and no redirection")
	a.Start(Mode{Redirect: 2})
	told()
	rb.want(t, "RESP2 without a subscription")
	rb.subscribed = true
	told()
	rb.want(t, "RESP2", "*3 $7 message $20 __redis__:invalidate *1 $1 k")
	table.Flush(nil)
	rb.want(t, "a flush", "*3 $7 message $20 __redis__:invalidate $-1")
	rb.proto = 3
	told()
	rb.want(t, "RESP3", invalidateK)
	b.Close()
	told()
	ra.want(t, "broken, in RESP2")
	ra.proto = 3
	told()
	ra.want(t, "broken", ">2 $21 tracking-redir-broken :2")
	if !a.Broken() || a.Knows(2) || !a.Knows(1) {
		t.Error("it is not known to be broken")
	}
	a.Start(Mode{Redirect: 1})
	told()
	ra.want(t, "to itself", invalidateK)
	ra.proto, ra.subscribed = 2, true
	told()
	ra.want(t, "to itself in RESP2", "*3 $7 message $20 __redis__:invalidate *1 $1 k")
}
