package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// maxString is the longest string a key may hold, Redis's proto-max-bulk-len.
const maxString = rdb.MaxString

// lendFrom is from what size on a value may be lent to a reply. It is longer than what
// replies keep in one buffer.
const lendFrom = 512 << 10

var stringHandlers = handlers{
	"get":         getCommand,
	"set":         setCommand,
	"setnx":       setnxCommand,
	"setex":       setexCommand,
	"psetex":      setexCommand,
	"getset":      getsetCommand,
	"getex":       getexCommand,
	"getdel":      getdelCommand,
	"delifeq":     delifeqCommand,
	"delex":       delexCommand,
	"digest":      digestCommand,
	"mget":        mgetCommand,
	"mset":        msetCommand,
	"msetnx":      msetnxCommand,
	"msetex":      msetexCommand,
	"incr":        incrCommand,
	"decr":        decrCommand,
	"incrby":      incrbyCommand,
	"decrby":      decrbyCommand,
	"incrbyfloat": incrbyfloatCommand,
	"append":      appendCommand,
	"strlen":      strlenCommand,
	"getrange":    getrangeCommand,
	"substr":      getrangeCommand,
	"setrange":    setrangeCommand,
	"lcs":         lcsCommand,
}

// replyString replies with a string key's value or null. ok is false when the
// key holds another type, which it has replied.
func (c *Ctx) replyString(key []byte) (found, ok bool) {
	e, found := c.lookup(key)
	switch {
	case !found:
		c.Out.Null()
	case e.Type() != keyspace.String:
		return true, c.wrongType()
	default:
		c.bulkValue(key, e)
	}
	return found, true
}

// bulkValue replies with the value of a string at a key. One of some length is not
// copied: what it leaves in is the memory of the value, which a change of the key leaves
// alone until then.
func (c *Ctx) bulkValue(key []byte, e keyspace.Entry) {
	v := e.Bytes()
	if len(v) >= lendFrom {
		if loan, ok := c.db(key).Lend(key); ok {
			c.Out.BulkLent(v, loan)
			return
		}
	}
	c.Out.Bulk(v)
}

func getCommand(c *Ctx) { c.replyString(c.Args[1]) }

// deadline turns the argument of an expiry option of SET or GETEX into Unix
// milliseconds, or replies with what is wrong with it.
func (c *Ctx) deadline(arg []byte, seconds, relative bool, command string) (int64, bool) {
	ms, ok := c.intArg(arg)
	if !ok {
		return 0, false
	}
	if ms <= 0 || seconds && ms > math.MaxInt64/1000 {
		c.Out.Error("ERR invalid expire time in '" + command + "' command")
		return 0, false
	}
	if seconds {
		ms *= 1000
	}
	if relative {
		if ms > math.MaxInt64-c.Now {
			c.Out.Error("ERR invalid expire time in '" + command + "' command")
			return 0, false
		}
		ms += c.Now
	}
	return ms, true
}

func setCommand(c *Ctx) {
	if len(c.Args) == 3 {
		c.setArg(2, 0)
		c.Out.OK()
		return
	}
	key := c.Args[1]
	o, ok := parseSetOptions(c.Args[3:], setTakes)
	if !ok {
		c.Out.Error(errSyntax)
		return
	}
	deadline, ok := c.optionalDeadline(&o, "set")
	if !ok {
		return
	}
	if o.compare != nil {
		if _, found, ok := c.typedWrite(key, keyspace.String); !ok || found && !c.validDigest(o.compare, o.other) {
			return
		}
	}
	if o.get {
		if _, ok := c.replyString(key); !ok {
			return
		}
	}
	if o.nx || o.xx || o.compare != nil {
		if e, found := c.lookupWrite(key); !o.matches(e, found) {
			if !o.get {
				c.Out.Null()
			}
			return
		}
	}
	deadline = c.keptDeadline(key, deadline, &o)
	c.setArg(2, deadline)
	c.noteOptions(c.Args[1], c.Args[2], deadline, &o)
	if !o.get {
		c.Out.OK()
	}
}

