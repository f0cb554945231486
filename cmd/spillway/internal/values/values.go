// Package values shows keys of a backup to people and to scripts.
//
// It makes an [Entry] of what a file holds of a key: one shape for each type, the
// same for equal values whatever encoding they are kept in, so that two of them can
// be compared. It reads nothing and knows no engine.
package values

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// Entry is a key with its value. In JSON every string is text, or, where one of
// them is no UTF-8, all of them are base64 and Base64 says so.
type Entry struct {
	DB       int
	Key      []byte
	Type     rdb.Type
	Expires  int64 // deadline in Unix milliseconds, 0 for none
	Elements int   // of a string: 1
	Rows     []Row // of a hash and a set sorted, of a sorted set by score: equal values have equal rows
	Stream   *Stream
}

// Row is one element: a string's value, an item, a member with its score, a field
// with its value and deadline, an entry of a stream with its fields and values in turn.
type Row struct {
	ID      string // of an entry
	Words   [][]byte
	Score   float64
	Expires int64 // of a field
}

// Stream is what a stream has besides its entries.
type Stream struct {
	LastID     string  `json:"last_id"`
	MaxDeleted string  `json:"max_deleted_id"`
	Added      uint64  `json:"entries_added"`
	Groups     []Group `json:"groups"`
}

// Group is a consumer group of a stream.
type Group struct {
	Name      string    `json:"name"`
	LastID    string    `json:"last_delivered_id"`
	Read      int64     `json:"entries_read"` // -1: it is not known
	Consumers []string  `json:"consumers"`
	Pending   []Pending `json:"pending"`
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	ID        string `json:"id"`
	Consumer  string `json:"consumer"`
	Delivered int64  `json:"delivered_ms"`
	Count     uint64 `json:"count"`
}

// Of is what o was at a moment, nil if its deadline, or that of all its fields, had
// passed. It copies what it keeps.
func Of(o *rdb.Object, at time.Time) (*Entry, error) {
	now := at.UnixMilli()
	if o.ExpireMS != 0 && o.ExpireMS <= now {
		return nil, nil
	}
	e := &Entry{DB: o.DB, Key: bytes.Clone(o.Key), Type: o.Type, Expires: o.ExpireMS}
	switch o.Type {
	case rdb.TypeString:
		e.Rows = []Row{{Words: [][]byte{bytes.Clone(o.Str)}}}
	case rdb.TypeList, rdb.TypeSet:
		for _, item := range o.Items {
			e.Rows = append(e.Rows, Row{Words: [][]byte{bytes.Clone(item)}})
		}
	case rdb.TypeZSet:
		for i, m := range o.Items {
			e.Rows = append(e.Rows, Row{Words: [][]byte{bytes.Clone(m)}, Score: o.Scores[i]})
		}
	case rdb.TypeHash:
		for i := 0; i+1 < len(o.Items); i += 2 {
			r := Row{Words: [][]byte{bytes.Clone(o.Items[i]), bytes.Clone(o.Items[i+1])}}
			if o.Expires != nil {
				r.Expires = o.Expires[i/2]
			}
			if r.Expires == 0 || r.Expires > now {
				e.Rows = append(e.Rows, r)
			}
		}
		if len(e.Rows) == 0 {
			return nil, nil
		}
	case rdb.TypeStream:
		e.stream(o.Stream)
	default:
		return nil, rdb.UnknownType(o.Type)
	}
	if o.Type != rdb.TypeList && o.Type != rdb.TypeStream {
		slices.SortFunc(e.Rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.Score, b.Score), bytes.Compare(a.Words[0], b.Words[0]))
		})
	}
	e.Elements = len(e.Rows)
	return e, nil
}

func (e *Entry) stream(s *rdb.Stream) {
	e.Stream = &Stream{LastID: s.Last.String(), MaxDeleted: s.MaxDeleted.String(), Added: s.EntriesAdded, Groups: []Group{}}
	for n := range s.Nodes {
		for at, ok := n.First(); ok; at, ok = n.Next(&at) {
			if at.Deleted {
				continue
			}
			r := Row{ID: at.ID.String()}
			n.Fields(&at, func(field, value packed.Entry) bool {
				r.Words = append(r.Words, bytes.Clone(field.Text(nil)), bytes.Clone(value.Text(nil)))
				return true
			})
			e.Rows = append(e.Rows, r)
		}
	}
	for g := range s.Groups {
		out := Group{Name: string(g.Name), LastID: g.Last.String(), Read: g.EntriesRead, Consumers: []string{}, Pending: []Pending{}}
		for c := range g.Consumers {
			out.Consumers = append(out.Consumers, string(c.Name))
			for id := range c.Pending {
				p := g.Get(id)
				out.Pending = append(out.Pending, Pending{id.String(), string(c.Name), p.Delivered, p.Count})
			}
		}
		e.Stream.Groups = append(e.Stream.Groups, out)
	}
}

