package session

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/pubsub"
)

// identity is what commands and other clients see of a session: its name,
// database, protocol and whether it has authenticated. The session's goroutine
// changes it, Info may be called by any.
type identity struct {
	id      int64
	created time.Time

	db      atomic.Int32
	proto   atomic.Int32
	active  atomic.Int64 // Unix milliseconds of the last command
	cmd     atomic.Pointer[command.Command]
	queued  atomic.Int32 // commands since MULTI, -1 outside of it
	noEvict atomic.Bool
	noTouch atomic.Bool

	user   atomic.Pointer[acl.User]
	authed bool // as user
	reply  command.ReplyMode
	answer bool // the running command is answered whatever the mode was

	mu              sync.Mutex // guards what CLIENT LIST shows and CLIENT SET* changes
	name            string
	libName, libVer string
}

var _ command.Client = (*Session)(nil)

// ID implements command.Client: unique and ascending within the process.
func (s *Session) ID() int64 { return s.id }

// Name implements command.Client.
func (s *Session) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// SetName implements command.Client.
func (s *Session) SetName(name string) {
	s.mu.Lock()
	s.name = name
	s.mu.Unlock()
}

// SetLib implements command.Client; an empty argument leaves its half alone.
func (s *Session) SetLib(name, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		s.libName = name
	}
	if version != "" {
		s.libVer = version
	}
}

// DB implements command.Client.
func (s *Session) DB() int { return int(s.db.Load()) }

// SelectDB implements command.Client.
func (s *Session) SelectDB(n int) { s.db.Store(int32(n)) }

// Proto implements command.Client: 2 or 3.
func (s *Session) Proto() int { return int(s.proto.Load()) }

// SetProto implements command.Client.
func (s *Session) SetProto(v int) { s.proto.Store(int32(v)) }

// SetReplyMode implements command.Client. CLIENT REPLY ON is answered even behind
// SKIP, and SKIP changes nothing of OFF.
func (s *Session) SetReplyMode(m command.ReplyMode) {
	s.answer = m == command.ReplyOn
	if m != command.ReplySkipNext || s.reply != command.ReplyOff {
		s.reply = m
	}
}

// SetNoEvict implements command.Client.
func (s *Session) SetNoEvict(on bool) { s.noEvict.Store(on) }

// SetNoTouch implements command.Client.
func (s *Session) SetNoTouch(on bool) {
	s.ctx.NoTouch = on
	s.noTouch.Store(on)
}

// NoEvict tells whether CLIENT NO-EVICT has spared the client. Any goroutine.
func (s *Session) NoEvict() bool { return s.noEvict.Load() }

// resetClient puts what a client has set back to what a new one has: database 0,
// RESP2, and the default user, which it is only once it has authenticated where
// that needs a password.
func (s *Session) resetClient() {
	s.db.Store(0)
	s.proto.Store(2)
	s.noEvict.Store(false)
	s.SetNoTouch(false)
	s.user.Store(s.rt.Users.Default())
	s.authed = !s.rt.Users.Default().NeedsPassword()
	s.reply = command.ReplyOn
	s.SetName("")
}

// CloseAfterReply implements command.Client; an embedded client has nothing to close.
func (s *Session) CloseAfterReply() {}

// Info implements command.Client with what the engine knows of a client.
func (s *Session) Info() command.ClientInfo {
	now := s.rt.Clock.Now()
	name := "NULL"
	if cmd := s.cmd.Load(); cmd != nil {
		name = cmd.Name
	}
	tracking := s.track.Mode()
	redir := int64(-1)
	if tracking.On {
		redir = tracking.Redirect
	}
	var flags strings.Builder // in Redis's order
	for _, f := range [...]struct {
		on     bool
		letter byte
	}{
		{s.monitors.Load(), 'O'}, {s.sub.Active(), 'P'}, {s.queued.Load() >= 0, 'x'}, {s.waits(), 'b'},
		{tracking.On, 't'}, {s.track.Broken(), 'R'}, {tracking.Broadcast, 'B'}, {s.noEvict.Load(), 'e'}, {s.noTouch.Load(), 'T'},
	} {
		if f.on {
			flags.WriteByte(f.letter)
		}
	}
	if flags.Len() == 0 {
		flags.WriteByte('N')
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return command.ClientInfo{
		ID: s.id, Name: s.name, DB: s.DB(), Proto: s.Proto(), Flags: flags.String(),
		Multi: int(s.queued.Load()), Cmd: name, User: s.user.Load().Name(), LibName: s.libName, LibVer: s.libVer, Events: "r",
		Sub: s.sub.Count(pubsub.Channel), PSub: s.sub.Count(pubsub.Pattern), SSub: s.sub.Count(pubsub.ShardChannel),
		Redir: redir, ArgvMem: s.waitingBytes(),
		Age: now.Sub(s.created), Idle: max(0, now.Sub(time.UnixMilli(s.active.Load()))),
	}
}

// Clients implements command.Client: an embedded client knows only itself.
func (s *Session) Clients() []command.ClientInfo { return []command.ClientInfo{s.Info()} }

// KillClients implements command.Client: an embedded client has no others.
func (s *Session) KillClients(func(command.ClientInfo) bool, bool) int { return 0 }
