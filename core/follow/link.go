package follow

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
)

// patience is how long a master may say nothing. While it prepares its dataset it
// sends line ends, and later a PING every ten seconds.
const patience = time.Minute

// Clock is where the time comes from.
type Clock interface {
	Now() time.Time
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// Source is the server whose data are wanted, and how it is reached.
type Source struct {
	Address  string      // host:port
	Username string      // "" is the default user
	Password string      // "" does not authenticate
	TLS      *tls.Config // nil speaks plain TCP
	Port     int         // that the source shows for this replica, 0 for none
	Clock    Clock
}

// Link is a connection to a master. Apart from Ack and Close it belongs to one
// goroutine.
type Link struct {
	source Source
	conn   net.Conn
	in     *bufio.Reader
	dataset
	forget func() bool // the context
	fack   bool        // the master knows FACK

	writing sync.Mutex
}

// Dial connects and authenticates. The Link ends with ctx.
func Dial(ctx context.Context, s Source) (*Link, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, err
	}
	l := &Link{source: s, conn: conn}
	l.forget = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if s.TLS != nil {
		l.conn = tls.Client(conn, s.TLS)
	}
	l.in = bufio.NewReaderSize(l.conn, 256<<10)
	if err := l.greet(); err != nil {
		_ = l.Close() // what is to be said is why
		return nil, fmt.Errorf("redis at %s: %w", s.Address, err)
	}
	return l, nil
}

// greet authenticates and says what this replica can do.
func (l *Link) greet() error {
	if l.source.Password != "" {
		auth := []string{"AUTH", l.source.Password}
		if l.source.Username != "" {
			auth = []string{"AUTH", l.source.Username, l.source.Password}
		}
		if _, err := l.ask(auth...); err != nil {
			return err
		}
	}
	if _, err := l.ask("PING"); err != nil && !strings.Contains(err.Error(), "NOPERM") { // a user for replication may not have it
		return err
	}
	// An old one does not know these; it sends what it can.
	if l.source.Port > 0 {
		_, _ = l.ask("REPLCONF", "listening-port", strconv.Itoa(l.source.Port))
	}
	_, _ = l.ask("REPLCONF", "capa", "eof", "capa", "psync2")
	var err error
	l.fack, err = l.knowsFACK()
	return err
}

// maxInfo is how long INFO server may be.
const maxInfo = 64 << 10

// knowsFACK asks the master for its version: since 7.2 it is told what is durable here
// apart from what is applied, for WAITAOF. One that does not say its version, since a
// user for replication may not ask, is taken for an older one.
func (l *Link) knowsFACK() (bool, error) {
	reply, err := l.ask("INFO", "server")
	var refused *RefusedError
	if errors.As(err, &refused) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(reply, "$"))
	if err != nil || reply[0] != '$' || n < 0 || n > maxInfo {
		return false, fmt.Errorf("it answers INFO with %.80q", reply)
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(l.in, text); err != nil {
		return false, fmt.Errorf("reading its answer to INFO: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:")
		if !ok {
			continue
		}
		var major, minor int
		_, _ = fmt.Sscanf(version, "%d.%d", &major, &minor) // 0.0 is an old one
		return major > 7 || major == 7 && minor >= 2, nil
	}
	return false, nil
}

// Answer is what a master says to PSYNC.
type Answer struct {
	Full   bool   // the dataset follows, which the Link reads as an io.Reader
	ID     string // the replication ID, "" for the one that was asked with
	Offset int64  // of the dataset
}

// Sync asks for what comes behind an offset of the replication ID, or, with "", for the
// dataset.
func (l *Link) Sync(id string, offset int64) (a Answer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("redis at %s: %w", l.source.Address, err)
		}
	}()
	next := strconv.FormatInt(offset+1, 10) // the first byte that is wanted
	if id == "" {
		id, next = "?", "-1"
	}
	reply, err := l.ask("PSYNC", id, next)
	words := strings.Fields(reply)
	switch {
	case err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command"):
		if reply, err = l.ask("SYNC"); err == nil {
			err = l.announce(reply)
		}
		return Answer{Full: true}, err
	case err != nil:
		return a, err
	case words[0] == "+CONTINUE":
		if len(words) > 1 {
			a.ID = words[1]
		}
		return a, nil
	case words[0] != "+FULLRESYNC" || len(words) < 3:
		return a, fmt.Errorf("it answers PSYNC with %.80q, not with its dataset", reply)
	}
	a = Answer{Full: true, ID: words[1]}
	if a.Offset, err = strconv.ParseInt(words[2], 10, 64); err != nil {
		return a, fmt.Errorf("it answers PSYNC with %.80q", reply)
	}
	if reply, err = l.line(); err == nil {
		err = l.announce(reply)
	}
	return a, err
}

// ask sends a command and returns the line that answers it.
func (l *Link) ask(args ...string) (string, error) {
	if err := l.send(args...); err != nil {
		return "", err
	}
	line, err := l.line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	if strings.HasPrefix(line, "-") {
		return "", &RefusedError{Command: args[0], Reply: line[1:]}
	}
	return line, nil
}

// RefusedError is an error reply of the master's.
type RefusedError struct{ Command, Reply string }

func (e *RefusedError) Error() string { return fmt.Sprintf("%s: it says %q", e.Command, e.Reply) }

func (l *Link) send(args ...string) error {
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	return l.write(resp.AppendCommand(nil, words...))
}

func (l *Link) write(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(l.source.Clock.Now().Add(patience)); err != nil {
		return err
	}
	_, err := l.conn.Write(b)
	return err
}

// Ack tells the master up to which offset everything is here, and durable: WAIT counts
// that, and WAITAOF where the master has it. Any goroutine.
func (l *Link) Ack(offset int64) error {
	words := []string{"REPLCONF", "ACK", strconv.FormatInt(offset, 10)}
	if l.fack {
		words = append(words, "FACK", words[2])
	}
	return l.send(words...)
}

// Alive has the master know that its dataset is still being read. Any goroutine.
func (l *Link) Alive() error { return l.write([]byte("\n")) }

// line reads a line that says something.
func (l *Link) line() (string, error) {
	for {
		if err := l.conn.SetReadDeadline(l.source.Clock.Now().Add(patience)); err != nil {
			return "", err
		}
		line, err := l.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", fmt.Errorf("it answers with %.80q", line)
		}
		if err != nil {
			return "", fmt.Errorf("reading its answer: %w", err)
		}
		if s := strings.TrimRight(string(line), "\r\n"); s != "" {
			return s, nil
		}
	}
}

// Close implements io.Closer. Any goroutine.
func (l *Link) Close() error {
	l.forget()
	return l.conn.Close()
}
