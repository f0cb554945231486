package keyspace

// SetString makes key a string, whatever it was. deadline is when it expires,
// in Unix milliseconds, 0 for never: a deadline it had is not kept.
func (d *DB) SetString(key, val []byte, deadline int64) {
	d.st.put(d.ks.hash(key), key, String, encRaw, val, deadline)
}

// MoveString is SetString without a deadline for a value whose memory, an
// arena.Buffer's, is given up piece by piece while it is stored: both together
// take little more than one. It returns the value as stored, valid until the
// next mutation.
func (d *DB) MoveString(key, val []byte) []byte {
	d.st.consume = true
	d.SetString(key, val, 0)
	d.st.consume = false
	b, _ := d.lookup(key)
	return b.payload()
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
