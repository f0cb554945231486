package command

import (
	"crypto/sha1" //nolint:gosec // the digest that Redis's DEBUG DIGEST has
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

// digest is what DEBUG DIGEST makes of data. It is Redis's, so that one of each can
// be compared.
type digest [sha1.Size]byte

// add takes in data, whose order among other data does not matter.
func (d *digest) add(data []byte) {
	for i, b := range sha1.Sum(data) { //nolint:gosec // as above
		d[i] ^= b
	}
}

// mix takes in data, whose order matters.
func (d *digest) mix(data []byte) {
	d.add(data)
	*d = sha1.Sum(d[:]) //nolint:gosec // as above
}

func (d *digest) String() string { return hex.EncodeToString(d[:]) }

// typeNumbers are what Redis calls the types.
func typeNumber(t keyspace.Type) uint32 {
	switch t {
	case keyspace.String:
		return 0
	case keyspace.List:
		return 1
	case keyspace.Set:
		return 2
	case keyspace.ZSet:
		return 3
	case keyspace.Hash:
		return 4
	case keyspace.Stream:
		return 6
	default:
		panic(rdb.UnknownType(t))
	}
}

// mixValue takes in the value of a key.
func (d *digest) mixValue(db *keyspace.DB, key []byte, e keyspace.Entry) {
	d.mix(binary.BigEndian.AppendUint32(nil, typeNumber(e.Type())))
	pair := func(a, b []byte) bool {
		var both digest
		both.mix(a)
		both.mix(b)
		d.add(both[:])
		return true
	}
	switch e.Type() {
	case keyspace.String:
		d.mix(e.Bytes())
	case keyspace.List:
		db.List(key).Each(0, false, func(v []byte) bool { d.mix(v); return true })
	case keyspace.Set:
		db.Set(key).Each(func(m []byte) bool { d.add(m); return true })
	case keyspace.Hash:
		db.Hash(key).EachField(func(f, v []byte, deadline int64) bool {
			if deadline != 0 {
				d.add([]byte("!!hexpire!!"))
			}
			return pair(f, v)
		})
	case keyspace.ZSet:
		z := db.ZSet(key)
		var tmp [32]byte
		z.EachRank(0, z.Len()-1, false, func(m []byte, score float64) bool { return pair(m, resp.AppendDouble(tmp[:0], score)) })
	case keyspace.Stream:
		db.Stream(key).Each(keyspace.StreamID{}, maxStreamID, false, func(it *keyspace.StreamItem) bool {
			d.mix(fmt.Appendf(nil, "%d.%d", it.ID.MS, it.ID.Seq))
			it.Fields(func(field, value []byte) bool {
				d.mix(field)
				d.mix(value)
				return true
			})
			return true
		})
	default:
		panic(rdb.UnknownType(e.Type()))
	}
	if e.Deadline() != 0 {
		d.add([]byte("!!expire!!"))
	}
}

func debugDigest(c *Ctx) {
	var all digest
	for n := range c.KS.NumDatabases() {
		began := false
		for i := range c.KS.NumShards() {
			db := c.KS.Shard(i).DB(n)
			if db.Len() > 0 && !began {
				began = true
				all.mix(binary.BigEndian.AppendUint32(nil, uint32(n)))
			}
			for pos := uint64(0); ; {
				pos = db.Scan(pos, scanCount, func(key []byte, e keyspace.Entry) {
					var one digest
					one.mix(key)
					one.mixValue(db, key, e)
					all.add(one[:])
				})
				if pos == 0 {
					break
				}
			}
		}
	}
	c.Out.SimpleString(all.String())
}

func debugDigestValue(c *Ctx) {
	c.Out.Array(len(c.Args) - 2)
	for _, key := range c.Args[2:] {
		var d digest
		db := c.db(key)
		if e, status := db.Get(key, 0); status == keyspace.Live {
			d.mixValue(db, key, e)
		}
		c.Out.SimpleString(d.String())
	}
}
