package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// SetString makes key a string, whatever it was. deadline is when it expires,
// in Unix milliseconds, 0 for never: a deadline it had is not kept.
func (d *DB) SetString(key, val []byte, deadline int64) {
	d.st.put(d.ks.hash(key), key, String, encRaw, val, deadline)
}

// AdoptString is SetString for a long value that lies in a buffer: it stays where it is, and
// the buffer's memory becomes the database's. It returns key and value as they are stored,
// which are valid until the next mutation, or until the buffer is freed. What lies before
// the value in the buffer holds anything afterwards. It has done nothing, and ok is
// false, where the value is not one to be adopted: then there is SetString.
func (d *DB) AdoptString(key, val []byte, deadline int64, from *arena.Buffer) (k, v []byte, ok bool) {
	b := d.st.adopt(d.ks.hash(key), key, val, deadline, from)
	if b == nil {
		return key, val, false
	}
	return b.key(), b.payload(), true
}

// Lend lends the value of a key: what Entry.Bytes has said of it remains valid, and is not
// written, until the loan is returned, whatever becomes of the key, without a lock. Whoever holds it has
// the memory counted, since a key that is gone does not. ok is false for a value
// that is not there or of less than 512 KiB, which is cheaper to copy.
func (d *DB) Lend(key []byte) (loan arena.Loan, ok bool) {
	_, pl, ok := d.st.find(d.ks.hash(key), key)
	if !ok {
		return loan, false
	}
	return d.st.arena.Lend(pl.ref())
}

// Append adds to the end of a string, which is created when the key is
// missing, and returns its new length. The deadline stays. The key must not
// hold another type.
func (d *DB) Append(key, suffix []byte) int {
	h := d.ks.hash(key)
	b, _, ok := d.st.find(h, key)
	if !ok {
		d.st.put(h, key, String, encRaw, suffix, 0)
		return len(suffix)
	}
	old := len(b.payload())
	n := old + len(suffix)
	d.st.resize(h, key, n, slack(n), old, suffix)
	return n
}

// SetRange overwrites part of a string, which is created when the key is
// missing and filled up with zero bytes, and returns its new length. The
// deadline stays. The key must not hold another type.
func (d *DB) SetRange(key []byte, offset int, val []byte) int {
	h := d.ks.hash(key)
	b, _, ok := d.st.find(h, key)
	if !ok {
		d.st.put(h, key, String, encGrown, nil, 0)
	}
	n := offset + len(val)
	if ok {
		n = max(n, len(b.payload()))
	}
	d.st.resize(h, key, n, slack(n), offset, val)
	return n
}

// slack is the room that a string which has grown to n bytes gets for more, so
// that repeated growth does not copy each time.
func slack(n int) int { return max(min(n/2, 1<<20), 1) }

// ReplaceString makes val the value of a string, which is created when the key is
// missing, as one that grows. The deadline stays. The key must not hold another
// type.
func (d *DB) ReplaceString(key, val []byte) {
	h := d.ks.hash(key)
	if _, _, ok := d.st.find(h, key); !ok {
		d.st.put(h, key, String, encGrown, val, 0)
		return
	}
	d.st.resize(h, key, len(val), slack(len(val)), 0, val)
}

// FillString makes key a string of n bytes without a deadline, whatever it was;
// Redis calls it raw at any length.
// fill writes all of them; what it reads of the keyspace, such as the value that
// is replaced, is as before the call.
func (d *DB) FillString(key []byte, n int, fill func(p []byte)) {
	h := d.ks.hash(key)
	b, pl, ok := d.st.find(h, key)
	if !ok {
		if d.st.dir.root == nil {
			d.st.start()
		}
		r := d.st.newBlob(key, String, encGrown, nil, n, 0, 0, d.st.shard.newClock())
		fill(d.st.blobOf(r).payload())
		d.st.enter(h, key, r, 0, 0)
		return
	}
	r := d.st.newBlob(key, String, encGrown, nil, n, 0, 0, d.st.shard.overwriteClock(b.clock()))
	fill(d.st.blobOf(r).payload())
	d.st.supersede(h, pl, b, r, 0)
}
