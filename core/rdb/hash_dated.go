package rdb

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// A hash whose fields may have deadlines is, since version 12,
//
//	24  first:int64le n (deadline field value)*n    deadline: 0 for none, else 1 + what it is behind first
//	25  first:int64le listpack                      field, value and deadline, 0 for none; the next to expire first
//
// where first is the first deadline, 0 in a 25 when there is none. Release candidates
// of Redis 7.4 wrote them as 22 and 23, without first, and with deadlines as they are.
// Valkey writes, since its version 80,
//
//	22  n (field value deadline:int64le)*n          deadline: -1 for none

// maxFieldDeadline is the latest deadline of a field that there can be.
const maxFieldDeadline = 1<<48 - 1

// appendMS appends a time in unix milliseconds.
func appendMS(dst []byte, ms int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(ms)) }

// relativeTo is how a deadline is written behind the first.
func relativeTo(first, ms int64) uint64 {
	if ms == 0 {
		return 0
	}
	return uint64(ms - first + 1)
}

// firstExpire is the first deadline of o's fields, 0 for none.
func (o *Object) firstExpire() (first int64) {
	for _, ms := range o.Expires {
		if ms != 0 && (first == 0 || ms < first) {
			first = ms
		}
	}
	return first
}

// firstOf is the first deadline in a listpack of fields, values and deadlines.
func firstOf(l packed.Listpack) int64 {
	if l.First() >= l.End() {
		return 0
	}
	return l.Entry(l.Next(l.Next(l.First()))).Int
}

// DatedListpack writes a hash that l is all of: fields, each followed by its value and
// its deadline, in unix milliseconds or 0, the next to expire first. The caller vouches
// for what is in it; l must be valid and not empty, and the file have a DatedHeader.
func (w *Writer) DatedListpack(key []byte, l packed.Listpack) {
	if !w.mayDate(key) {
		return
	}
	w.boundary()
	w.buf = append(w.buf, encHashListEx)
	w.str(key)
	w.room()
	w.buf = appendMS(w.buf, firstOf(l))
	w.str(l)
}

// BeginDated is Begin for a hash whose fields have deadlines, the first of which is
// first. The file must have a DatedHeader.
func (w *Writer) BeginDated(key []byte, n int, first int64) {
	if !w.mayDate(key) {
		return
	}
	w.boundary()
	w.buf = append(w.buf, encHashDated)
	w.str(key)
	w.room()
	w.buf = appendLen(appendMS(w.buf, first), uint64(n))
	w.open, w.left, w.first = traits{items: 2, dated: true, code: encHashDated}, 2*n, first
}

// relative is how a deadline is written in the open hash.
func (w *Writer) relative(ms int64) uint64 { return relativeTo(w.first, ms) }

// mayDate tells whether the version in the header has deadlines of fields.
func (w *Writer) mayDate(key []byte) bool {
	if w.version < datedVersion {
		w.misuse(fmt.Sprintf("key %.100q: fields with deadlines behind a header of version %d", key, w.version))
		return false
	}
	return true
}

// deadlineOf checks a deadline that was read, 0 for none.
func (d *decoder) deadlineOf(ms uint64) (int64, error) {
	if ms > maxFieldDeadline {
		return 0, d.corrupt("a field with the deadline %d", ms)
	}
	return int64(ms), nil
}

// date adds the deadline of the last field.
func (d *decoder) date(ms int64) { d.obj.Expires = append(d.obj.Expires, ms) }

// undated makes a hash whose fields have no deadline after all an ordinary one.
func (d *decoder) undated() {
	if d.obj.firstExpire() == 0 {
		d.obj.Expires, d.obj.Listpack = nil, nil
	}
}

// ms takes a time in unix milliseconds.
func (d *decoder) ms() (uint64, error) {
	p, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(p), nil
}

// datedHash takes fields with their deadlines, which are behind the first where that
// is there.
func (d *decoder) datedHash(withFirst bool) error {
	var first uint64
	if withFirst {
		var err error
		if first, err = d.ms(); err != nil {
			return err
		}
		if first > maxFieldDeadline+1 { // what Redis has for none
			return d.corrupt("a hash with the first deadline %d", first)
		}
	}
	err := d.count(func() error {
		ms, err := d.length()
		if err != nil {
			return err
		}
		if withFirst && ms != 0 {
			if ms > maxFieldDeadline {
				return d.corrupt("a field with a deadline %d behind the first", ms)
			}
			ms += first - 1
		}
		deadline, err := d.deadlineOf(ms)
		if err != nil {
			return err
		}
		for range 2 {
			s, err := d.str()
			if err != nil {
				return err
			}
			d.push(s)
		}
		d.date(deadline)
		return nil
	})
	d.undated()
	return err
}

// datedListpack takes a listpack of fields, values and deadlines.
func (d *decoder) datedListpack(withFirst bool) error {
	if withFirst {
		if _, err := d.ms(); err != nil {
			return err
		}
	}
	b, err := d.str()
	if err != nil {
		return err
	}
	canonical, err := d.listpack(b, false)
	if err != nil {
		return err
	}
	o := &d.obj
	if len(o.Items)%3 != 0 {
		return d.packed("a hash of %d entries, which are no fields with a value and a deadline", len(o.Items))
	}
	l, sorted, last := packed.Listpack(b), true, int64(0)
	for i, at := 0, l.First(); at < l.End(); i, at = i+1, l.Next(at) {
		at = l.Next(l.Next(at))
		e := l.Entry(at)
		if !e.IsInt || e.Int < 0 || e.Int > maxFieldDeadline {
			return d.packed("a field whose deadline is none")
		}
		sorted = sorted && (e.Int == 0 || i == 0 || last != 0 && e.Int >= last)
		last = e.Int
		d.date(e.Int)
		o.Items[2*i], o.Items[2*i+1] = o.Items[3*i], o.Items[3*i+1]
	}
	o.Items = o.Items[:2*len(o.Expires)]
	if canonical && sorted {
		o.Listpack = b
	}
	d.undated()
	return nil
}

// valkeyHash takes fields with their deadlines as Valkey writes them.
func (d *decoder) valkeyHash() error {
	err := d.count(func() error {
		for range 2 {
			s, err := d.str()
			if err != nil {
				return err
			}
			d.push(s)
		}
		ms, err := d.ms()
		if err != nil {
			return err
		}
		if int64(ms) == -1 {
			ms = 0
		}
		deadline, err := d.deadlineOf(ms)
		d.date(deadline)
		return err
	})
	d.undated()
	return err
}

// Dated tells whether the file that begins at r is of a version that has deadlines for
// fields of hashes. It reads a little of it.
func Dated(r io.Reader) (bool, error) {
	d := &decoder{source: newSource(r)}
	version, err := d.magic()
	return version >= datedVersion, err
}
