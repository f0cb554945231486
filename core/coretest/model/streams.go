package model

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// streamID is the ID of an entry.
type streamID struct{ ms, seq uint64 }

func (a streamID) compare(b streamID) int {
	if c := cmp.Compare(a.ms, b.ms); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}

func (a streamID) String() string { return fmt.Sprintf("%d-%d", a.ms, a.seq) }

// stream is the value of a stream. The zero value is empty.
type stream struct {
	entries    []streamEntry
	last       streamID
	maxDeleted streamID
	added      int64
	groups     map[string]*streamGroup
}

type streamEntry struct {
	id    streamID
	pairs []string
}

type streamGroup struct {
	last      streamID
	read      int64 // entries, -1 for unknown
	pending   map[streamID]pendingEntry
	consumers map[string]int64 // when each was seen
}

type pendingEntry struct {
	consumer  string
	delivered int64
	count     int64
}

func (s *stream) copy() *stream {
	if s == nil {
		return nil
	}
	c := *s
	c.entries = slices.Clone(s.entries)
	c.groups = map[string]*streamGroup{}
	for name, g := range s.groups {
		c.groups[name] = &streamGroup{g.last, g.read, maps.Clone(g.pending), maps.Clone(g.consumers)}
	}
	return &c
}

// text is all of a stream, for value.text.
func (s *stream) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, " last=%s deleted=%s added=%d", s.last, s.maxDeleted, s.added)
	for _, e := range s.entries {
		fmt.Fprintf(&b, " %s=%q", e.id, e.pairs)
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		fmt.Fprintf(&b, " group %q %s %d", name, g.last, g.read)
		for _, c := range slices.Sorted(maps.Keys(g.consumers)) {
			fmt.Fprintf(&b, " consumer %q@%d", c, g.consumers[c])
		}
		for _, id := range g.ids() {
			fmt.Fprintf(&b, " %s:%+v", id, g.pending[id])
		}
	}
	return b.String()
}

// ids are those that are pending, in order.
func (g *streamGroup) ids() []streamID {
	return slices.SortedFunc(maps.Keys(g.pending), streamID.compare)
}

func (s *stream) find(id streamID) (int, bool) {
	return slices.BinarySearchFunc(s.entries, id, func(e streamEntry, id streamID) int { return e.id.compare(id) })
}

func (s *stream) first() (id streamID) {
	if len(s.entries) > 0 {
		id = s.entries[0].id
	}
	return id
}

// readUpTo is how many entries come up to an ID, as Redis estimates it.
func (s *stream) readUpTo(id streamID) int64 {
	last := id.compare(s.last)
	switch {
	case s.added == 0:
		return 0
	case len(s.entries) == 0 && last <= 0, last == 0:
		return s.added
	case last > 0:
		return -1
	}
	if s.maxDeleted == (streamID{}) || s.maxDeleted.compare(s.first()) < 0 {
		switch id.compare(s.first()) {
		case -1:
			return s.added - int64(len(s.entries))
		case 0:
			return s.added - int64(len(s.entries)) + 1
		}
	}
	return -1
}

// deliver notes that a group has read an entry.
func (s *stream) deliver(g *streamGroup, id streamID) {
	tombstones := len(s.entries) > 0 && s.maxDeleted != (streamID{}) && s.first().compare(s.maxDeleted) <= 0 && id.compare(s.maxDeleted) <= 0
	switch {
	case g.read != -1 && !tombstones:
		g.read++
	case s.added > 0:
		g.read = s.readUpTo(id)
	}
	g.last = id
}

// trim keeps the entries from a position on.
func (s *stream) trim(from int) int {
	s.entries = s.entries[from:]
	return from
}

// streamID parses "ms-seq"; "0" is 0-0.
func (k *call) streamID(arg string) (id streamID) {
	ms, seq, both := strings.Cut(arg, "-")
	var err, errSeq error
	id.ms, err = strconv.ParseUint(ms, 10, 64)
	if both {
		id.seq, errSeq = strconv.ParseUint(seq, 10, 64)
	}
	k.require(err == nil && errSeq == nil, "ERR Invalid stream ID specified as stream command argument")
	return id
}

