package command

import (
	"bytes"
	"net"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

var migrateHandlers = handlers{"migrate": migrateCommand}

// Migration is a MIGRATE. Redis executes nothing else while it waits for the other
// server. Here others wait for the keys' shards only, and not for the network:
//
//  1. Prepare reads the values under the locks, gives those up, and sends.
//  2. The handler, under the locks again, removes what the other server has confirmed
//     and what is still as it was sent.
//  3. What somebody has changed meanwhile it sends once more, and holds the locks while
//     it waits, so that this ends. Inside MULTI and scripts, whose locks are held
//     anyway, this is the only step.
//
// So a key is never removed whose value the other server does not have, and never is
// a change lost. For a moment both servers show the key.
type Migration struct {
	addr          string
	db            int64
	timeout       time.Duration
	copy, replace bool
	auth          [][]byte // a command, nil for none
	cluster       bool
	keys          []int // positions of the keys

	sent []sentKey
	// refused is the first error that the other server has replied, failed what went
	// wrong on the way there; both without their codes.
	refused, failed string
}

// sentKey is a key as it was sent.
type sentKey struct {
	key, payload []byte
	deadline     int64
	confirmed    bool
}

// ExchangeError is why a request to another server, or the replies to it, did not
// arrive.
type ExchangeError struct {
	Doing string // "connecting", "writing" or "reading"
	Err   error
}

func (e *ExchangeError) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ExchangeError) Unwrap() error { return e.Err }

// migrateKeys finds the keys of MIGRATE: one in its place, or those behind KEYS.
func migrateKeys(dst []Key, args [][]byte) []Key {
	first, end := 3, 4
options:
	for i := 6; i < len(args); i++ {
		switch {
		case is(args[i], "keys"):
			if len(args[3]) > 0 {
				return dst // the handler refuses it
			}
			first, end = i+1, len(args)
			break options
		case is(args[i], "auth"):
			i++
		case is(args[i], "auth2"):
			i += 2
		}
	}
	for ; first < end; first++ {
		dst = append(dst, Key{first, KeyRW | KeyAccess | KeyDelete})
	}
	return dst
}

// parseMigration reads the arguments of MIGRATE; what is wrong with them is the
// error reply, or "".
func parseMigration(args [][]byte) (m *Migration, wrong string) {
	m = &Migration{addr: net.JoinHostPort(string(args[1]), string(args[2])), keys: []int{3}}
options:
	for i := 6; i < len(args); i++ {
		more := len(args) - i - 1
		switch a := args[i]; {
		case is(a, "copy"):
			m.copy = true
		case is(a, "replace"):
			m.replace = true
		case is(a, "auth") && more >= 1:
			m.auth = [][]byte{[]byte("AUTH"), args[i+1]}
			i++
		case is(a, "auth2") && more >= 2:
			m.auth = [][]byte{[]byte("AUTH"), args[i+1], args[i+2]}
			i += 2
		case is(a, "keys"):
			if len(args[3]) > 0 {
				return nil, "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
			}
			m.keys = m.keys[:0]
			for at := i + 1; at < len(args); at++ {
				m.keys = append(m.keys, at)
			}
			break options
		default:
			return nil, errSyntax
		}
	}
	timeout, ok := parseInt(args[5])
	if ok {
		m.db, ok = parseInt(args[4])
	}
	if !ok {
		return nil, errNotInt
	}
	if timeout <= 0 {
		timeout = 1000
	}
	m.timeout = time.Duration(min(timeout, int64(time.Hour/time.Millisecond))) * time.Millisecond
	return m, ""
}

// Prepare begins a command that has the flag Prepared, before it is executed: it returns
// what can be done without locks, nil for nothing. The caller holds those of the
// command's shards.
func Prepare(args [][]byte, ks *keyspace.Keyspace, db int, now int64, cluster bool) *Migration {
	m, wrong := parseMigration(args)
	if wrong != "" {
		return nil // the handler says so
	}
	m.cluster = cluster
	for _, at := range m.keys {
		d := ks.Shard(ks.ShardOf(args[at])).DB(db)
		if e, status := d.Get(args[at], now); status == keyspace.Live {
			if k, err := freeze(d, args[at], e); err == nil {
				m.sent = append(m.sent, k)
			}
		}
	}
	if len(m.sent) == 0 {
		return nil
	}
	return m
}

// freeze is a key as it is sent.
func freeze(d *keyspace.DB, key []byte, e keyspace.Entry) (sentKey, error) {
	payload, err := encode(d, key, e)
	if err != nil {
		return sentKey{}, err
	}
	return sentKey{key: bytes.Clone(key), payload: rdb.SealDump(payload), deadline: e.Deadline()}, nil
}

