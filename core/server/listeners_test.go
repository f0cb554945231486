package server

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
)

// TestConfigSetPort: CONFIG SET port goes over to another port, or stays where it
// is when that cannot be listened on; clients that are connected stay.
func TestConfigSetPort(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	c := dial(t, addr)
	_, old, _ := net.SplitHostPort(addr)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, busy, _ := net.SplitHostPort(taken.Addr().String())
	if got := c.ask("CONFIG SET maxmemory 77mb port " + busy); got != "(error) ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs." {
		t.Errorf("a port that is taken: %s", got)
	}
	if got := c.ask("CONFIG GET maxmemory"); !strings.Contains(got, `"0"`) {
		t.Errorf("behind a failure: %s", got)
	}
	dial(t, addr).ask("PING")
	_ = taken.Close()
	if got := c.ask("CONFIG SET port " + busy); got != `"OK"` {
		t.Fatalf("a port that is free: %s", got)
	}
	if got := dial(t, "127.0.0.1:"+busy).ask("CONFIG GET port"); !strings.Contains(got, busy) {
		t.Errorf("on the new port: %s", got)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.Close()
		t.Error("the old port is still listened on")
	}
	for _, line := range []string{"CONFIG SET port 0", "CONFIG SET port " + old} {
		if got := c.ask(line); got != `"OK"` {
			t.Errorf("%s: %s", line, got)
		}
	}
	dial(t, addr).ask("PING")
}

// TestConfigSetPortOfSeveral: of two listeners the first is moved, whose port CONFIG GET
// shows before and after.
func TestConfigSetPortOfSeveral(t *testing.T) {
	s, addr := serve(t, Options{}, nil, nil)
	dial(t, addr).ask("PING") // it is served, and so the first
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Expect(second, nil)
	go func() { _ = s.Serve(second) }()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	c := dial(t, second.Addr().String())
	if got := c.ask("CONFIG SET port " + port); got != `"OK"` {
		t.Fatal(got)
	}
	if got := c.ask("CONFIG GET port"); got != fmt.Sprintf("[%q %q]", "port", port) {
		t.Errorf("moved to %s: CONFIG GET port says %s", port, got)
	}
	dial(t, "127.0.0.1:"+port).ask("PING")
	dial(t, second.Addr().String()).ask("PING")
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.Close()
		t.Error("the old port is still listened on")
	}
}

// TestConfigSetBind: addresses come and go; one that the machine does not have is
// refused, unless it may fail.
func TestConfigSetBind(t *testing.T) {
	_, addr := serve(t, Options{}, nil, nil)
	c := dial(t, addr)
	_, port, _ := net.SplitHostPort(addr)
	for _, step := range []struct{ line, reply, bind string }{
		{"CONFIG SET bind 192.0.2.1", "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.", "127.0.0.1"},
		{`CONFIG SET bind "127.0.0.1 127.0.0.2 -192.0.2.1"`, `"OK"`, "127.0.0.1 127.0.0.2 -192.0.2.1"},
	} {
		if got := c.ask(step.line); got != step.reply {
			t.Errorf("%s: %s", step.line, got)
		}
		if got := c.ask("CONFIG GET bind"); got != fmt.Sprintf("[%q %q]", "bind", step.bind) {
			t.Errorf("behind %s: %s", step.line, got)
		}
	}
	dial(t, "127.0.0.2:"+port).ask("PING")
	dial(t, addr).ask("PING")
	if got := c.ask("CONFIG SET bind 127.0.0.1"); got != `"OK"` {
		t.Error(got)
	}
	if nc, err := net.Dial("tcp", "127.0.0.2:"+port); err == nil {
		_ = nc.Close()
		t.Error("an address that is no more named is still listened on")
	}
}

// TestConfigSetBindAll: one address gives way to all of a family, and those to one; IPv4 and
// IPv6 are apart. What another program has stays its own, and the server where it was.
func TestConfigSetBindAll(t *testing.T) {
	_, addr := serve(t, Options{Bind: "127.0.0.1 -192.0.2.1"}, nil, nil)
	c := dial(t, addr)
	_, port, _ := net.SplitHostPort(addr)
	reaches := func(host string) bool {
		nc, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	}
	six := true
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		six = false
	} else {
		_ = l.Close()
	}
	if got := c.ask("CONFIG GET bind"); got != `["bind" "127.0.0.1 -192.0.2.1"]` {
		t.Errorf("as it was started: %s", got)
	}
	for _, step := range []struct {
		bind      string
		all, ipv6 bool // of IPv4, and that of IPv6
	}{{"*", true, false}, {"0.0.0.0", true, false}, {"127.0.0.1", false, false}, {"* -::*", true, true}, {"* -::1", true, true}, {"127.0.0.1", false, false}} {
		if got := c.ask(`CONFIG SET bind "` + step.bind + `"`); got != `"OK"` {
			t.Errorf("%s: %s", step.bind, got)
		}
		if !reaches("127.0.0.1") || reaches("127.0.0.3") != step.all || reaches("::1") != (step.ipv6 && six) {
			t.Errorf("bind %s: 127.0.0.1 %v, 127.0.0.3 %v, ::1 %v", step.bind, reaches("127.0.0.1"), reaches("127.0.0.3"), reaches("::1"))
		}
	}
	other, err := net.Listen("tcp4", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got := c.ask(`CONFIG SET bind *`); !strings.Contains(got, "Failed to bind to specified addresses.") {
		t.Errorf("all addresses of a port that another program has: %s", got)
	}
	dial(t, addr).ask("PING")
	if got := c.ask("CONFIG GET bind"); got != `["bind" "127.0.0.1"]` {
		t.Errorf("behind a failure: %s", got)
	}
}

// TestConfigSetBindAtOnce: a listener that is given up before the server has begun to accept
// from it is not counted among those that there are.
func TestConfigSetBindAtOnce(t *testing.T) {
	_, addr := serve(t, Options{Bind: "127.0.0.1"}, nil, nil)
	c := dial(t, addr)
	_, port, _ := net.SplitHostPort(addr)
	for range 50 {
		if got := c.ask("MULTI"); got != `"OK"` {
			t.Fatal(got)
		}
		for _, bind := range []string{"*", "127.0.0.1", "*", "127.0.0.1", "*"} {
			c.ask("CONFIG SET bind " + bind)
		}
		if got := c.ask("EXEC"); got != `["OK" "OK" "OK" "OK" "OK"]` {
			t.Fatal(got)
		}
		nc, err := net.Dial("tcp", "127.0.0.3:"+port)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
	}
}

// TestShutdownRefuses: whoever has asked for the shutdown sees the end of the server in the end
// of the connection: nobody can dial it then.
func TestShutdownRefuses(t *testing.T) {
	_, addr := serve(t, Options{}, func(o *core.Options) { o.OnShutdown = func() {} }, nil)
	c := dial(t, addr)
	if _, err := c.Write([]byte("SHUTDOWN NOSAVE\r\n")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Errorf("SHUTDOWN replies %q, %v", b, err)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.Close()
		t.Error("the server still listens")
	}
}