func (k *call) streamIDs(args []string) (ids []streamID) {
	for _, a := range args {
		ids = append(ids, k.streamID(a))
	}
	return ids
}

func (e streamEntry) reply() Reply {
	return array(text(e.id.String()), texts(e.pairs, inOrder))
}

func streamCommands() map[string]command {
	return map[string]command{
		"xadd":       {5, true, xadd},
		"xtrim":      {4, true, xtrim},
		"xdel":       {3, true, xdel},
		"xdelex":     {5, true, xdelex},
		"xackdel":    {6, true, xackdel},
		"xsetid":     {3, true, xsetid},
		"xgroup":     {4, true, xgroup},
		"xreadgroup": {7, true, xreadgroup},
		"xack":       {4, true, xack},
		"xclaim":     {6, true, xclaim},
		"xautoclaim": {8, true, xautoclaim},
		"xlen": {2, false, func(k *call) Reply {
			return count(len(k.edit(k.args[1], kindStream).stream.entries))
		}},
		"xrange": {4, false, func(k *call) Reply { // - +
			r := array()
			for _, e := range k.edit(k.args[1], kindStream).stream.entries {
				r.elems = append(r.elems, e.reply())
			}
			return r
		}},
		"xpending": {3, false, xpending},
	}
}

// xadd knows NOMKSTREAM or MAXLEN, in this order, and IDs that are given, "ms-*" among them.
func xadd(k *call) Reply {
	key, at, maxLen := k.args[1], 2, int64(-1)
	there := k.read(key, kindStream) != nil
	mayMake := true
	if strings.EqualFold(k.args[at], "nomkstream") {
		mayMake = false
		at++
	}
	if strings.EqualFold(k.args[at], "maxlen") {
		maxLen = k.int(k.args[at+1])
		at += 2
	}
	v := k.edit(key, kindStream)
	s := v.stream
	ms, seq, _ := strings.Cut(k.args[at], "-")
	var id streamID
	if seq == "*" {
		id = k.streamID(ms)
		if id.ms == s.last.ms {
			id.seq = s.last.seq + 1
		}
	} else if id = k.streamID(k.args[at]); id == (streamID{}) {
		k.fail("ERR The ID specified in XADD must be greater than 0-0")
	}
	if !there && !mayMake {
		return nul
	}
	k.require(id.compare(s.last) > 0, "ERR The ID specified in XADD is equal or smaller than the target stream top item")
	s.entries = append(s.entries, streamEntry{id, slices.Clone(k.args[at+1:])})
	s.last = id
	s.added++
	if maxLen >= 0 {
		s.trim(max(0, len(s.entries)-int(maxLen)))
	}
	k.put(key, v)
	return text(id.String())
}

// xtrim knows MAXLEN and MINID, and one of KEEPREF, DELREF and ACKED behind them.
func xtrim(k *call) Reply {
	if len(k.args) > 4 {
		return xtrimRefs(k)
	}
	var keep func(s *stream) int
	if strings.EqualFold(k.args[2], "maxlen") {
		n := int(k.int(k.args[3]))
		keep = func(s *stream) int { return max(0, len(s.entries)-n) }
	} else {
		id := k.streamID(k.args[3])
		keep = func(s *stream) int { i, _ := s.find(id); return i }
	}
	v := k.read(k.args[1], kindStream)
	if v == nil {
		return integer(0)
	}
	v = v.copy()
	n := v.stream.trim(keep(v.stream))
	k.put(k.args[1], v)
	return count(n)
}

func xdel(k *call) Reply {
	v := k.read(k.args[1], kindStream)
	if v == nil {
		return integer(0)
	}
	ids, n := k.streamIDs(k.args[2:]), 0
	v = v.copy()
	for _, id := range ids {
		if i, is := v.stream.find(id); is {
			v.stream.entries = slices.Delete(v.stream.entries, i, i+1)
			if v.stream.maxDeleted.compare(id) < 0 {
				v.stream.maxDeleted = id
			}
			n++
		}
	}
	k.put(k.args[1], v)
	return count(n)
}

