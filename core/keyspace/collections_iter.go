package keyspace

// An element of a collection is, to those who visit all of them, an item
// (list, in order), a member (set), a member and its score (sorted set, by
// score), a field and its value (hash).

// eachElement calls fn for every element of the collection in b until it
// returns false. It pushes the texts of integers and pops none of them. No lock
// is held.
func (d *dbView) eachElement(b blob, num *texts, fn func(a, b []byte, score float64) bool) {
	if b.packed() {
		eachPacked(b, num, fn)
		return
	}
	c := d.object(b).(*collection)
	t := &c.items
	if c.ranked {
		t = &c.ranks
	}
	t.each(0, false, func(e *element) bool { return fn(e.key, e.val, e.score) })
}

// eachPacked calls fn for every element in the payload of b until it returns
// false. It pushes the texts of integers and pops none of them.
func eachPacked(b blob, num *texts, fn func(a, b []byte, score float64) bool) {
	if b.enc() == encIntset {
		ints := b.ints()
		for i := range ints.Len() {
			if !fn(num.pushInt(ints.At(i)), nil, 0) {
				return
			}
		}
		return
	}
	t, l := b.typ(), b.list()
	for at := l.First(); at < l.End(); at = l.Next(at) {
		first := num.push(l.Entry(at))
		var second []byte
		var score float64
		switch t {
		case Hash:
			at = l.Next(at)
			second = num.push(l.Entry(at))
		case ZSet:
			at = l.Next(at)
			score = scoreAt(l, at)
		}
		if !fn(first, second, score) {
			return
		}
	}
}
