package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/param"
)

// maxLoops is how many event loops there may be.
const maxLoops = 128

// Options configure a server. The zero value accepts 10,000 clients and never
// closes an idle one, as Redis does.
type Options struct {
	// MaxClients is how many connections are served at once; 0 means 10000.
	MaxClients int
	// Timeout closes a client that has been idle for so long; 0 means never.
	Timeout time.Duration
	// ReplTimeout is for how long a client may take nothing of an RDB file that it has
	// asked for (repl-timeout). 0 is a minute.
	ReplTimeout time.Duration
	// KeepAlive is the period of TCP keep-alive probes; 0 means 300 s,
	// negative turns them off.
	KeepAlive time.Duration
	// OutputLimit closes a client whose pending replies exceed so many bytes;
	// 0 means no limit, which is Redis's default for normal clients.
	OutputLimit int64
	// QueryLimit closes a client whose unfinished request exceeds so many
	// bytes; 0 means 1 GiB, Redis's client-query-buffer-limit.
	QueryLimit int
	// MaxMemoryClients closes the clients that hold most when all together hold
	// more, in requests and replies; negative is a percentage of maxmemory, 0 no
	// limit.
	MaxMemoryClients int64
	// AllowRemote lets clients from other machines in without a password
	// (Redis's protected-mode no).
	AllowRemote bool
	// EnableDebug says who may use DEBUG, as Redis's enable-debug-command: "yes"
	// everybody, "local" the clients of this machine, "no" or "" nobody.
	EnableDebug string
	// EventLoops is how many event loops serve the clients, on Linux, that come over TCP
	// without TLS or over a Unix socket. 0 is one for each processor that Go uses; negative
	// gives every client a goroutine.
	EventLoops int
	// Logger gets one line per event; nil discards.
	Logger hclog.Logger
	// ConfigFile is what INFO shows as config_file.
	ConfigFile string
	// Bind is what CONFIG GET bind shows until CONFIG SET changes it: the addresses that
	// are listened on, as whoever started the server has written them. "" shows them as
	// the listeners have them.
	Bind string

	values param.Values // of the parameters that have no field
}

// Server serves one engine on any number of listeners.
type Server struct {
	db  *core.DB
	log hclog.Logger
	opt Options

	maxClients atomic.Int64
	timeout    atomic.Int64 // nanoseconds
	keepAlive  atomic.Int64 // nanoseconds, 0 for never
	replWait   atomic.Int64 // nanoseconds; see replTimeout
	outputs    atomic.Pointer[outputLimits]
	queryLimit atomic.Int64
	protected  atomic.Bool
	onSigterm  atomic.Pointer[string]
	onSigint   atomic.Pointer[string]
	oom        *oomScore
	departed   atomic.Int64 // of conns
	accepted   atomic.Int64
	rejected   atomic.Int64
	bytesIn    atomic.Int64
	bytesOut   atomic.Int64
	reads      atomic.Int64
	writes     atomic.Int64
	inRate     *command.Rate
	outRate    *command.Rate
	memLimit   atomic.Int64 // maxmemory-clients; negative: so many percent of maxmemory
	memHeld    atomic.Int64 // by all clients
	memEvicted atomic.Int64 // clients closed for it
	evictMu    sync.Mutex   // one eviction at a time
	rebindMu   sync.Mutex   // one change of listeners at a time
	attacks    alarm
	strangers  alarm

	mu        sync.Mutex
	listeners map[net.Listener]served
	served    int      // listeners so far
	bound     []string // the hosts of CONFIG SET bind, nil before it was asked for
	tls       tlsParams
	conns     map[int64]*conn // those that have departed included
	closed    bool
	loops     loops
	wg        sync.WaitGroup
}

// New returns a server for db and registers its parameters and INFO sections
// with it. Serve it with [Server.Serve].
func New(db *core.DB, opt Options) *Server {
	if opt.MaxClients <= 0 {
		options.Reset(&opt, "maxclients")
	}
	if opt.KeepAlive == 0 {
		options.Reset(&opt, "tcp-keepalive")
	}
	if opt.ReplTimeout <= 0 {
		options.Reset(&opt, "repl-timeout")
	}
	if opt.QueryLimit <= 0 {
		options.Reset(&opt, "client-query-buffer-limit")
	}
	if opt.EventLoops == 0 {
		opt.EventLoops = defaultLoops()
	}
	if opt.Logger == nil {
		opt.Logger = hclog.NewNullLogger()
	}
	s := &Server{
		db: db, log: opt.Logger, opt: opt,
		listeners: make(map[net.Listener]served), conns: make(map[int64]*conn),
		oom: &oomScore{log: opt.Logger, file: oomFile},
	}
	s.outputs.Store(defaultOutputLimits())
	s.inRate, s.outRate = db.Stats().Rate(s.bytesIn.Load), db.Stats().Rate(s.bytesOut.Load)
	s.initParams()
	s.registerInfo()
	db.Stats().OnReset(s.resetStats)
	return s
}

