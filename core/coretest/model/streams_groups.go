package model

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

type streamGroup struct {
	last      streamID
	read      int64 // entries, -1 for unknown
	pending   map[streamID]pendingEntry
	consumers map[string]streamConsumer
}

// streamConsumer is when a consumer was seen, and when active, -1 for never.
type streamConsumer struct{ seen, active int64 }

// see notes that a consumer was seen.
func (g *streamGroup) see(name string, now int64) {
	c, there := g.consumers[name]
	if !there {
		c.active = -1
	}
	c.seen = now
	g.consumers[name] = c
}

type pendingEntry struct {
	consumer  string
	delivered int64
	count     int64
}

// ids are those that are pending, in order.
func (g *streamGroup) ids() []streamID {
	return slices.SortedFunc(maps.Keys(g.pending), streamID.compare)
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
		v.stream.groups[name] = &streamGroup{last: id, read: -1, pending: map[streamID]pendingEntry{}, consumers: map[string]streamConsumer{}}
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
			g.see(k.args[4], k.now)
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
		g.see(consumer, k.now)
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
	active := false
	if claims {
		r = k.claimAll(s, g, consumer, most)
		active = len(r.elems) > 0
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
			active = true
		}
	}
	if len(r.elems) == 0 {
		return nul
	}
	g.see(consumer, k.now)
	if active {
		g.consumers[consumer] = streamConsumer{k.now, k.now}
	}
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
		g.consumers[consumer] = streamConsumer{k.now, k.now}
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
		g.consumers[consumer] = streamConsumer{k.now, k.now}
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
