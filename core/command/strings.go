package command

import (
	"bytes"
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// maxString is the longest string a key may hold, Redis's proto-max-bulk-len.
const maxString = rdb.MaxString

// consumeFrom is from what size on a value's pages are given up while it is
// stored: below, that costs more than it is worth.
const consumeFrom = 16 << 20

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
	"mget":        mgetCommand,
	"mset":        msetCommand,
	"msetnx":      msetnxCommand,
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
	e, found, ok := c.typed(key, keyspace.String)
	switch {
	case !ok:
	case !found:
		c.Out.Null()
	default:
		c.Out.Bulk(e.Bytes())
	}
	return found, ok
}

func getCommand(c *Ctx) { c.replyString(c.Args[1]) }

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	ifEQ, ifNE                    bool   // the value is compared
	other                         []byte // with this
	expire                        []byte // the argument of EX, PX, EXAT or PXAT
	seconds, relative             bool   // what kind it is
}

// compares tells whether the value that there is decides.
func (o *setOptions) compares() bool { return o.ifEQ || o.ifNE }

// matches tells whether the value of a key is what it has to be for the key to be set;
// one that is not there equals nothing. The value is a string if it is compared.
func (o *setOptions) matches(e keyspace.Entry, found bool) bool {
	switch {
	case o.ifEQ:
		return found && bytes.Equal(e.Bytes(), o.other)
	case o.ifNE:
		return !found || !bytes.Equal(e.Bytes(), o.other)
	}
	return (!o.nx || !found) && (!o.xx || found)
}

// parseSetOptions reads the options of SET, or of GETEX.
func parseSetOptions(args [][]byte, getex bool) (o setOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		seconds, relative := false, false
		switch {
		case !getex && is(a, "nx") && !o.xx && !o.compares():
			o.nx = true
			continue
		case !getex && is(a, "xx") && !o.nx && !o.compares():
			o.xx = true
			continue
		case !getex && is(a, "ifeq") && !o.nx && !o.xx && !o.compares() && i+1 < len(args):
			i++
			o.ifEQ, o.other = true, args[i]
			continue
		case !getex && is(a, "ifne") && !o.nx && !o.xx && !o.compares() && i+1 < len(args):
			i++
			o.ifNE, o.other = true, args[i]
			continue
		case !getex && is(a, "get"):
			o.get = true
			continue
		case !getex && is(a, "keepttl") && o.expire == nil:
			o.keepTTL = true
			continue
		case getex && is(a, "persist") && o.expire == nil:
			o.persist = true
			continue
		case is(a, "ex"):
			seconds, relative = true, true
		case is(a, "px"):
			relative = true
		case is(a, "exat"):
			seconds = true
		case is(a, "pxat"):
		default:
			return o, false
		}
		again := o.expire != nil && (o.seconds != seconds || o.relative != relative)
		if again || o.keepTTL || o.persist || i+1 == len(args) {
			return o, false
		}
		i++
		o.expire, o.seconds, o.relative = args[i], seconds, relative
	}
	return o, true
}

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
	key, val := c.Args[1], c.Args[2]
	if len(c.Args) == 3 {
		if c.Consume && len(val) >= consumeFrom {
			c.Args[2] = c.db(key).MoveString(key, val)
			c.Changed(key, eventSet)
		} else {
			c.setString(key, val, 0, eventSet)
		}
		c.Out.OK()
		return
	}
	o, ok := parseSetOptions(c.Args[3:], false)
	if !ok {
		c.Out.Error(errSyntax)
		return
	}
	var deadline int64
	if o.expire != nil {
		if deadline, ok = c.deadline(o.expire, o.seconds, o.relative, "set"); !ok {
			return
		}
	}
	if o.get {
		if _, ok := c.replyString(key); !ok {
			return
		}
	}
	if o.nx || o.xx || o.keepTTL || o.compares() {
		e, found := c.lookupWrite(key)
		if found && o.compares() && e.Type() != keyspace.String {
			c.Out.Error(errWrongType)
			return
		}
		if !o.matches(e, found) {
			if !o.get {
				c.Out.Null()
			}
			return
		}
		if o.keepTTL && found {
			deadline = e.Deadline()
		}
	}
	c.setString(key, val, deadline, eventSet)
	if o.expire != nil {
		c.ChangedN(key, eventExpire, 0)
	}
	switch {
	case o.keepTTL:
		c.LogAs(verbSet, key, val, wordKeepTTL)
	default:
		c.logSet(key, val, deadline)
	}
	if !o.get {
		c.Out.OK()
	}
}

// setString makes key a string, whatever it was.
func (c *Ctx) setString(key, val []byte, deadline int64, ev Event) {
	c.db(key).SetString(key, val, deadline)
	c.Changed(key, ev)
}

// logSet logs a SET with an absolute deadline, 0 for none.
func (c *Ctx) logSet(key, val []byte, deadline int64) {
	if deadline == 0 {
		c.LogAs(verbSet, key, val)
		return
	}
	var tmp [20]byte
	c.LogAs(verbSet, key, val, wordPXAT, appendInt(tmp[:0], deadline))
}

func setnxCommand(c *Ctx) {
	if _, found := c.lookupWrite(c.Args[1]); found {
		c.Out.Int(0)
		return
	}
	c.setString(c.Args[1], c.Args[2], 0, eventSet)
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
	c.setString(c.Args[1], c.Args[3], deadline, eventSet)
	c.ChangedN(c.Args[1], eventExpire, 0)
	c.logSet(c.Args[1], c.Args[3], deadline)
	c.Out.OK()
}

func getsetCommand(c *Ctx) {
	if _, ok := c.replyString(c.Args[1]); !ok {
		return
	}
	c.setString(c.Args[1], c.Args[2], 0, eventSet)
	c.logSet(c.Args[1], c.Args[2], 0)
}

func getexCommand(c *Ctx) {
	key := c.Args[1]
	o, ok := parseSetOptions(c.Args[2:], true)
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
	var deadline int64
	if o.expire != nil {
		if deadline, ok = c.deadline(o.expire, o.seconds, o.relative, "getex"); !ok {
			return
		}
	}
	c.Out.Bulk(e.Bytes())
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
			c.Out.Bulk(e.Bytes())
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

// delifeqCommand is DELIFEQ of Valkey 9.
func delifeqCommand(c *Ctx) {
	e, found, ok := c.typedWrite(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	same := found && bytes.Equal(e.Bytes(), c.Args[2])
	if same {
		c.remove(c.Args[1])
		c.LogAs(verbDel, c.Args[1])
	}
	c.replyBool(same)
}
