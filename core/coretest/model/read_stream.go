package model

import (
	"fmt"
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

// stream asks for a stream.
func (r *reader) stream(key string) (s *stream, err error) {
	s = newValue(kindStream).stream
	info := fields(r.ask("XINFO", "STREAM", key, "FULL", "COUNT", "0"))
	s.last, s.maxDeleted = parsedID(info["last-generated-id"]), parsedID(info["max-deleted-entry-id"])
	s.added = info["entries-added"].Int
	for _, e := range info["entries"].Elems {
		entry := streamEntry{id: parsedID(e.Elems[0])}
		for _, w := range e.Elems[1].Elems {
			entry.pairs = append(entry.pairs, string(w.Str))
		}
		s.entries = append(s.entries, entry)
	}
	for _, v := range info["groups"].Elems {
		of := fields(v)
		g := &streamGroup{last: parsedID(of["last-delivered-id"]), read: of["entries-read"].Int, pending: map[streamID]pendingEntry{}, consumers: map[string]streamConsumer{}}
		if of["entries-read"].IsNull() {
			g.read = -1
		}
		for _, p := range of["pending"].Elems {
			g.pending[parsedID(p.Elems[0])] = pendingEntry{string(p.Elems[1].Str), p.Elems[2].Int, p.Elems[3].Int}
		}
		owned := 0
		for _, c := range of["consumers"].Elems {
			c := fields(c)
			name := string(c["name"].Str)
			g.consumers[name] = streamConsumer{c["seen-time"].Int, c["active-time"].Int}
			for _, p := range c["pending"].Elems {
				if g.pending[parsedID(p.Elems[0])] != (pendingEntry{name, p.Elems[1].Int, p.Elems[2].Int}) {
					return nil, fmt.Errorf("%s says that %s is pending, and the group does not", name, p.Elems[0].Text())
				}
				owned++
			}
		}
		if owned != len(g.pending) {
			return nil, fmt.Errorf("%d entries are pending of a group, %d of its consumers", len(g.pending), owned)
		}
		s.groups[string(of["name"].Str)] = g
	}
	if n := r.ask("XLEN", key).Int; n != int64(len(s.entries)) || info["length"].Int != n || parsedID(info["recorded-first-entry-id"]) != s.first() {
		return nil, fmt.Errorf("a stream of %d entries says that it has %d, from %s on", len(s.entries), n, info["recorded-first-entry-id"].Text())
	}
	return s, r.err
}

// fields is a map reply, in either protocol.
func fields(v resp.Value) map[string]resp.Value {
	m := map[string]resp.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[string(v.Elems[i].Str)] = v.Elems[i+1]
	}
	return m
}

func parsedID(v resp.Value) (id streamID) {
	if !strings.Contains(v.Text(), "-") {
		return id
	}
	_, _ = fmt.Sscanf(v.Text(), "%d-%d", &id.ms, &id.seq)
	return id
}
