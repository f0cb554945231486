package session

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

// Client is the state of one client that commands see: its name, database,
// protocol and whether it has authenticated. Embedded programs use it through
// [Runtime.New]; the server's connections embed it and add their socket.
// Its owner's goroutine changes it; Info may be called by any.
type Client struct {
	rt      *Runtime
	id      int64
	created time.Time

	db      atomic.Int32
	proto   atomic.Int32
	active  atomic.Int64 // Unix milliseconds of the last command
	cmd     atomic.Pointer[command.Command]
	multi   atomic.Int32 // queued commands, -1 outside MULTI
	noEvict atomic.Bool

	authed bool
	reply  command.ReplyMode

	mu              sync.Mutex // guards what CLIENT LIST shows and CLIENT SET* changes
	name            string
	libName, libVer string
}

var _ command.Session = (*Client)(nil)

// NewClient returns the state of a new client: database 0, RESP2, and
// authenticated exactly when no password is set.
func (rt *Runtime) NewClient() *Client {
	c := &Client{rt: rt, id: rt.nextID.Add(1), created: rt.Clock.Now()}
	c.active.Store(c.created.UnixMilli())
	c.Reset()
	return c
}

// ID implements command.Session: unique and ascending within the process.
func (c *Client) ID() int64 { return c.id }

// Name implements command.Session.
func (c *Client) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

// SetName implements command.Session.
func (c *Client) SetName(name string) {
	c.mu.Lock()
	c.name = name
	c.mu.Unlock()
}

// SetLib implements command.Session; an empty argument leaves its half alone.
func (c *Client) SetLib(name, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name != "" {
		c.libName = name
	}
	if version != "" {
		c.libVer = version
	}
}

// DB implements command.Session.
func (c *Client) DB() int { return int(c.db.Load()) }

// SelectDB implements command.Session.
func (c *Client) SelectDB(n int) { c.db.Store(int32(n)) }

// Proto implements command.Session: 2 or 3.
func (c *Client) Proto() int { return int(c.proto.Load()) }

// SetProto implements command.Session.
func (c *Client) SetProto(v int) { c.proto.Store(int32(v)) }

// Authenticated implements command.Session. A client that came when no password
// was set stays in when one is set later, as in Redis.
func (c *Client) Authenticated() bool { return c.authed || c.rt.Password() == "" }

// Authenticate implements command.Session. Passwords are compared in constant time.
func (c *Client) Authenticate(user, pass string) error {
	want := c.rt.Password()
	a, b := sha256.Sum256([]byte(pass)), sha256.Sum256([]byte(want))
	if user != "default" || want != "" && subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return errors.New("WRONGPASS invalid username-password pair or user is disabled.")
	}
	c.authed = true
	return nil
}

// SetReplyMode implements command.Session.
func (c *Client) SetReplyMode(m command.ReplyMode) { c.reply = m }

// SetNoEvict implements command.Session.
func (c *Client) SetNoEvict(on bool) { c.noEvict.Store(on) }

// NoEvict tells whether CLIENT NO-EVICT has spared the client. Any goroutine.
func (c *Client) NoEvict() bool { return c.noEvict.Load() }

// Reset implements command.Session.
func (c *Client) Reset() {
	c.db.Store(0)
	c.proto.Store(2)
	c.multi.Store(-1)
	c.noEvict.Store(false)
	c.authed = c.rt.Password() == ""
	c.reply = command.ReplyOn
	c.SetName("")
}

// CloseAfterReply implements command.Session; an embedded client has nothing to close.
func (c *Client) CloseAfterReply() {}

// Info implements command.Session with what the engine knows of a client.
func (c *Client) Info() command.ClientInfo {
	now := c.rt.Clock.Now()
	name := "NULL"
	if cmd := c.cmd.Load(); cmd != nil {
		name = cmd.Name
	}
	flags := ""
	if c.multi.Load() >= 0 {
		flags += "x"
	}
	if c.noEvict.Load() {
		flags += "e"
	}
	if flags == "" {
		flags = "N"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return command.ClientInfo{
		ID: c.id, Name: c.name, DB: c.DB(), Proto: c.Proto(), Flags: flags,
		Multi: int(c.multi.Load()), Cmd: name, User: "default", LibName: c.libName, LibVer: c.libVer, Events: "r",
		Age: now.Sub(c.created), Idle: max(0, now.Sub(time.UnixMilli(c.active.Load()))),
	}
}

// Clients implements command.Session: an embedded client knows only itself.
func (c *Client) Clients() []command.ClientInfo { return []command.ClientInfo{c.Info()} }

// KillClients implements command.Session: an embedded client has no others.
func (c *Client) KillClients(func(command.ClientInfo) bool, bool) int { return 0 }
