package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var hashExpireHandlers = handlers{
	"hexpire":      hexpireCommand,
	"hpexpire":     hpexpireCommand,
	"hexpireat":    hexpireatCommand,
	"hpexpireat":   hpexpireatCommand,
	"httl":         httlCommand,
	"hpttl":        hpttlCommand,
	"hexpiretime":  hexpiretimeCommand,
	"hpexpiretime": hpexpiretimeCommand,
	"hpersist":     hpersistCommand,
}

// Verbs and words that are logged of fields and their deadlines.
var (
	verbHDel       = []byte("HDEL")
	verbHSetEx     = []byte("HSETEX")
	verbHPersist   = []byte("HPERSIST")
	verbHPExpireAt = []byte("HPEXPIREAT")
	wordFields     = []byte("FIELDS")
)

const (
	errFieldsMissing  = "ERR Mandatory argument FIELDS is missing or not at the right position"
	errFieldsPositive = "ERR Number of fields must be a positive integer"
	errFieldsAbove0   = "ERR Parameter `numFields` should be greater than 0"
	errFieldsMatch    = "ERR The `numfields` parameter must match the number of arguments"
	errPastZero       = "ERR invalid expire time, must be >= 0"
)

// What the commands reply for a field.
const (
	noField      = -2
	noDeadline   = -1
	notMet       = 0 // a condition
	deadlineSet  = 1
	fieldRemoved = 2 // the deadline is past
)

// maxFieldTTL is the latest deadline that commands give to a field, as in Redis.
const maxFieldTTL = keyspace.MaxFieldDeadline >> 2

// due tells whether the deadline of a field, 0 for none, has passed. While replaying
// none has: the removal has its own place in the log.
func (c *Ctx) due(deadline int64) bool { return deadline != 0 && !c.Replaying && deadline <= c.Now }

// liveAt is when the deadlines of fields are judged, 0 while replaying.
func (c *Ctx) liveAt() int64 {
	if c.Replaying {
		return 0
	}
	return c.Now
}

// field returns the value of a field of the hash at key that has not expired. One that
// has is removed, which is told at once.
func (c *Ctx) field(h keyspace.HashRef, key, field []byte) (val []byte, ok bool) {
	val, ok, expired := c.meetField(h, key, field)
	if expired {
		c.fieldsExpired(key, 1)
		c.keyGone(key)
	}
	return val, ok
}

// meeting are the fields of a hash that a command meets one after the other. What has
// expired goes, of which tell and keyGone tell in the end.
type meeting struct {
	c       *Ctx
	h       keyspace.HashRef
	key     []byte
	expired int
}

// field is the value of a field, if it is there.
func (m *meeting) field(field []byte) (val []byte, ok bool) {
	val, ok, expired := m.c.meetField(m.h, m.key, field)
	if expired {
		m.expired++
	}
	return val, ok
}

// tell tells of the fields that have expired.
func (m *meeting) tell() { m.c.fieldsExpired(m.key, m.expired) }

// meetField is field for a command that meets several, see meeting: expired says that
// it was removed.
func (c *Ctx) meetField(h keyspace.HashRef, key, field []byte) (val []byte, ok, expired bool) {
	val, deadline, ok := h.Field(field)
	if !ok || !c.due(deadline) {
		return val, ok, false
	}
	if c.Frozen {
		return nil, false, false
	}
	c.appendEffect(c.DB, verbHDel, key, field)
	h.Del(field)
	if c.Stats != nil {
		c.Stats.ExpiredSubkeys.Add(1)
	}
	return nil, false, true
}

// fieldsExpired tells that n fields of a hash have expired.
func (c *Ctx) fieldsExpired(key []byte, n int) {
	if n > 0 {
		c.ChangedN(key, eventHExpired, 0)
	}
}

// keyGone tells that a hash went with its last field, if it did.
func (c *Ctx) keyGone(key []byte) {
	if c.Events.wanted() && c.status(c.shardOf(key), c.DB, key) == keyspace.Missing {
		c.ChangedN(key, eventDel, 0)
	}
}

