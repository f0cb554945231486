package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Error replies that many commands share, in Redis's words.
const (
	errSyntax    = "ERR syntax error"
	errWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNotInt    = "ERR value is not an integer or out of range"
	errNotFloat  = "ERR value is not a valid float"
	errNoSuchKey = "ERR no such key"
	errOverflow  = "ERR increment or decrement would overflow"
	errNaN       = "ERR increment would produce NaN or Infinity"
	errTooLong   = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errNegative  = "ERR value is out of range, must be positive"
	errDBIndex   = "ERR DB index is out of range"
	errSameKey   = "ERR source and destination objects are the same"
	errBusyKey   = "BUSYKEY Target key name already exists."
)

// Verbs and words that are logged.
var (
	verbDel       = []byte("DEL")
	verbSet       = []byte("SET")
	verbSetRange  = []byte("SETRANGE")
	verbPExpireAt = []byte("PEXPIREAT")
	verbPersist   = []byte("PERSIST")
	verbRestore   = []byte("RESTORE")
	wordPXAT      = []byte("PXAT")
	wordKeepTTL   = []byte("KEEPTTL")
	wordReplace   = []byte("REPLACE")
	wordAbsTTL    = []byte("ABSTTL")
)

// typed looks up a key for reading (counting the access) and replies with
// WRONGTYPE when it holds another type; then ok is false. A missing key is
// ok but not found.
func (c *Ctx) typed(key []byte, t keyspace.Type) (e keyspace.Entry, found, ok bool) {
	e, found = c.lookup(key)
	return c.checkType(e, found, t)
}

// typedWrite is typed for a key about to be changed.
func (c *Ctx) typedWrite(key []byte, t keyspace.Type) (e keyspace.Entry, found, ok bool) {
	e, found = c.lookupWrite(key)
	return c.checkType(e, found, t)
}

func (c *Ctx) checkType(e keyspace.Entry, found bool, t keyspace.Type) (keyspace.Entry, bool, bool) {
	return e, found, !found || e.Type() == t || c.wrongType()
}

// wrongType replies that a key holds another type, and is false.
func (c *Ctx) wrongType() bool {
	c.Out.Error(errWrongType)
	return false
}

// is tells whether an argument is the given word, which is in lower case.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, ch := range arg {
		if ch != word[i] && lower(ch) != word[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// parseInt reads a decimal integer as Redis's string2ll does: no sign but a
// minus, no leading zeros, no blanks, nothing beyond 64 bits.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	neg := b[0] == '-'
	digits := b
	if neg {
		digits = b[1:]
	}
	if len(digits) == 1 && digits[0] == '0' {
		return 0, !neg
	}
	if len(digits) == 0 || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	var n uint64
	for _, ch := range digits {
		d := uint64(ch - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if neg {
		if n > 1<<63 {
			return 0, false
		}
		return -int64(n), true // 1<<63 wraps to the least integer, as meant
	}
	return int64(n), n <= math.MaxInt64 // checked
}

// intArg parses an argument, replying with errNotInt when it is none.
func (c *Ctx) intArg(b []byte) (int64, bool) {
	n, ok := parseInt(b)
	if !ok {
		c.Out.Error(errNotInt)
	}
	return n, ok
}

// replyBool replies with 1 or 0.
func (c *Ctx) replyBool(b bool) {
	n := int64(0)
	if b {
		n = 1
	}
	c.Out.Int(n)
}