// Send sends what is not confirmed, with REPLACE also for what was sent before, and
// takes in what the other server replies.
func (m *Migration) Send(engine Engine, again map[string]bool) {
	var request []byte
	replies := 0
	add := func(words ...[]byte) {
		request = resp.AppendCommand(request, words...)
		replies++
	}
	if m.auth != nil {
		add(m.auth...)
	}
	var tmp [20]byte
	add([]byte("SELECT"), appendInt(tmp[:0], m.db))
	before := replies
	verb := verbRestore
	if m.cluster {
		verb = []byte("RESTORE-ASKING")
	}
	now := engine.Now().UnixMilli()
	var waiting []*sentKey
	for i := range m.sent {
		k := &m.sent[i]
		ttl := int64(0)
		if k.deadline != 0 {
			if ttl = max(1, k.deadline-now); k.deadline < now {
				continue
			}
		}
		if k.confirmed {
			continue
		}
		words := [][]byte{verb, k.key, appendInt(nil, ttl), k.payload}
		if m.replace || again[string(k.key)] {
			words = append(words, wordReplace)
		}
		add(words...)
		waiting = append(waiting, k)
	}
	if len(waiting) == 0 {
		return
	}
	lines, err := engine.Exchange(m.addr, request, replies, m.timeout)
	m.failed = ""
	if failure, ok := err.(*ExchangeError); ok { //nolint:errorlint // by contract
		m.failed = "error or timeout " + failure.Doing + " to target instance"
		if failure.Doing == "connecting" {
			m.failed = "error or timeout connecting to the client" // Redis's wording
		}
	}
	wrong := "" // of what comes before the keys
	for i, line := range lines {
		isError := len(line) > 0 && line[0] == '-'
		if i < before {
			if isError && wrong == "" {
				wrong = line[1:]
			}
			continue
		}
		switch {
		case wrong != "":
			m.refuse(wrong)
		case isError:
			m.refuse(line[1:])
		default:
			waiting[i-before].confirmed = true
		}
	}
}

func (m *Migration) refuse(msg string) {
	if m.refused == "" {
		m.refused = msg
	}
}

func migrateCommand(c *Ctx) {
	prepared := c.Migration
	c.Migration = nil
	m, wrong := parseMigration(c.Args)
	if wrong != "" {
		c.Out.Error(wrong)
		return
	}
	m.cluster = c.Cluster
	for _, at := range m.keys {
		key := c.Args[at]
		e, found := c.lookup(key)
		if !found {
			continue
		}
		k, err := freeze(c.db(key), key, e)
		if err != nil {
			c.Out.Error("ERR " + err.Error())
			return
		}
		m.sent = append(m.sent, k)
	}
	switch {
	case prepared == nil && len(m.sent) == 0:
		c.Out.SimpleString("NOKEY")
		return
	case prepared == nil:
		m.Send(c.Engine, nil)
	case prepared.copy || prepared.refused != "" || prepared.failed != "":
		m.take(prepared)
	default:
		if m.take(prepared); m.unconfirmed() {
			m.Send(c.Engine, confirmedKeys(prepared))
		}
	}
	m.finish(c)
}

// take takes in what is confirmed of a prepared migration and has not changed since,
// and how that has ended.
func (m *Migration) take(prepared *Migration) {
	m.refused, m.failed = prepared.refused, prepared.failed
	for _, p := range prepared.sent {
		for i := range m.sent {
			k := &m.sent[i]
			if p.confirmed && bytes.Equal(p.key, k.key) && p.deadline == k.deadline && bytes.Equal(p.payload, k.payload) {
				k.confirmed = true
			}
		}
	}
}

func (m *Migration) unconfirmed() bool {
	for _, k := range m.sent {
		if !k.confirmed {
			return true
		}
	}
	return false
}

// confirmedKeys are those that the other server has.
func confirmedKeys(m *Migration) map[string]bool {
	keys := map[string]bool{}
	for _, k := range m.sent {
		if k.confirmed {
			keys[string(k.key)] = true
		}
	}
	return keys
}

// finish removes what the other server has, and replies.
func (m *Migration) finish(c *Ctx) {
	if !m.copy {
		del := [][]byte{verbDel}
		for _, k := range m.sent {
			if !k.confirmed {
				continue
			}
			if _, found := c.lookupWrite(k.key); found { // named once, and not gone since
				c.remove(k.key)
				del = append(del, k.key)
			}
		}
		if len(del) > 1 {
			c.LogAs(del...)
		}
	}
	switch {
	case m.refused != "":
		c.Out.Error("ERR Target instance replied with error: " + m.refused)
	case m.failed != "":
		c.Out.Error("IOERR " + m.failed)
	default:
		c.Out.OK()
	}
}
