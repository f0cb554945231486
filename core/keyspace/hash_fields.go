package keyspace

import (
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// A field of a hash may have a deadline of its own. A small hash that has had one
// is a listpack of fields, each followed by its value and its deadline, 0 for none:
// the next to expire comes first, and those that never do come last, as Redis keeps
// them. In a large one the deadline is the score of the element, and a second
// order has the fields with a deadline by that. A hash whose fields have none
// takes no more memory for it.

// MaxFieldDeadline is the latest deadline that a field can have.
const MaxFieldDeadline = 1<<48 - 1

// dated tells whether b, which may be nil, is a small hash that has a place for
// deadlines.
func (b blob) dated() bool { return b != nil && b.enc() == encDated }

// perField is how many entries of its listpack a field of the small hash in b takes.
func (b blob) perField() int {
	if b.dated() {
		return 3
	}
	return 2
}

// fieldDeadline is the first deadline among the fields of a hash with this value, 0
// when there is none or it is not a hash.
func (st *store) fieldDeadline(t Type, e enc, payload []byte) int64 {
	return fieldDeadline(st.objects, t, e, payload)
}

func fieldDeadline(objects []heapObject, t Type, e enc, payload []byte) int64 {
	if t != Hash {
		return 0
	}
	switch e {
	case encDated:
		l := packed.Listpack(payload)
		if l.First() >= l.End() {
			return 0
		}
		return l.Entry(l.Next(l.Next(l.First()))).Int
	case encObject:
		return objects[objectID(payload)].o.(*collection).firstDeadline()
	}
	return 0
}

// fieldDeadlineOf is fieldDeadline of a blob.
func (st *store) fieldDeadlineOf(b blob) int64 {
	if b.typ() != Hash {
		return 0
	}
	return st.fieldDeadline(Hash, b.enc(), b.payload())
}

// countDated keeps count of the hashes with a field that has a deadline when the
// first deadline of one changes.
func (st *store) countDated(before, after int64) {
	switch {
	case before == 0 && after != 0:
		st.dated++
	case before != 0 && after == 0:
		st.dated--
	}
}

// sooner is the earlier of two deadlines, of which 0 is none.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// mark makes the slot at a place, and its page, say when the key is due: at its
// own deadline or at that of a field.
func (st *store) mark(h uint64, pl place, due int64) {
	if (pl.p[pl.i]&ttlBit != 0) == (due != 0) && (due == 0 || due >= pageMinTTL(pl.p)) {
		return
	}
	p := st.writablePage(h)
	s := p[pl.i] &^ ttlBit
	if due != 0 {
		s |= ttlBit
	}
	setSlot(p, pl.i, s)
	noteDeadline(p, due)
}

// fieldsChanged takes in that the first deadline of the hash was before, and may be
// another now. The key may be gone, which has been counted then.
func (h HashRef) fieldsChanged(before int64) {
	st, hash := h.d.st, h.d.ks.hash(h.key)
	b, pl, ok := st.find(hash, h.key)
	if !ok {
		return
	}
	after := st.fieldDeadlineOf(b)
	st.countDated(before, after)
	st.mark(hash, pl, sooner(b.deadline(), after))
}

// Field returns a field's value and deadline, in Unix milliseconds, 0 for none.
func (h HashRef) Field(field []byte) (val []byte, deadline int64, ok bool) {
	b := h.find()
	if !b.packed() {
		e, ok := h.get(b, field)
		if !ok {
			return nil, 0, false
		}
		return e.val, int64(e.score), true
	}
	l := b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, b.perField())
	if at < 0 {
		return nil, 0, false
	}
	at = l.Next(at)
	if b.dated() {
		deadline = l.Entry(l.Next(at)).Int
	}
	return h.scratch().text(0, l.Entry(at)), deadline, true
}

// NextDeadline returns the first deadline among the fields, 0 when none has one.
func (h HashRef) NextDeadline() int64 {
	if b := h.find(); b != nil {
		return h.d.st.fieldDeadlineOf(b)
	}
	return 0
}

// Deadlines returns how many fields have a deadline.
func (h HashRef) Deadlines() (n int) {
	b := h.find()
	switch {
	case !b.packed():
		return h.heap(b).ranks.size()
	case b.dated():
		l := b.list()
		for at := l.First(); at < l.End(); at = l.Next(at) {
			at = l.Next(l.Next(at))
			if l.Entry(at).Int == 0 {
				break
			}
			n++
		}
	}
	return n
}

// SetDeadline makes a field expire at ms, in Unix milliseconds, or never when it is
// 0. It returns false when there is no such field.
func (h HashRef) SetDeadline(field []byte, ms int64) bool {
	ms = min(normal(ms), MaxFieldDeadline)
	_, old, ok := h.Field(field)
	if !ok || old == 0 && ms == 0 {
		return ok
	}
	b := h.find()
	before := h.d.st.fieldDeadlineOf(b)
	if b.packed() && !b.dated() {
		b = h.addDeadlines(b)
	}
	val, _, _ := h.Field(field)
	if b.packed() {
		h.placeDated(b, field, val, ms)
	} else {
		h.put(b, field, val, float64(ms))
	}
	h.fieldsChanged(before)
	return true
}

// AllowDeadlines makes a small hash one that has a place for deadlines, as Redis does when
// one is asked for, whether a field gets it or not.
func (h HashRef) AllowDeadlines() {
	if b := h.find(); b != nil && b.packed() && !b.dated() {
		h.addDeadlines(b)
	}
}

