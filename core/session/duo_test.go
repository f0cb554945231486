package session_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// duo is several clients of a real redis-server and as many of ours, of which each
// pair does the same. What they are told must be the same, and when.
type duo struct {
	t             *testing.T
	ours, theirs  *side
	clients       int
	transcript    []string
	told          int // replies so far
	toldByAnother int // of which commands of other clients were the cause
}

// side is the clients of one server.
type side struct {
	t       *testing.T
	name    string
	clients []*peer
	admin   *peer
}

// peer is a connection whose replies are read as they come.
type peer struct {
	net.Conn
	id      string
	replies chan string
	busy    bool // it has not been told yet
}

func newDuo(t *testing.T, clients, proto int) *duo {
	_, ours := serve(t)
	theirs := testutil.Redis(t)
	d := &duo{t: t, clients: clients}
	d.ours = newSide(t, "ours", clients, proto, func() net.Conn { return ours().Conn })
	d.theirs = newSide(t, "redis", clients, proto, theirs)
	return d
}

func newSide(t *testing.T, name string, clients, proto int, dial func() net.Conn) *side {
	s := &side{t: t, name: name, admin: newPeer(dial())}
	for range clients {
		p := newPeer(dial())
		s.clients = append(s.clients, p)
		if proto == 3 {
			s.ask(p, "HELLO 3")
		}
		p.id = strings.TrimSpace(s.ask(p, "CLIENT ID")[1:])
	}
	return s
}

func newPeer(nc net.Conn) *peer {
	_ = nc.SetDeadline(time.Time{}) // each reply has its own: a busy machine takes long for all of them
	p := &peer{Conn: nc, replies: make(chan string, 1000)}
	go func() {
		defer close(p.replies)
		var raw bytes.Buffer
		r := bufio.NewReaderSize(&tee{nc, &raw}, 1) // one byte at a time, so that raw ends with the reply
		for {
			if _, err := resp.ReadReply(r); err != nil {
				return
			}
			n := raw.Len() - r.Buffered()
			p.replies <- string(raw.Next(n))
		}
	}()
	return p
}

// tee is io.TeeReader.
type tee struct {
	net.Conn
	to *bytes.Buffer
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.to.Write(p[:n])
	return n, err
}

func (s *side) send(p *peer, line string) {
	s.t.Helper()
	args, ok := resp.SplitArgs([]byte(line), nil)
	if !ok {
		s.t.Fatalf("bad command line %q", line)
	}
	if _, err := p.Write(resp.AppendCommand(nil, args...)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) reply(p *peer) string {
	s.t.Helper()
	select {
	case r, ok := <-p.replies:
		if !ok {
			s.t.Fatalf("%s: the connection was closed", s.name)
		}
		return r
	case <-time.After(patience):
		s.t.Fatalf("%s: no reply", s.name)
	}
	return ""
}

func (s *side) ask(p *peer, line string) string {
	s.t.Helper()
	s.send(p, line)
	return s.reply(p)
}

// waiting are the clients that the server says are blocked.
func (s *side) waiting() map[string]bool {
	out := map[string]bool{}
	for _, line := range strings.Split(s.ask(s.admin, "CLIENT LIST"), "\n") {
		f := strings.Fields(line)
		i := slices.IndexFunc(f, func(w string) bool { return strings.HasPrefix(w, "flags=") })
		j := slices.IndexFunc(f, func(w string) bool { return strings.HasPrefix(w, "id=") })
		if i >= 0 && j >= 0 && strings.Contains(f[i], "b") {
			out[f[j][len("id="):]] = true
		}
	}
	return out
}

// step has a client send a line, and returns what every client is told until the
// server has nothing to do any more.
func (s *side) step(n int, line string) (told map[int]string) {
	s.t.Helper()
	told = map[int]string{}
	p := s.clients[n]
	s.send(p, line)
	p.busy = true
	for waiting := s.waiting(); p.busy && !waiting[p.id]; waiting = s.waiting() {
		select {
		case r := <-p.replies:
			p.busy, told[n] = false, r
		default: // it is still to be executed
		}
	}
	waiting := s.waiting()
	for i, p := range s.clients {
		if p.busy && !waiting[p.id] {
			told[i] = s.reply(p)
			p.busy = false
		}
	}
	return told
}

// step has both clients of a pair send a line, and compares.
func (d *duo) step(n int, line string) (told map[int]string) {
	d.t.Helper()
	told = d.ours.step(n, line)
	want := d.theirs.step(n, line)
	d.transcript = append(d.transcript, fmt.Sprintf("%d> %s", n, line))
	for i := range d.clients {
		if told[i] != want[i] {
			d.t.Fatalf("client %d is told %q, by redis %q\n%s", i, told[i], want[i], strings.Join(d.transcript, "\n"))
		}
		if told[i] != "" {
			d.transcript = append(d.transcript, fmt.Sprintf("%d  %q", i, told[i]))
			d.told++
			if i != n {
				d.toldByAnother++
			}
		}
	}
	return told
}

// same compares what the servers hold.
func (d *duo) same(keys ...string) {
	d.t.Helper()
	for _, k := range keys {
		for _, ask := range []string{"TYPE ", "LRANGE * 0 -1", "ZRANGE * 0 -1 WITHSCORES"} {
			line := strings.ReplaceAll(ask, "*", k)
			if !strings.Contains(ask, "*") {
				line += k
			}
			if a, b := d.ours.ask(d.ours.admin, line), d.theirs.ask(d.theirs.admin, line); a != b {
				d.t.Fatalf("%s: %q, in redis %q\n%s", line, a, b, strings.Join(d.transcript, "\n"))
			}
		}
	}
}

// end has every client give up, and compares what it is told.
func (d *duo) end() {
	d.t.Helper()
	for i := range d.clients {
		p, q := d.ours.clients[i], d.theirs.clients[i]
		if p.busy != q.busy {
			d.t.Fatalf("client %d waits: %v, in redis %v\n%s", i, p.busy, q.busy, strings.Join(d.transcript, "\n"))
		}
		if !p.busy {
			continue
		}
		reason := []string{"TIMEOUT", "ERROR"}[i%2]
		a, b := d.ours.ask(d.ours.admin, "CLIENT UNBLOCK "+p.id+" "+reason), d.theirs.ask(d.theirs.admin, "CLIENT UNBLOCK "+q.id+" "+reason)
		if a != ":1\r\n" || b != a {
			d.t.Fatalf("CLIENT UNBLOCK: %q, in redis %q", a, b)
		}
		if a, b := d.ours.reply(p), d.theirs.reply(q); a != b {
			d.t.Fatalf("client %d, unblocked: %q, in redis %q\n%s", i, a, b, strings.Join(d.transcript, "\n"))
		}
		p.busy, q.busy = false, false
	}
}
