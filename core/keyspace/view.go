package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// View is a shard as it was when Freeze was called. One goroutine reads it, at
// its own pace and without the shard's lock, while writers go on. It keeps
// memory from being freed until Release.
type View struct {
	shard *Shard
	dbs   []dbView // those with keys
	keys  int64

	libraries []Library // of the view of shard 0
	following Following // as well
}

// dbView is one database of a view: headers of slices whose entries below
// their length are written only where the view does not look.
type dbView struct {
	db            int
	keys, expires int
	dated         int
	dir           directory
	mem           arena.Reader
	objects       []heapObject
}

// Keys returns how many keys the view holds, in all databases.
func (v *View) Keys() int64 { return v.keys }

// Dated tells whether a hash in the view has a field with a deadline.
func (v *View) Dated() bool {
	for i := range v.dbs {
		if v.dbs[i].dated > 0 {
			return true
		}
	}
	return false
}

// Libraries returns the function libraries as they were, all of them in the view of
// shard 0 and none in another.
func (v *View) Libraries() []Library { return v.libraries }

// EachDB calls fn for every database that has keys, in ascending order.
func (v *View) EachDB(fn func(db int, keys, expires int)) {
	for i := range v.dbs {
		fn(v.dbs[i].db, v.dbs[i].keys, v.dbs[i].expires)
	}
}

// Release lets go of everything the view alone could see. It takes the shard's
// lock, many times for a moment when there is much to free, and may be called
// from any goroutine and more than once. The view must not be read any more.
func (v *View) Release() { v.shard.thaw(v) }

// each calls fn for every blob, in hash order by page, until it returns an
// error. pageDone is called after every page.
func (d *dbView) each(fn func(b blob) error, pageDone func(keys int) error) error {
	for at := uint64(0); ; {
		p := d.mem.Page(arena.Ref(d.dir.pageAt(at)))
		// Blobs lie anywhere: while some are read, the processor fetches those behind.
		d.fetch(p[firstSlot : firstSlot+eachAhead])
		for i := firstSlot; i < len(p); i += eachAhead {
			next := min(i+eachAhead, len(p))
			d.fetch(p[next:min(next+eachAhead, len(p))])
			for _, s := range p[i:next] {
				if s == 0 {
					continue
				}
				if err := fn(readBlob(&d.mem, s)); err != nil {
					return err
				}
			}
		}
		if err := pageDone(pageKeys(p)); err != nil {
			return err
		}
		step := prefixStep(pageDepth(p))
		if at += step; at == 0 {
			return nil
		}
	}
}

// eachAhead is how many slots each looks ahead.
const eachAhead = 16

// fetch has the processor fetch the first two lines of the slots' blobs, which is all of most.
func (d *dbView) fetch(slots []uint64) {
	var places [2 * eachAhead]arena.Place
	n := 0
	for _, s := range slots {
		if s != 0 {
			at := d.mem.Place(slotRef(s))
			places[n], places[n+1] = at, at+arena.Line
			n += 2
		}
	}
	arena.Fetch(places[:n])
}

// object is the collection that a blob stands for.
func (d *dbView) object(b blob) object { return d.objects[objectID(b.payload())].o }