// expireFields removes all fields of the hash at key that have expired, and tells
// whether others are left.
func (c *Ctx) expireFields(h keyspace.HashRef, key []byte) (left bool) {
	if c.Replaying || c.Frozen {
		return true
	}
	n := ExpireFields(h, c.Now, math.MaxInt, func(field []byte) { c.appendEffect(c.DB, verbHDel, key, field) })
	if n == 0 {
		return true
	}
	if c.Stats != nil {
		c.Stats.ExpiredSubkeys.Add(int64(n))
	}
	c.fieldsExpired(key, n)
	c.keyGone(key)
	return h.Len() > 0
}

// ExpireFields removes the fields of a hash that have expired, the first of them
// first, atMost so many, and returns how many it has removed. It calls gone with each before.
func ExpireFields(h keyspace.HashRef, now int64, atMost int, gone func(field []byte)) (n int) {
	for ; n < atMost; n++ {
		field, ok := h.Due(now)
		if !ok {
			break
		}
		gone(field)
		h.Del(field)
	}
	return n
}

// fieldArgs takes FIELDS, their number and as many names from position at on.
func (c *Ctx) fieldArgs(at int, msg string) (fields [][]byte, ok bool) {
	if !is(c.Args[at], "fields") {
		c.Out.Error(errFieldsMissing)
		return nil, false
	}
	n, ok := c.atLeast(c.Args[at+1], 1, msg)
	if !ok {
		return nil, false
	}
	if fields = c.Args[at+2:]; n != int64(len(fields)) {
		c.Out.Error(errFieldsMatch)
		return nil, false
	}
	return fields, true
}

// fieldDeadline turns the time of a command into a deadline: base is added to it.
func (c *Ctx) fieldDeadline(arg []byte, base int64, seconds bool, name string) (ms int64, ok bool) {
	if ms, ok = c.intArg(arg); !ok {
		return 0, false
	}
	if ms < 0 {
		c.Out.Error(errPastZero)
		return 0, false
	}
	invalid := false
	if seconds {
		invalid = ms > maxFieldTTL/1000
		ms *= 1000
	}
	if invalid || ms > maxFieldTTL-base {
		c.Out.Error("ERR invalid expire time in '" + name + "' command")
		return 0, false
	}
	return ms + base, true
}

// dating gives fields of one hash a deadline, and keeps those that it has changed.
type dating struct {
	c        *Ctx
	h        keyspace.HashRef
	key      []byte
	deadline int64 // 0 for none any more
	set      [][]byte
	removed  [][]byte
}

// date gives a field, which is there, the deadline, or removes it when that is past.
func (d *dating) date(field []byte) (removed bool) {
	if d.deadline != 0 && d.c.past(d.deadline) {
		d.h.Del(field)
		d.removed = append(d.removed, field)
		if d.c.Stats != nil {
			d.c.Stats.ExpiredSubkeys.Add(1)
		}
		return true
	}
	d.h.SetDeadline(field, d.deadline)
	d.set = append(d.set, field)
	return false
}

// log logs what was done as what it came to, and counts it as n changes.
func (d *dating) log(n int) {
	c := d.c
	c.Counted(n)
	c.LogNothing()
	if len(d.removed) > 0 {
		c.logHDel(d.key, d.removed)
	}
	if len(d.set) == 0 {
		return
	}
	var when, count [20]byte
	args := [][]byte{verbHPersist, d.key}
	if d.deadline != 0 {
		args = [][]byte{verbHPExpireAt, d.key, appendInt(when[:0], d.deadline)}
	}
	args = append(args, wordFields, appendInt(count[:0], int64(len(d.set))))
	c.LogAs(append(args, d.set...)...)
}

// logHDel logs that fields were removed, whatever did it.
func (c *Ctx) logHDel(key []byte, fields [][]byte) {
	c.LogAs(append([][]byte{verbHDel, key}, fields...)...)
}

func hexpireCommand(c *Ctx)    { c.hexpire(c.Now, true, "hexpire") }
func hpexpireCommand(c *Ctx)   { c.hexpire(c.Now, false, "hpexpire") }
func hexpireatCommand(c *Ctx)  { c.hexpire(0, true, "hexpireat") }
func hpexpireatCommand(c *Ctx) { c.hexpire(0, false, "hpexpireat") }

