package command

import (
	"math"
	"math/rand/v2"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// Verbs that are logged in place of others.
var (
	verbHSet      = []byte("HSET")
	verbLPop      = []byte("LPOP")
	verbLMove     = []byte("LMOVE")
	verbRPopLPush = []byte("RPOPLPUSH")
	verbRPop      = []byte("RPOP")
	verbSRem      = []byte("SREM")
	verbZPopMin   = []byte("ZPOPMIN")
	verbZPopMax   = []byte("ZPOPMAX")
)

// maxReply bounds the reply of a command that may be asked for any number of
// elements whatever there is (SRANDMEMBER with a negative count).
const maxReply = 64 << 20

const (
	errOutOfRange = "ERR value is out of range"
	errLongRange  = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	errNumKeys    = "ERR numkeys should be greater than 0"
	errCount      = "ERR count should be greater than 0"
	errLimit      = "ERR LIMIT can't be negative"
	errTooBig     = "ERR reply exceeds maximum allowed size"
)

// anyCount parses a count that may be negative, as the random commands take it.
func (c *Ctx) anyCount(arg []byte) (int64, bool) {
	n, ok := c.intArg(arg)
	if ok && n == math.MinInt64 {
		c.Out.Error(errLongRange)
		return 0, false
	}
	return n, ok
}

// atLeast parses an integer that must be at least least; msg is the reply to
// everything else.
func (c *Ctx) atLeast(arg []byte, least int64, msg string) (int64, bool) {
	n, ok := parseInt(arg)
	if !ok || n < least {
		c.Out.Error(msg)
		return 0, false
	}
	return n, true
}

// popCount parses the optional count of a pop: ok with n < 0 when there is none.
func (c *Ctx) popCount() (n int64, ok bool) {
	if len(c.Args) < 3 {
		return -1, true
	}
	return c.atLeast(c.Args[2], 0, errNegative)
}

// span turns a range of Redis's inclusive indexes, negative ones counting from
// the end, into [from, to) of n elements; from == to when it is empty.
func span(start, stop int64, n int) (from, to int) {
	length := int64(n)
	if start < 0 {
		start = max(start+length, 0)
	}
	if stop < 0 {
		stop += length
	}
	if start > stop || start >= length {
		return 0, 0
	}
	return int(start), int(min(stop, length-1)) + 1
}

// read returns the collection at a key for reading. found is false when the key
// is missing, ok when it holds another type, which it has replied.
func read[T any](c *Ctx, key []byte, t keyspace.Type, at func(*keyspace.DB, []byte) T) (v T, found, ok bool) {
	if _, found, ok = c.typed(key, t); found && ok {
		v = at(c.db(key), key)
	}
	return v, found, ok
}

// write is read for a collection about to be changed, which exists as soon as
// it has an element.
func write[T any](c *Ctx, key []byte, t keyspace.Type, at func(*keyspace.DB, []byte) T) (v T, found, ok bool) {
	if _, found, ok = c.typedWrite(key, t); ok {
		v = at(c.db(key), key)
	}
	return v, found, ok
}

// scanElements is HSCAN, SSCAN and ZSCAN: scan visits elements of the key from
// a cursor on, writing those that match.
func (c *Ctx) scanElements(t keyspace.Type, scan func(cursor uint64, count int, match func([]byte) bool, w *resp.Writer) (next uint64, n int)) {
	cursor, ok := c.parseCursor(c.Args[2])
	if !ok {
		return
	}
	_, found, ok := c.typed(c.Args[1], t)
	if !ok {
		return
	}
	if !found {
		c.replyScan(0, 0, nil)
		return
	}
	o, ok := c.parseScanOptions(c.Args[3:], false)
	if !ok {
		return
	}
	if c.detach(o.count, c.Args[1]) {
		return
	}
	match := func(b []byte) bool { return o.pattern == nil || GlobMatch(o.pattern, b, false) }
	body := resp.Writer{Buf: c.scratch[:0]}
	next, n := scan(cursor, o.count, match, &body)
	c.scratch = body.Buf
	c.replyScan(next, n, body.Buf)
}

// members are elements copied out of the store, so that they outlive changes
// to it.
type members struct {
	bytes  []byte
	ends   []int
	scores []float64 // of sorted sets
}

func (m *members) add(b []byte) {
	m.bytes = append(m.bytes, b...)
	m.ends = append(m.ends, len(m.bytes))
}

func (m *members) addScored(b []byte, score float64) {
	m.add(b)
	m.scores = append(m.scores, score)
}

// addTo adds the members to a sorted set, with their scores.
func (m *members) addTo(z keyspace.ZSetRef) {
	for i := range m.len() {
		z.Add(m.at(i), m.scores[i])
	}
}

func (m *members) len() int { return len(m.ends) }

func (m *members) at(i int) []byte {
	start := 0
	if i > 0 {
		start = m.ends[i-1]
	}
	return m.bytes[start:m.ends[i]:m.ends[i]]
}

// logMembers logs a command that names m's elements, a bounded number in each.
func (c *Ctx) logMembers(verb, key []byte, m *members) {
	const atMost = 64
	args := make([][]byte, 0, 2+min(m.len(), atMost))
	for i := 0; i < m.len(); {
		args = append(args[:0], verb, key)
		for ; i < m.len() && len(args) < 2+atMost; i++ {
			args = append(args, m.at(i))
		}
		c.LogAs(args...)
	}
}

// logScored logs ZADDs of m's elements, a bounded number in each.
func (c *Ctx) logScored(key []byte, m *members) {
	const atMost = 64
	args := make([][]byte, 0, 2+2*min(m.len(), atMost))
	for i := 0; i < m.len(); {
		args = append(args[:0], verbZAdd, key)
		for ; i < m.len() && len(args) < 2+2*atMost; i++ {
			args = append(args, resp.AppendDouble(nil, m.scores[i]), m.at(i))
		}
		c.LogAs(args...)
	}
}

// distinct picks k different numbers below n, in random order.
func distinct(rng *rand.Rand, n, k int) []int {
	if k > n/3 {
		return rng.Perm(n)[:k]
	}
	seen := make(map[int]struct{}, k)
	out := make([]int, 0, k)
	for len(out) < k {
		i := rng.IntN(n)
		if _, again := seen[i]; !again {
			seen[i] = struct{}{}
			out = append(out, i)
		}
	}
	return out
}

// repeat writes n replies with one, unless they become larger than a reply may
// be; then it takes back everything since start and replies with an error. A client
// that may not be owed so much is lost instead, as it is in the middle of any reply.
func (c *Ctx) repeat(start int, n int64, one func()) {
	for i := int64(0); i < n; i++ {
		one()
		// What the first reply takes tells early what all would.
		if c.Out.Over {
			return
		}
		if size := int64(c.Out.Len() - start); size > maxReply || i == 0 && n > maxReply/size {
			c.Out.Truncate(start)
			if most := int64(c.Out.Max); most > 0 && (size > most || n > most/size) {
				c.Out.Over = true
				return
			}
			c.Out.Error(errTooBig)
			return
		}
	}
}

// makeRoom removes whatever dst holds, for the result of a STORE command, and
// tells whether it held anything. stored follows.
func (c *Ctx) makeRoom(dst []byte) (found bool) {
	if _, found = c.lookupWrite(dst); found {
		c.db(dst).Delete(dst)
		c.tellEnd() // it is overwritten
	}
	return found
}

// stored accounts for the n elements that a STORE command has put into dst, and
// for what was there before.
func (c *Ctx) stored(dst []byte, replaced bool, n int, ev Event) {
	switch {
	case n > 0:
		c.Changed(dst, ev)
	case replaced:
		c.Changed(dst, eventDel)
	}
}