func xsetid(k *call) Reply {
	id := k.streamID(k.args[2])
	v := k.read(k.args[1], kindStream)
	k.require(v != nil, "ERR no such key")
	v = v.copy()
	if n := len(v.stream.entries); n > 0 {
		k.require(v.stream.entries[n-1].id.compare(id) <= 0, "ERR The ID specified in XSETID is smaller than the target stream top item")
	}
	v.stream.last = id
	k.put(k.args[1], v)
	return ok
}

// group returns a copy of a stream with the group, or fails.
func (k *call) group(key, name string) (*value, *streamGroup) {
	v := k.read(key, kindStream)
	k.require(v != nil && v.stream.groups[name] != nil, "NOGROUP No such key or consumer group")
	v = v.copy()
	return v, v.stream.groups[name]
}

func xgroup(k *call) Reply {
	key, name := k.args[2], k.args[3]
	switch sub := strings.ToLower(k.args[1]); sub {
	case "create":
		v := k.read(key, kindStream)
		if k.require(v != nil || len(k.args) > 5, "ERR The XGROUP subcommand requires the key to exist"); v == nil {
			v = newValue(kindStream)
		}
		v = v.copy()
		id := v.stream.last
		if k.args[4] != "$" {
			id = k.streamID(k.args[4])
		}
		k.require(v.stream.groups[name] == nil, "BUSYGROUP Consumer Group name already exists")
		v.stream.groups[name] = &streamGroup{last: id, read: -1, pending: map[streamID]pendingEntry{}, consumers: map[string]int64{}}
		k.put(key, v)
		return ok
	case "destroy":
		v := k.read(key, kindStream)
		k.require(v != nil, "ERR The XGROUP subcommand requires the key to exist")
		v = v.copy()
		there := v.stream.groups[name] != nil
		delete(v.stream.groups, name)
		k.put(key, v)
		return truth(there)
	default:
		k.require(k.read(key, kindStream) != nil, "ERR The XGROUP subcommand requires the key to exist")
		v, g := k.group(key, name)
		defer k.put(key, v)
		return k.changeGroup(g, sub)
	}
}

// changeGroup is the subcommands of XGROUP about a group that is there.
func (k *call) changeGroup(g *streamGroup, sub string) Reply {
	switch sub {
	case "setid":
		g.last, g.read = k.streamID(k.args[4]), -1
		return ok
	case "createconsumer":
		_, there := g.consumers[k.args[4]]
		if !there {
			g.consumers[k.args[4]] = k.now
		}
		return truth(!there)
	default: // delconsumer
		n := 0
		for id, p := range g.pending {
			if p.consumer == k.args[4] {
				delete(g.pending, id)
				n++
			}
		}
		delete(g.consumers, k.args[4])
		return count(n)
	}
}