// setArg makes the key that is argument 1 a string, whatever it was: the value that is
// argument at. That is not copied if it is long and lies in c.Request: what the client
// has sent before it may be written over then, so Args name the same elsewhere.
func (c *Ctx) setArg(at int, deadline int64) {
	key, val := c.Args[1], c.Args[at]
	db := c.db(key)
	if c.Request == nil || !c.adopt(db, at, deadline) {
		db.SetString(key, val, deadline)
	}
	c.Changed(c.Args[1], eventSet)
}

// adopt is setArg for a value that is to stay where it is, and false, having done
// nothing, for one that cannot.
func (c *Ctx) adopt(db *keyspace.DB, at int, deadline int64) bool {
	c.scratch = append(c.scratch[:0], c.Args[0]...)
	if at > 2 {
		c.scratch = append(c.scratch, c.Args[2]...)
	}
	words := c.scratch
	name := len(c.Args[0])
	key, val, ok := db.AdoptString(c.Args[1], c.Args[at], deadline, c.Request)
	if !ok {
		return false
	}
	c.Args[0] = words[:name:name]
	if at > 2 {
		c.Args[2] = words[name:]
	}
	c.Args[1], c.Args[at] = key, val
	return true
}

// setString makes key a string, whatever it was.
func (c *Ctx) setString(key, val []byte, deadline int64, ev Event) {
	c.db(key).SetString(key, val, deadline)
	c.Changed(key, ev)
}

// logSet logs a SET with an absolute deadline, 0 for none.
func (c *Ctx) logSet(key, val []byte, deadline int64) {
	if deadline == 0 {
		c.logValue(key, val)
		return
	}
	var tmp [20]byte
	c.logValue(key, val, wordPXAT, appendInt(tmp[:0], deadline))
}

func setnxCommand(c *Ctx) {
	if _, found := c.lookupWrite(c.Args[1]); found {
		c.Out.Int(0)
		return
	}
	c.setArg(2, 0)
	c.Out.Int(1)
}

// setexCommand is SETEX and PSETEX.
func setexCommand(c *Ctx) {
	name, seconds := "psetex", false
	if is(c.Args[0], "setex") {
		name, seconds = "setex", true
	}
	deadline, ok := c.deadline(c.Args[2], seconds, true, name)
	if !ok {
		return
	}
	c.setArg(3, deadline)
	c.ChangedN(c.Args[1], eventExpire, 0)
	c.logSet(c.Args[1], c.Args[3], deadline)
	c.Out.OK()
}

func getsetCommand(c *Ctx) {
	if _, ok := c.replyString(c.Args[1]); !ok {
		return
	}
	c.setArg(2, 0)
	c.logSet(c.Args[1], c.Args[2], 0)
}

func getexCommand(c *Ctx) {
	key := c.Args[1]
	o, ok := parseSetOptions(c.Args[2:], getexTakes)
	if !ok {
		c.Out.Error(errSyntax)
		return
	}
	e, found, ok := c.typed(key, keyspace.String)
	if !ok {
		return
	}
	if !found {
		c.Out.Null()
		return
	}
	deadline, ok := c.optionalDeadline(&o, "getex")
	if !ok {
		return
	}
	c.bulkValue(key, e)
	switch {
	case o.expire != nil:
		c.setDeadline(key, deadline)
	case o.persist && e.Deadline() != 0:
		c.persist(key)
	}
}

func getdelCommand(c *Ctx) {
	found, ok := c.replyString(c.Args[1])
	if !ok || !found {
		return
	}
	c.remove(c.Args[1])
	c.LogAs(verbDel, c.Args[1])
}

func mgetCommand(c *Ctx) {
	c.Out.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		if e, found := c.lookup(key); found && e.Type() == keyspace.String {
			c.bulkValue(key, e)
		} else {
			c.Out.Null()
		}
	}
}

func msetCommand(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Out.Error("ERR wrong number of arguments for 'mset' command")
		return
	}
	c.setAll()
	c.Out.OK()
}

func msetnxCommand(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Out.Error("ERR wrong number of arguments for 'msetnx' command")
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if _, found := c.lookupWrite(c.Args[i]); found {
			c.Out.Int(0)
			return
		}
	}
	c.setAll()
	c.Out.Int(1)
}

func (c *Ctx) setAll() {
	for i := 1; i < len(c.Args); i += 2 {
		c.setString(c.Args[i], c.Args[i+1], 0, eventSet)
	}
}