// Listen opens a listener: network is "tcp" or "unix". A socket file left
// behind by a server that died is replaced, one that answers is not; the new
// one is accessible to its owner only.
func Listen(network, address string) (net.Listener, error) {
	if network != "unix" {
		return net.Listen(network, address)
	}
	if c, err := net.DialTimeout("unix", address, time.Second); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("listen unix %s: another server answers on this socket", address)
	}
	if st, err := os.Lstat(address); err == nil && st.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(address); err != nil {
			return nil, fmt.Errorf("removing the stale socket %s: %w", address, err)
		}
	}
	l, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(address, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("protecting the socket %s: %w", address, err)
	}
	return l, nil
}

// ErrClosed is what Serve returns after Close or Shutdown, and for a listener
// that CONFIG SET port or bind has given up.
var ErrClosed = errors.New("server closed")

// Serve accepts connections on l until the server is closed; it then returns
// ErrClosed. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, nil) }

// serve is Serve, with TLS unless t is nil.
func (s *Server) serve(l net.Listener, t *TLS) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = l.Close()
		return ErrClosed
	}
	s.add(l, t)
	s.startLoops()
	s.mu.Unlock()
	return s.acceptFrom(l, t)
}

// acceptFrom accepts clients on a listener that was added, until it is given up or the
// server is closed, which is ErrClosed. Both may have happened before it begins.
func (s *Server) acceptFrom(l net.Listener, t *TLS) error {
	backoff := 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		if err != nil {
			if !s.wanted(l) {
				return ErrClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accepting on %s: %w", l.Addr(), err)
			}
			// Out of file descriptors, an aborted handshake: both pass.
			s.log.Warn("accepting a client", "listener", l.Addr().String(), "error", err)
			t := time.NewTimer(backoff)
			<-t.C
			backoff = min(2*backoff, time.Second)
			continue
		}
		backoff = 5 * time.Millisecond
		s.accept(nc, t)
	}
}

// accept admits or refuses a connection, on which the client speaks TLS unless t is
// nil.
func (s *Server) accept(nc net.Conn, t *TLS) {
	if t, ok := nc.(*net.TCPConn); ok {
		if every := time.Duration(s.keepAlive.Load()); every > 0 {
			_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: every, Interval: every / 3, Count: 3})
		} else {
			_ = t.SetKeepAlive(false)
		}
	}
	if t != nil {
		nc = s.newTLSConn(nc, t)
	}
	if s.protected.Load() && !s.db.Admin().HasPassword() && remote(nc) {
		s.refuse(nc, "-DENIED Spillway is running in protected mode because protected mode is enabled and no password is set for the default user. "+
			"In this mode connections are only accepted from the loopback interface. Set a password with requirepass, or, where the network "+
			"itself is trusted, disable protected mode with CONFIG SET protected-mode no from the loopback interface.\r\n")
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.dismiss(nc, "-ERR Spillway is shutting down\r\n")
		return
	}
	if int64(s.connected()) >= s.maxClients.Load() {
		s.mu.Unlock()
		s.refuse(nc, "-ERR max number of clients reached\r\n")
		return
	}
	c := newConn(s, s.take(nc))
	s.conns[c.ID()] = c
	s.wg.Add(1)
	s.accepted.Add(1)
	looped := s.enter(c)
	s.mu.Unlock()
	if looped {
		return
	}
	go func() {
		c.serve()
		s.forget(c)
	}()
}

// forget takes a connection out of the registry that has ended.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c.ID())
	s.departed.Add(-1) // its mailbox, which is closed, has counted it
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) refuse(nc net.Conn, reply string) {
	s.rejected.Add(1)
	s.dismiss(nc, reply)
}

func (s *Server) dismiss(nc net.Conn, reply string) {
	if t, ok := nc.(*tlsConn); ok { // a handshake is too much for one that may not stay
		_ = t.raw.Close()
		return
	}
	_ = nc.SetWriteDeadline(s.db.Clock().Now().Add(time.Second))
	_, _ = nc.Write([]byte(reply)) // the client may be gone already
	_ = nc.Close()
}

// remote tells whether the peer is on another machine.
func remote(nc net.Conn) bool {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// StopAccepting gives up the listeners: whoever dials from then on is refused. The
// connections that there are go on until Shutdown or Close. Any goroutine.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopAccepting()
}

// stopAccepting is StopAccepting; the caller holds mu.
func (s *Server) stopAccepting() {
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
}

// Shutdown stops accepting, lets every connection finish the batch it is at,
// and waits for them until ctx ends; then it closes what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopAccepting()
	for _, c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		s.stopLoops()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for _, c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// Clients is the number of connections.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected()
}

// connected is Clients; the caller holds mu.
func (s *Server) connected() int { return len(s.conns) - int(s.departed.Load()) }

// snapshot lists the connections, oldest first.
func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		out = append(out, c)
	}
	sortByID(out)
	return out
}