// xreadgroup knows NOACK, COUNT, CLAIM 0 in front of STREAMS, and one stream.
func xreadgroup(k *call) Reply {
	name, consumer := k.args[2], k.args[3]
	most, noAck, claims, at := math.MaxInt, false, false, 4
	for ; !strings.EqualFold(k.args[at], "streams"); at++ {
		switch strings.ToLower(k.args[at]) {
		case "noack":
			noAck = true
		case "block":
			at++
		case "claim":
			claims = true
			at++
		case "count":
			at++
			most = int(k.int(k.args[at]))
		}
	}
	key, from := k.args[at+1], k.args[at+2]
	v, g := k.group(key, name)
	s := v.stream
	if from != ">" {
		g.consumers[consumer] = k.now
		r := array()
		for _, id := range g.ids() {
			p := g.pending[id]
			if p.consumer != consumer || len(r.elems) == most {
				continue
			}
			i, is := s.find(id)
			if !is {
				r.elems = append(r.elems, array(text(id.String()), nul))
				continue
			}
			g.pending[id] = pendingEntry{consumer, k.now, p.count + 1}
			r.elems = append(r.elems, s.entries[i].reply())
		}
		k.put(key, v)
		return array(array(text(key), r))
	}
	r := array()
	if claims {
		r = k.claimAll(s, g, consumer, most)
	}
	for _, e := range s.entries {
		if e.id.compare(g.last) <= 0 || len(r.elems) == most {
			continue
		}
		if r.elems = append(r.elems, e.reply()); claims {
			r.elems[len(r.elems)-1] = e.claimed(0, 0)
		}
		s.deliver(g, e.id)
		if !noAck {
			g.pending[e.id] = pendingEntry{consumer, k.now, 1}
		}
	}
	if len(r.elems) == 0 {
		return nul
	}
	g.consumers[consumer] = k.now
	k.put(key, v)
	return array(array(text(key), r))
}

func xack(k *call) Reply {
	v := k.read(k.args[1], kindStream)
	if v == nil || v.stream.groups[k.args[2]] == nil {
		return integer(0)
	}
	ids, n := k.streamIDs(k.args[3:]), 0
	v, g := k.group(k.args[1], k.args[2])
	for _, id := range ids {
		if _, is := g.pending[id]; is {
			delete(g.pending, id)
			n++
		}
	}
	k.put(k.args[1], v)
	return count(n)
}

// xclaim knows a minimum of 0, and FORCE JUSTID.
func xclaim(k *call) Reply {
	v, g := k.group(k.args[1], k.args[2])
	consumer, args := k.args[3], k.args[5:]
	bare := strings.EqualFold(args[len(args)-1], "justid")
	if bare {
		args = args[:len(args)-2]
	}
	r := array()
	for _, id := range k.streamIDs(args) {
		i, is := v.stream.find(id)
		p, pending := g.pending[id]
		switch {
		case !is:
			delete(g.pending, id)
			continue
		case !pending && !bare:
			continue
		case !pending:
			p.count = 1
		case !bare:
			p.count++
		}
		g.consumers[consumer] = k.now
		g.pending[id] = pendingEntry{consumer, k.now, p.count}
		if bare {
			r.elems = append(r.elems, text(id.String()))
		} else {
			r.elems = append(r.elems, v.stream.entries[i].reply())
		}
	}
	k.put(k.args[1], v)
	return r
}

// xautoclaim knows a minimum of 0, the start 0, and COUNT.
func xautoclaim(k *call) Reply {
	v, g := k.group(k.args[1], k.args[2])
	consumer, most := k.args[3], int(k.int(k.args[7]))
	next, claimed, gone := streamID{}, array(), array()
	for _, id := range g.ids() {
		if len(claimed.elems)+len(gone.elems) == most {
			next = id
			break
		}
		i, is := v.stream.find(id)
		if !is {
			delete(g.pending, id)
			gone.elems = append(gone.elems, text(id.String()))
			continue
		}
		g.consumers[consumer] = k.now
		g.pending[id] = pendingEntry{consumer, k.now, g.pending[id].count + 1}
		claimed.elems = append(claimed.elems, v.stream.entries[i].reply())
	}
	k.put(k.args[1], v)
	return array(text(next.String()), claimed, gone)
}

// xpending knows the summary.
func xpending(k *call) Reply {
	_, g := k.group(k.args[1], k.args[2])
	ids := g.ids()
	if len(ids) == 0 {
		return array(integer(0), nul, nul, nul)
	}
	per := map[string]int{}
	for _, p := range g.pending {
		per[p.consumer]++
	}
	consumers := array()
	for _, c := range slices.Sorted(maps.Keys(per)) {
		consumers.elems = append(consumers.elems, array(text(c), text(strconv.Itoa(per[c]))))
	}
	return array(count(len(ids)), text(ids[0].String()), text(ids[len(ids)-1].String()), consumers)
}
