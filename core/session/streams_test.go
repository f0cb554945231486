package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// entryReply is what a client gets that waits for one stream.
func entryReply(key, id string) string {
	bulk := func(s string) string { return "$" + string(rune('0'+len(s))) + "\r\n" + s + "\r\n" }
	return "*1\r\n*2\r\n" + bulk(key) + "*1\r\n*2\r\n" + bulk(id) + "*2\r\n" + bulk("f") + bulk("v")
}

// TestBlockedReaders: an entry wakes all who wait for it with XREAD, which "$" means
// what it did when they came.
func TestBlockedReaders(t *testing.T) {
	h := coretest.New(t)
	h.Do("XADD", "s", "1-1", "f", "v")
	a, b, c := newClient(t, h), newClient(t, h), newClient(t, h)
	a.mustBlock("XREAD BLOCK 0 STREAMS s $")
	b.mustBlock("XREAD COUNT 1 BLOCK 100000 STREAMS none s 0 1-1")
	c.mustBlock("XREAD BLOCK 0 STREAMS none $")
	h.Do("XADD", "s", "1-2", "f", "v")
	h.Do("XADD", "s", "1-3", "f", "v")
	if got := h.Do("XLEN", "s"); got != "3" {
		t.Errorf("%s entries", got)
	}
	a.out.Taken()
	b.resumed(entryReply("s", "1-2"))
	if outcome := a.Resume(&a.out); !strings.Contains(string(a.out.Buf), "1-2") || strings.Contains(string(a.out.Buf), "1-1") {
		t.Errorf("outcome %v, reply %q", outcome, a.out.Buf)
	}
	a.Finish(&a.out)
	// Another type in its place is not what it waits for.
	h.Do("SET", "none", "v")
	if c.Ready() {
		c.Resume(&c.out)
	}
	if !c.Blocked() || len(c.out.Buf) > 0 {
		t.Fatalf("a client that waits for a stream gets %q", c.out.Buf)
	}
	h.Do("DEL", "none")
	h.Do("XADD", "none", "7-7", "f", "v")
	c.resumed(entryReply("none", "7-7"))
}

// TestBlockedConsumers: an entry goes to one consumer of a group, and what it does is
// logged; the end of the group, or of its key, is an error.
func TestBlockedConsumers(t *testing.T) {
	h := coretest.New(t)
	h.Do("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
	a, b := newClient(t, h), newClient(t, h)
	a.mustBlock("XREADGROUP GROUP g a BLOCK 0 STREAMS s >")
	h.Do("XADD", "s", "1-1", "f", "v")
	a.resumed(entryReply("s", "1-1"))
	a.mustBlock("XREADGROUP GROUP g a BLOCK 0 STREAMS s >")
	b.mustBlock("XREADGROUP GROUP g b BLOCK 0 STREAMS s >")
	h.Do("XADD", "s", "1-2", "f", "v")
	a.resumed(entryReply("s", "1-2"))
	if b.Ready() {
		b.Resume(&b.out)
	}
	if !b.Blocked() || len(b.out.Buf) > 0 {
		t.Fatalf("another consumer gets %q", b.out.Buf)
	}
	h.Do("XGROUP", "DESTROY", "s", "g")
	b.resumed("-NOGROUP the consumer group this client was blocked on no longer exists\r\n")
	h.Do("XGROUP", "CREATE", "s", "g", "0")
	h.Do("XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">")
	want := h.Do("XINFO", "STREAM", "s", "FULL")
	h.Crash(0)
	if got := h.Do("XINFO", "STREAM", "s", "FULL"); got != want {
		t.Errorf("after a crash\n%s\nwant\n%s", got, want)
	}
	for _, how := range [][]string{{"DEL", "s"}, {"SET", "s", "v"}} {
		h.Do("DEL", "s")
		h.Do("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
		c := newClient(t, h)
		c.mustBlock("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
		h.Do(how...)
		c.resumed("-UNBLOCKED the stream key no longer exists\r\n")
	}
}

// TestBlockedClaims: a consumer that waits with CLAIM gets a new entry at once, and an
// entry of another consumer when that has been pending for long enough, which the tick
// finds out; who has waited longest gets it. A wait that ends leaves nothing behind.
func TestBlockedClaims(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	h.Do("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
	h.Do("XGROUP", "CREATE", "other", "g", "$", "MKSTREAM")
	a, b := newClient(t, h), newClient(t, h)
	blocked := func(c *client) {
		t.Helper()
		if c.Ready() {
			c.Resume(&c.out)
		}
		if !c.Blocked() || len(c.out.Buf) > 0 {
			t.Fatalf("a client that waits gets %q", c.out.Buf)
		}
	}
	a.mustBlock("XREADGROUP GROUP g a BLOCK 0 CLAIM 1000 STREAMS s >")
	b.mustBlock("XREADGROUP GROUP g b BLOCK 0 CLAIM 1000 STREAMS other s > >")
	h.Do("XADD", "s", "1-1", "f", "v")
	entry := "*4\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
	a.resumed("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + entry + ":0\r\n:0\r\n")
	h.Clock.Advance(999 * time.Millisecond)
	h.DB.Tick()
	blocked(b)
	a.mustBlock("XREADGROUP GROUP g a BLOCK 5000 CLAIM 1000 STREAMS s >")
	h.Clock.Advance(time.Millisecond)
	h.DB.Tick()
	b.resumed("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + entry + ":1000\r\n:1\r\n")
	blocked(a) // what it waited for is another's now
	h.Clock.Advance(999 * time.Millisecond)
	h.Do("XCLAIM", "s", "g", "c", "0", "1-1") // and is later a third one's
	h.Clock.Advance(time.Millisecond)
	h.DB.Tick()
	blocked(a)
	h.Clock.Advance(999 * time.Millisecond)
	h.DB.Tick()
	a.resumed("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + entry + ":1000\r\n:3\r\n")
	a.mustBlock("XREADGROUP GROUP g a BLOCK 5 CLAIM 1000 STREAMS s >")
	if n := a.Alarms(); n != 1 {
		t.Errorf("%d alarms while a client waits", n)
	}
	h.Clock.Advance(5 * time.Millisecond)
	a.resumed("*-1\r\n")
	if n := a.Alarms(); n != 0 {
		t.Errorf("%d alarms when nobody waits", n)
	}
	want := h.Do("XINFO", "STREAM", "s", "FULL")
	h.Crash(0)
	if got := h.Do("XINFO", "STREAM", "s", "FULL"); got != want {
		t.Errorf("after a crash\n%s\nwant\n%s", got, want)
	}
}
