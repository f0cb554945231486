package model

import (
	"cmp"
	"slices"
	"strings"
)

// referenced tells whether a group has yet to read or to acknowledge an entry.
func (s *stream) referenced(id streamID) bool {
	for _, g := range s.groups {
		if _, pending := g.pending[id]; pending || id.compare(g.last) > 0 {
			return true
		}
	}
	return false
}

// forget makes an entry pending nowhere.
func (s *stream) forget(id streamID) {
	for _, g := range s.groups {
		delete(g.pending, id)
	}
}

// delete removes an entry as XDEL does, and tells whether it was there.
func (s *stream) delete(id streamID) bool {
	i, is := s.find(id)
	if is {
		s.entries = slices.Delete(s.entries, i, i+1)
		if s.maxDeleted.compare(id) < 0 {
			s.maxDeleted = id
		}
	}
	return is
}

// xtrimRefs is xtrim with one of the three words.
func xtrimRefs(k *call) Reply {
	byLength, how := strings.EqualFold(k.args[2], "maxlen"), strings.ToLower(k.args[4])
	var most int
	var from streamID
	if byLength {
		most = int(k.int(k.args[3]))
	} else {
		from = k.streamID(k.args[3])
	}
	v := k.read(k.args[1], kindStream)
	if v == nil {
		return integer(0)
	}
	v = v.copy()
	s, n := v.stream, 0
	for i := 0; i < len(s.entries); {
		id := s.entries[i].id
		if byLength && len(s.entries) <= most || !byLength && id.compare(from) >= 0 {
			break
		}
		if how == "acked" && s.referenced(id) {
			i++
			continue
		}
		if how == "delref" {
			s.forget(id)
		}
		s.entries = slices.Delete(s.entries, i, i+1)
		n++
	}
	k.put(k.args[1], v)
	return count(n)
}

// xdelex knows one of the three words, and IDS.
func xdelex(k *call) Reply {
	how, ids := strings.ToLower(k.args[2]), k.args[5:]
	r := array()
	v := k.read(k.args[1], kindStream)
	if v == nil {
		for range ids {
			r.elems = append(r.elems, integer(-1))
		}
		return r
	}
	v = v.copy()
	for _, id := range k.streamIDs(ids) {
		if how == "acked" && v.stream.referenced(id) {
			r.elems = append(r.elems, integer(2))
			continue
		}
		if how == "delref" {
			v.stream.forget(id)
		}
		result := int64(-1)
		if v.stream.delete(id) {
			result = 1
		}
		r.elems = append(r.elems, integer(result))
	}
	k.put(k.args[1], v)
	return r
}

// xackdel knows one of the three words, and IDS.
func xackdel(k *call) Reply {
	how, ids := strings.ToLower(k.args[3]), k.args[6:]
	r := array()
	v := k.read(k.args[1], kindStream)
	if v == nil || v.stream.groups[k.args[2]] == nil {
		for range ids {
			r.elems = append(r.elems, integer(-1))
		}
		return r
	}
	v = v.copy()
	s, g := v.stream, v.stream.groups[k.args[2]]
	for _, id := range k.streamIDs(ids) {
		if _, pending := g.pending[id]; !pending {
			r.elems = append(r.elems, integer(-1))
			continue
		}
		delete(g.pending, id)
		if how == "acked" && s.referenced(id) {
			r.elems = append(r.elems, integer(2))
			continue
		}
		if how == "delref" {
			s.forget(id)
		}
		s.delete(id)
		r.elems = append(r.elems, integer(1))
	}
	k.put(k.args[1], v)
	return r
}

// claimAll is what XREADGROUP CLAIM 0 gives of what is pending: what was delivered
// first before the others.
func (k *call) claimAll(s *stream, g *streamGroup, consumer string, most int) Reply {
	r, ids := array(), g.ids()
	slices.SortStableFunc(ids, func(a, b streamID) int { return cmp.Compare(g.pending[a].delivered, g.pending[b].delivered) })
	for _, id := range ids {
		i, is := s.find(id)
		if !is || len(r.elems) == most {
			continue
		}
		p := g.pending[id]
		r.elems = append(r.elems, s.entries[i].claimed(k.now-p.delivered, p.count))
		g.pending[id] = pendingEntry{consumer, k.now, p.count + 1}
	}
	return r
}

// claimed is an entry that was pending for some time, and delivered so often.
func (e streamEntry) claimed(idle, deliveries int64) Reply {
	r := e.reply()
	r.elems = append(r.elems, integer(idle), integer(deliveries))
	return r
}