// hexpire is the four HEXPIRE commands: base is added to the argument.
func (c *Ctx) hexpire(base int64, seconds bool, name string) {
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	deadline, ok := c.fieldDeadline(c.Args[2], base, seconds, name)
	if !ok {
		return
	}
	at, allow := 4, deadlineConditions[string(lowered(c.Args[3]))]
	if allow == nil {
		at, allow = 3, always
	}
	fields, ok := c.fieldArgs(at, errFieldsAbove0)
	if !ok {
		return
	}
	c.Out.Array(len(fields))
	d := dating{c: c, h: h, key: c.Args[1], deadline: max(deadline, 1)}
	h.AllowDeadlines()
	for _, field := range fields {
		switch old, there := fieldOf(h, found, field); {
		case !there:
			c.Out.Int(noField)
		case !allow(old, deadline):
			c.Out.Int(notMet)
		case d.date(field):
			c.Out.Int(fieldRemoved)
		default:
			c.Out.Int(deadlineSet)
		}
	}
	switch {
	case len(d.removed) > 0:
		c.Shrunk(d.key, eventHDel, 0)
	case len(d.set) > 0:
		c.ChangedN(d.key, eventHExpire, 0)
	default:
		return
	}
	d.log(len(d.set) + len(d.removed))
}

// deadlineConditions are the words that make a deadline depend on the old one, 0 for
// none.
var deadlineConditions = map[string]func(old, deadline int64) bool{
	"nx": func(old, _ int64) bool { return old == 0 },
	"xx": func(old, _ int64) bool { return old != 0 },
	"gt": func(old, deadline int64) bool { return old != 0 && deadline > old },
	"lt": func(old, deadline int64) bool { return old == 0 || deadline < old },
}

func always(_, _ int64) bool { return true }

// lowered is a short word in lower case, anything longer as it is.
func lowered(word []byte) []byte {
	if len(word) > 8 {
		return word
	}
	out := make([]byte, len(word))
	for i, ch := range word {
		out[i] = lower(ch)
	}
	return out
}

// fieldOf returns the deadline of a field, whether that is past or not.
func fieldOf(h keyspace.HashRef, found bool, field []byte) (deadline int64, there bool) {
	if found {
		_, deadline, there = h.Field(field)
	}
	return deadline, there
}

func httlCommand(c *Ctx)         { c.replyFieldDeadlines(c.Now, true) }
func hpttlCommand(c *Ctx)        { c.replyFieldDeadlines(c.Now, false) }
func hexpiretimeCommand(c *Ctx)  { c.replyFieldDeadlines(0, true) }
func hpexpiretimeCommand(c *Ctx) { c.replyFieldDeadlines(0, false) }

// replyFieldDeadlines replies with the deadlines of fields, from base on.
func (c *Ctx) replyFieldDeadlines(base int64, seconds bool) {
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	fields, ok := c.fieldArgs(2, errFieldsPositive)
	if !ok {
		return
	}
	c.Out.Array(len(fields))
	for _, field := range fields {
		ms, there := fieldOf(h, found, field)
		switch {
		case !there || c.due(ms):
			c.Out.Int(noField)
		case ms == 0:
			c.Out.Int(noDeadline)
		case seconds:
			c.Out.Int((ms - base + 999) / 1000)
		default:
			c.Out.Int(ms - base)
		}
	}
}

func hpersistCommand(c *Ctx) {
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	fields, ok := c.fieldArgs(2, errFieldsPositive)
	if !ok {
		return
	}
	c.Out.Array(len(fields))
	d := dating{c: c, h: h, key: c.Args[1]}
	for _, field := range fields {
		switch old, there := fieldOf(h, found, field); {
		case !there || c.due(old):
			c.Out.Int(noField)
		case old == 0:
			c.Out.Int(noDeadline)
		default:
			d.date(field)
			c.Out.Int(deadlineSet)
		}
	}
	if len(d.set) > 0 {
		c.ChangedN(d.key, eventHPersist, 0)
		d.log(1)
	}
}