// msetexCommand is MSETEX of Redis 8.4 and Valkey 9.1, whose errors these are.
func msetexCommand(c *Ctx) {
	numkeys, ok := parseInt(c.Args[1])
	if !ok || numkeys < 1 || numkeys > math.MaxInt32 {
		c.Out.Error("ERR invalid numkeys value or out of range")
		return
	}
	if numkeys > int64(len(c.Args)-2)/2 {
		c.Out.Error(errSyntax)
		return
	}
	end := 2 + 2*int(numkeys)
	o, ok := parseSetOptions(c.Args[end:], msetexTakes)
	if !ok {
		c.Out.Error(errSyntax)
		return
	}
	deadline, ok := c.optionalDeadline(&o, "msetex")
	if !ok {
		return
	}
	pairs := c.Args[2:end]
	if o.nx || o.xx {
		for i := 0; i < len(pairs); i += 2 {
			if e, found := c.lookupWrite(pairs[i]); !o.matches(e, found) {
				c.Out.Int(0)
				return
			}
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		c.setOptioned(pairs[i], pairs[i+1], deadline, &o)
	}
	c.Out.Int(1)
}

// setOptioned makes key a string as SET does with options, and logs that.
func (c *Ctx) setOptioned(key, val []byte, deadline int64, o *setOptions) {
	deadline = c.keptDeadline(key, deadline, o)
	c.setString(key, val, deadline, eventSet)
	c.noteOptions(key, val, deadline, o)
}

// keptDeadline is the deadline that a key gets by SET with options.
func (c *Ctx) keptDeadline(key []byte, deadline int64, o *setOptions) int64 {
	if o.keepTTL {
		if e, found := c.lookupWrite(key); found {
			return e.Deadline()
		}
	}
	return deadline
}

// noteOptions tells of the options of a SET, and logs it.
func (c *Ctx) noteOptions(key, val []byte, deadline int64, o *setOptions) {
	if o.expire != nil {
		c.ChangedN(key, eventExpire, 0)
	}
	if o.keepTTL {
		c.logValue(key, val, wordKeepTTL)
	} else {
		c.logSet(key, val, deadline)
	}
}

func strlenCommand(c *Ctx) {
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	switch {
	case !ok:
	case !found:
		c.Out.Int(0)
	default:
		c.Out.Int(int64(len(e.Bytes())))
	}
}

func getrangeCommand(c *Ctx) {
	start, ok1 := c.intArg(c.Args[2])
	if !ok1 {
		return
	}
	end, ok2 := c.intArg(c.Args[3])
	if !ok2 {
		return
	}
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	if !found {
		c.Out.BulkString("")
		return
	}
	b := e.Bytes()
	n := int64(len(b))
	if start < 0 && end < 0 && start > end {
		c.Out.BulkString("")
		return
	}
	if start < 0 {
		start = max(n+start, 0)
	}
	if end < 0 {
		end = max(n+end, 0)
	}
	end = min(end, n-1)
	if start > end || n == 0 {
		c.Out.BulkString("")
		return
	}
	c.Out.Bulk(b[start : end+1])
}

func setrangeCommand(c *Ctx) {
	key, val := c.Args[1], c.Args[3]
	offset, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if offset < 0 {
		c.Out.Error("ERR offset is out of range")
		return
	}
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	if len(val) == 0 {
		n := 0
		if found {
			n = len(e.Bytes())
		}
		c.Out.Int(int64(n))
		return
	}
	if offset > maxString || offset+int64(len(val)) > maxString {
		c.Out.Error(errTooLong)
		return
	}
	n := c.db(key).SetRange(key, int(offset), val)
	c.Changed(key, eventSetRange)
	c.Out.Int(int64(n))
}

func appendCommand(c *Ctx) {
	key, suffix := c.Args[1], c.Args[2]
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	if !found {
		c.setString(key, suffix, 0, eventAppend)
		c.Out.Int(int64(len(suffix)))
		return
	}
	n := len(e.Bytes()) + len(suffix)
	if n > maxString {
		c.Out.Error(errTooLong)
		return
	}
	c.db(key).Append(key, suffix)
	c.Changed(key, eventAppend)
	c.Out.Int(int64(n))
}