// addDeadlines gives a small hash the place for deadlines, or makes it a large one
// where that does not fit.
func (h HashRef) addDeadlines(b blob) blob {
	l := b.list()
	if len(l)+3*l.Len() > packed.MaxListpack {
		return h.unpack(b)
	}
	build := h.scratch().entries()
	for at := l.First(); at < l.End(); {
		next := l.Next(l.Next(at))
		build = packed.AppendInt(append(build, l[at:next]...), 0)
		at = next
	}
	h.d.storePayload(h.key, Hash, encDated, h.scratch().keep(packed.SealList(build, l.Len()/2*3)))
	return h.find()
}

// placeDated puts a field that is there, with a value and a deadline, where its
// deadline belongs in the listpack of b. val may alias b.
func (h HashRef) placeDated(b blob, field, val []byte, ms int64) {
	l := b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, 3)
	end := l.Next(l.Next(l.Next(at)))
	fresh := packed.AppendEntry(packed.AppendEntry(h.scratch().entries(), field), val)
	fresh = packed.AppendInt(fresh, ms)
	h.splice(at, end-at, nil, -3)
	l = h.find().list()
	h.splice(placeOfDeadline(l, ms), 0, fresh[packed.ListHeader:], 3)
	h.scratch().keep(fresh)
}

// placeOfDeadline is where a field with a deadline belongs.
func placeOfDeadline(l packed.Listpack, ms int64) int {
	if ms == 0 {
		return l.End()
	}
	at := l.First()
	for at < l.End() {
		deadlineAt := l.Next(l.Next(at))
		if d := l.Entry(deadlineAt).Int; d == 0 || d >= ms {
			break
		}
		at = l.Next(deadlineAt)
	}
	return at
}

// setDated is Set for a hash that may have deadlines: the field keeps its own, or
// loses it.
func (h HashRef) setDated(b blob, field, val []byte, keep bool) (created bool) {
	before := h.d.st.fieldDeadlineOf(b)
	if b.packed() {
		created = h.setDatedPacked(b, field, val, keep)
	} else {
		score := 0.0
		if keep {
			old, _ := h.get(b, field)
			score = old.score
		}
		created = h.put(b, field, val, score)
	}
	h.fieldsChanged(before)
	return created
}

func (h HashRef) setDatedPacked(b blob, field, val []byte, keep bool) (created bool) {
	lim, l := h.limits(), b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, 3)
	fields := l.Len() / 3
	if at < 0 {
		fields++
	}
	var deadline int64
	if at >= 0 {
		deadline = l.Entry(l.Next(l.Next(at))).Int
	}
	if len(field) > lim.HashValue || len(val) > lim.HashValue || fields > lim.HashEntries || !fitsList(l, len(field), len(val)) {
		if !keep {
			deadline = 0
		}
		h.put(h.unpack(b), field, val, float64(deadline))
		return at < 0
	}
	switch {
	case at < 0:
		fresh := packed.AppendEntry(packed.AppendEntry(h.scratch().entries(), field), val)
		h.edit(b, l.End(), 0, packed.AppendInt(fresh, 0), 3)
	case deadline == 0 || keep:
		at = l.Next(at)
		h.edit(b, at, l.Next(at)-at, packed.AppendEntry(h.scratch().entries(), val), 0)
	default:
		h.placeDated(b, field, val, 0)
	}
	return at < 0
}

// SetKeeping is Set for a field that keeps the deadline it has.
func (h HashRef) SetKeeping(field, val []byte) (created bool) {
	if b := h.find(); b.mayHaveDeadlines(h.d) {
		return h.setDated(b, field, val, true)
	}
	return h.Set(field, val)
}

// mayHaveDeadlines tells whether b, which may be nil, is a hash to whose fields a
// deadline was given.
func (b blob) mayHaveDeadlines(d *DB) bool {
	if b == nil || b.packed() {
		return b.dated()
	}
	return d.object(b).(*collection).dated
}

// delDated is Del for a hash that may have deadlines.
func (h HashRef) delDated(b blob, field []byte) (found bool) {
	before := h.d.st.fieldDeadlineOf(b)
	if b.packed() {
		l := b.list()
		n := packed.NewNeedle(field)
		at, _ := l.Find(&n, 3)
		if at < 0 {
			return false
		}
		h.cut(b, at, l.Next(l.Next(l.Next(at))), 3)
		found = true
	} else {
		found = h.del(b, field)
		if before != 0 && h.find() == nil {
			h.d.st.dated-- // the hash was empty before it was removed
		}
	}
	h.fieldsChanged(before)
	return found
}

// EachField calls fn for every field with its value and deadline until it returns
// false. fn must not change the hash.
func (h HashRef) EachField(fn func(field, val []byte, deadline int64) bool) {
	b := h.find()
	if !b.packed() {
		h.heap(b).eachItem(func(e *element) bool { return fn(e.key, e.val, int64(e.score)) })
		return
	}
	h.eachPacked(b, func(field, val []byte, score float64) bool { return fn(field, val, int64(score)) })
}

// Due returns the field that expires first, if its deadline has passed at now. It
// is valid as what Get returns is.
func (h HashRef) Due(now int64) (field []byte, ok bool) {
	b := h.find()
	if b == nil {
		return nil, false
	}
	if next := h.d.st.fieldDeadlineOf(b); next == 0 || next > now {
		return nil, false
	}
	if b.packed() {
		l := b.list()
		return h.scratch().text(1, l.Entry(l.First())), true
	}
	p := h.heap(b).ranks.spotAt(0)
	return p.element().key, true
}

// LiveFields returns how many fields have not expired at now.
func (h HashRef) LiveFields(now int64) int {
	n := h.Len()
	if next := h.NextDeadline(); next == 0 || next > now {
		return n
	}
	h.EachField(func(_, _ []byte, deadline int64) bool {
		if deadline != 0 && deadline <= now {
			n--
		}
		return true
	})
	return n
}