// Digest tells equal values from others: the type, all elements, deadlines of fields,
// groups. The key's name and deadline are not in it.
func (e *Entry) Digest() [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", e.Type, len(e.Rows))
	for _, r := range e.Rows {
		fmt.Fprintf(h, "%s %x %d %d\n", r.ID, math.Float64bits(r.Score), r.Expires, len(r.Words))
		for _, w := range r.Words {
			fmt.Fprintf(h, "%d\n", len(w))
			h.Write(w)
		}
	}
	if e.Stream != nil {
		fmt.Fprintf(h, "%#v", *e.Stream)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// ShortJSON is an entry without its value.
type ShortJSON struct {
	DB       int    `json:"db"`
	Key      string `json:"key"`
	Base64   bool   `json:"base64,omitempty"`
	Type     string `json:"type"`
	Elements int    `json:"elements"`
	Expires  string `json:"expires,omitempty"`
}

// Short is e without its value, for JSON.
func (e *Entry) Short() ShortJSON {
	say, coded := speller(utf8.Valid(e.Key))
	return ShortJSON{e.DB, say(e.Key), coded, e.Type.String(), e.Elements, Moment(e.Expires)}
}

// MarshalJSON is the entry with its value: a string, an array of items or members, an
// array of members with scores, an object of fields, an array of entries. A number
// that JSON has none for, such as the score inf, is a string.
func (e *Entry) MarshalJSON() ([]byte, error) {
	say, coded := speller(e.text())
	out := struct {
		ShortJSON
		Value        any               `json:"value"`
		FieldExpires map[string]string `json:"field_expires,omitempty"`
		*Stream
	}{ShortJSON: ShortJSON{e.DB, say(e.Key), coded, e.Type.String(), e.Elements, Moment(e.Expires)}, Stream: e.Stream}
	switch e.Type {
	case rdb.TypeString:
		out.Value = say(e.Rows[0].Words[0])
	case rdb.TypeHash:
		fields := make(map[string]string, len(e.Rows))
		for _, r := range e.Rows {
			fields[say(r.Words[0])] = say(r.Words[1])
			if r.Expires != 0 {
				if out.FieldExpires == nil {
					out.FieldExpires = make(map[string]string)
				}
				out.FieldExpires[say(r.Words[0])] = Moment(r.Expires)
			}
		}
		out.Value = fields
	case rdb.TypeZSet:
		type member struct {
			Member string `json:"member"`
			Score  any    `json:"score"`
		}
		members := make([]member, len(e.Rows))
		for i, r := range e.Rows {
			members[i] = member{say(r.Words[0]), score(r.Score)}
		}
		out.Value = members
	case rdb.TypeStream:
		type entry struct {
			ID     string      `json:"id"`
			Fields [][2]string `json:"fields"`
		}
		entries := make([]entry, len(e.Rows))
		for i, r := range e.Rows {
			entries[i] = entry{r.ID, [][2]string{}}
			for w := 0; w+1 < len(r.Words); w += 2 {
				entries[i].Fields = append(entries[i].Fields, [2]string{say(r.Words[w]), say(r.Words[w+1])})
			}
		}
		out.Value = entries
	case rdb.TypeList, rdb.TypeSet:
		items := make([]string, len(e.Rows))
		for i, r := range e.Rows {
			items[i] = say(r.Words[0])
		}
		out.Value = items
	default:
		return nil, rdb.UnknownType(e.Type)
	}
	return json.Marshal(out)
}

// text tells whether everything of e that JSON has as a string is UTF-8. Names of groups
// and consumers are replaced where they are not.
func (e *Entry) text() bool {
	return utf8.Valid(e.Key) && !slices.ContainsFunc(e.Rows, func(r Row) bool {
		return slices.ContainsFunc(r.Words, func(w []byte) bool { return !utf8.Valid(w) })
	})
}

// speller is how strings are written, and whether that is base64.
func speller(text bool) (say func([]byte) string, coded bool) {
	if text {
		return func(b []byte) string { return string(b) }, false
	}
	return base64.StdEncoding.EncodeToString, true
}

func score(f float64) any {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return f
}

// Moment is a deadline as JSON and people have it, "" for none.
func Moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
